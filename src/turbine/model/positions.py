"""Where in a run a durable call stands: a path that is the same in every replay of the same code.

The main line counts `0, 1, 2 …`. `turbine.gather` at position 3 gives its branches `3.0`, `3.1`, and the calls in the
second branch are `3.1.0`, `3.1.1`. A task that user code makes itself (`asyncio.create_task`) after n calls of its
parent is `nt0`, the next one made at the same place `nt1`; its calls are `nt0.0`, `nt0.1`. A mark of
`turbine.patched("x")` stands at `patch:x`, an app status that a body has set at `note:0` or
`note:3.1.0` (counted for each line), and `note:read:3` tells how the message that was received at 3 was read; all of
these are outside of the order.
"""

from __future__ import annotations

import re

_PART = re.compile(r"(\d+)(?:t(\d+))?")
_POSITION = re.compile(r"\d+(?:t\d+)?(?:\.\d+(?:t\d+)?)*")
PATCH = "patch:"
NOTE = "note:"
READING = "note:read:"


def check_position(position: int | str) -> str:
    """The text of a position that a user gave; ValueError for a negative or malformed one."""
    text = str(position)
    if isinstance(position, bool) or not _POSITION.fullmatch(text):
        raise ValueError(f"{position!r} is no position; positions are like 3 (the main line) or '3.0.1' (a branch)")
    return text


def order(position: str) -> tuple[tuple[int, int], ...]:
    """A key that sorts positions as they stand in the program. Tasks made before step n stand before it."""
    if position.startswith((PATCH, NOTE)):
        return ()
    return tuple((int(n), -1_000_000_000 + int(task) if task else 0) for n, task in _PART.findall(position))


def is_before(position: str, limit: str) -> bool:
    """Whether a position lies wholly before another one; what stands inside of `limit` does not."""
    return order(position) < order(limit)
