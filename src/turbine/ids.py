"""Names of things: fresh ids that sort by age, and the rules for ids and names that users give.

The rules are what both databases can store: Postgres text takes neither NUL nor lone surrogates.
"""

from __future__ import annotations

import random
import threading
import time

from turbine.platform import after_fork_in_child

_KEY_MAX = 2000
"""Bytes: an entry of a Postgres index takes 2704, together with what stands beside the key."""
_TEXT_MAX = 1_000_000
_LENGTHS = {
    "queue name": 1000,
    "deduplication id": 1000,
    "partition key": 1000,
    "step name": 20_000,
    "search text": 20_000,
}
"""Two that stand in one index together take half each; what stands in none may be long."""

# RFC 9562 §6.2, method 1: 42 bits of counter behind the millisecond, then 32 random bits. The counter starts at a
# random place in its lower half, so that it cannot run over within one millisecond.
_COUNTER_BITS = 42


class _Sequence:
    """The last millisecond and counter given out, and a source of noise that no `random.seed` of the user's touches."""

    __slots__ = ("counter", "lock", "millisecond", "noise")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.millisecond = 0
        self.counter = 0
        # Seeded from the system. Not for secrets, which ids are not; os.urandom for each id costs a microsecond.
        self.noise = random.Random().getrandbits


_sequence = _Sequence()


def new_id() -> str:
    """A fresh uuid7 as text, greater than every id this process made before, from any thread.

    A clock that jumps back does not break the order: the last millisecond is used on. Source: RFC 9562, §5.7 and §6.2.
    """
    sequence = _sequence
    with sequence.lock:
        millisecond = time.time_ns() // 1_000_000
        if millisecond > sequence.millisecond:
            sequence.millisecond = millisecond
            sequence.counter = counter = sequence.noise(_COUNTER_BITS - 1)
        else:
            millisecond = sequence.millisecond
            sequence.counter = counter = sequence.counter + 1
            if counter >> _COUNTER_BITS:
                sequence.millisecond = millisecond = millisecond + 1
                sequence.counter = counter = 0
    high = 0x7000 | (counter >> 30)
    low = 0x8000_0000_0000_0000 | ((counter & 0x3FFF_FFFF) << 32) | sequence.noise(32)
    time_digits = f"{millisecond:012x}"
    low_digits = f"{low:016x}"
    return f"{time_digits[:8]}-{time_digits[8:]}-{high:04x}-{low_digits[:4]}-{low_digits[4:]}"


def check_id(text: str, what: str = "workflow id") -> str:
    """The id itself, if both databases can store it as a key.

    It must be non-empty text of at most 2000 characters (bytes in UTF-8, for what is not ASCII) without NUL and without
    lone surrogates; any other Unicode is welcome. Raises TypeError for what is not text, else ValueError.
    """
    return _checked(text, what, _LENGTHS.get(what, _KEY_MAX))


def check_name(text: str, what: str) -> str:
    """The name itself, under the rules of `check_id`; what no index holds may be longer."""
    return _checked(text, what, _LENGTHS.get(what, _KEY_MAX))


def check_text(text: str, what: str) -> str:
    """The text itself, which may be empty; ValueError for what no database stores, or is huge."""
    return "" if text == "" else _checked(text, what, _TEXT_MAX)


def _checked(text: object, what: str, length_max: int) -> str:
    rule = f"A {what} is 1 to {length_max} characters of text without NUL and without lone surrogates"
    if not isinstance(text, str):
        raise TypeError(f"{rule}; this is {type(text).__name__}: {text!r:.200}")
    if not text:
        raise ValueError(f"{rule}; this one is empty.")
    if len(text) > length_max:
        raise ValueError(f"{rule}; this one has {len(text)} characters and begins {text[:60]!r}.")
    if "\0" in text:
        raise ValueError(f"{rule}; this one has a NUL at index {text.index(chr(0))}: {text[:200]!r}")
    if not text.isascii():
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise ValueError(f"{rule}; this one has a lone surrogate at index {error.start}: {text[:200]!r}") from None
        if size > length_max:
            raise ValueError(
                f"{rule}, and as many bytes in UTF-8; this one has {len(text)} characters in {size} bytes and begins"
                f" {text[:60]!r}."
            )
    return text


def _start_anew() -> None:
    # A fork may happen while another thread holds the lock, and nobody in the child would ever release it; and parent
    # and child would go on with the same noise.
    global _sequence  # noqa: PLW0603 - one sequence a process
    _sequence = _Sequence()


after_fork_in_child(_start_anew)
