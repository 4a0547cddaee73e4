"""How much room the database takes, and where that leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

DAY_MS = 24 * 3600 * 1000
FITTED_MS = 7 * DAY_MS
"""How far back the growth of now is measured."""


class Size(NamedTuple):
    """How large the database was at a time."""

    at_ms: int
    bytes: int
    free_bytes: int
    """Of these, what is free for what comes next."""

    @property
    def used_bytes(self) -> int:
        return self.bytes - self.free_bytes


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What giving back a portion of the free room has brought."""

    freed_bytes: int
    """By how much the database is smaller now."""
    database_bytes: int
    free_bytes: int
    """What could still be given back."""
    is_done: bool
    skipped: list[str]
    """Postgres: tables that somebody else had locked, or that belong to another user."""


def growth_per_day(sizes: Sequence[Size]) -> float | None:
    """Bytes by which what is used grows in a day: a straight line through the last week, by least squares.

    None for less than a day of measurements. Below zero it shrinks.
    """
    if not sizes:
        return None
    recent = [size for size in sizes if size.at_ms >= sizes[-1].at_ms - FITTED_MS]
    if recent[-1].at_ms - recent[0].at_ms < DAY_MS:
        return None
    days = [(size.at_ms - recent[0].at_ms) / DAY_MS for size in recent]
    used = [float(size.used_bytes) for size in recent]
    mean_day, mean_used = sum(days) / len(days), sum(used) / len(used)
    apart = sum((day - mean_day) ** 2 for day in days)
    return sum((day - mean_day) * (one - mean_used) for day, one in zip(days, used, strict=True)) / apart
