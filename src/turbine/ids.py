"""New ids, which sort by age, and the rules for ids and names from users.

The rules are what both databases can store: Postgres text has neither NUL nor lone surrogates.
"""

from __future__ import annotations

import random
import threading
import time

from turbine.platform import after_fork_in_child

_KEY_MAX = 2000
"""In bytes: an entry of a Postgres index has at most 2704, including the other columns."""
_TEXT_MAX = 1_000_000
_LENGTHS = {
    "queue name": 1000,
    "deduplication id": 1000,
    "partition key": 1000,
    "step name": 20_000,
    "search text": 20_000,
}
"""Names that share an index have half of the length each; names without an index may be longer."""

# RFC 9562 §6.2, method 1: 42 bits of counter after the millisecond, then 32 random bits. The counter starts at a random
# value in its lower half, so that it does not overflow within one millisecond.
_COUNTER_BITS = 42


class _Sequence:
    """The last millisecond and counter, and a random source that `random.seed` of the user does not affect."""

    __slots__ = ("counter", "lock", "millisecond", "noise")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.millisecond = 0
        self.counter = 0
        # Seeded by the system. Ids are not secrets, and os.urandom for each of them costs a microsecond.
        self.noise = random.Random().getrandbits


_sequence = _Sequence()


def new_id() -> str:
    """Returns a new uuid7 that is greater than all ids this process has made before, in any thread.

    If the clock jumps back, the last millisecond is used again. Source: RFC 9562, §5.7 and §6.2.
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
    """Returns the id, if both databases can store it as a key.

    It must be a non-empty string of at most 2000 bytes in UTF-8, without NUL and without lone surrogates. Raises
    TypeError if it is not a string, else ValueError.
    """
    return _checked(text, what, _LENGTHS.get(what, _KEY_MAX))


def check_name(text: str, what: str) -> str:
    """Returns the name, under the rules of `check_id`; names without an index may be longer."""
    return _checked(text, what, _LENGTHS.get(what, _KEY_MAX))


def check_text(text: str, what: str) -> str:
    """Returns the text, which may be empty. Raises ValueError if no database can store it, or if it is huge."""
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
    # Another thread of the parent may hold the lock at the fork, and no thread of the child would release it. And the
    # parent and the child would use the same random numbers.
    global _sequence  # noqa: PLW0603 - one sequence per process
    _sequence = _Sequence()


after_fork_in_child(_start_anew)
