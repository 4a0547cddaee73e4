"""Positions of durable calls in a run: paths that are the same in every replay of the same code.

The main branch counts `0, 1, 2 …`. `turbine.gather` at position 3 has the branches `3.0`, `3.1`, and the calls in the
second branch are `3.1.0`, `3.1.1`. A task that user code creates itself (`asyncio.create_task`) after n calls of its
branch is `nt0`, the next one created at the same point `nt1`; its calls are `nt0.0`, `nt0.1`. These positions have no
order: `patch:x` is the mark of `turbine.patched("x")`, `note:0` or `note:3.1.0` (counted for each branch) is an app
status that a body has set, and `note:read:3` says how the message that was received at 3 was read.
"""

from __future__ import annotations

import re

_PART = re.compile(r"(\d+)(?:t(\d+))?")
_POSITION = re.compile(r"\d+(?:t\d+)?(?:\.\d+(?:t\d+)?)*")
PATCH = "patch:"
NOTE = "note:"
READING = "note:read:"


def check_position(position: int | str) -> str:
    """Returns a position from the user as text. Raises ValueError for a negative or malformed one."""
    text = str(position)
    if isinstance(position, bool) or not _POSITION.fullmatch(text):
        raise ValueError(f"{position!r} is not a position. Positions are like 3 (main branch) or '3.0.1' (a branch)")
    return text


def order(position: str) -> tuple[tuple[int, int], ...]:
    """Returns a key that sorts positions in the order of the program; tasks created before step n precede it."""
    if position.startswith((PATCH, NOTE)):
        return ()
    return tuple((int(n), -1_000_000_000 + int(task) if task else 0) for n, task in _PART.findall(position))


def is_before(position: str, limit: str) -> bool:
    """Whether a position precedes another one; positions inside of `limit` do not."""
    return order(position) < order(limit)
