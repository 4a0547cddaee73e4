"""How much space the database takes, and how it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

DAY_MS = 24 * 3600 * 1000
FITTED_MS = 7 * DAY_MS
"""How far back the current growth is measured."""


class Size(NamedTuple):
    """The size of the database at a time."""

    at_ms: int
    bytes: int
    free_bytes: int
    """The part of these that is free for new data."""

    @property
    def used_bytes(self) -> int:
        return self.bytes - self.free_bytes


@dataclass(frozen=True, slots=True)
class TableRecord:
    """A table and its approximate size; null where that cannot be measured cheaply."""

    name: str
    rows: int | None
    bytes: int | None

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class MeasuredSize:
    """The size of the database at a time, and how much of it was in use."""

    at: Moment
    bytes: int
    used_bytes: int

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Growth:
    """The growth of the database: measured every hour, after two days once a day, for 90 days."""

    sizes: list[MeasuredSize]
    """The oldest first."""
    per_day: int | None
    """Bytes by which the used space grows in a day: a straight line through the last 7 days; negative where it shrinks.
    null for less than a day of measurements."""
    full_in: float | None
    """Seconds until the disk is full at that pace. null where it does not grow, where there are not enough
    measurements, and where the free space is unknown (Postgres)."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class StorageReport:
    """How much space the data takes."""

    database_bytes: int
    free_bytes: int | None
    """The part of these that is free for new data; POST vacuum gives it back. null on Postgres."""
    disk_free_bytes: int | None
    """Free on the disk of the database; null where it is unknown."""
    growth: Growth
    tables: list[TableRecord]
    products_bytes: int

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """The result of giving back a portion of the free space."""

    freed_bytes: int
    """By how much the database has shrunk."""
    database_bytes: int
    free_bytes: int
    """How much could still be given back."""
    done: bool
    """Whether nothing is left; otherwise ask again."""
    skipped: list[str]
    """Postgres: tables that were locked, or that belong to another user."""

    __pydantic_config__ = DESCRIBED


def growth_per_day(sizes: Sequence[Size]) -> float | None:
    """Bytes by which the used space grows in a day: a straight line through the last week, by least squares.

    None for less than a day of measurements. Negative where it shrinks.
    """
    if not sizes:
        return None
    recent = [size for size in sizes if size.at_ms >= sizes[-1].at_ms - FITTED_MS]
    if recent[-1].at_ms - recent[0].at_ms < DAY_MS:
        return None
    days = [(size.at_ms - recent[0].at_ms) / DAY_MS for size in recent]
    used = [float(size.used_bytes) for size in recent]
    mean_day, mean_used = sum(days) / len(days), sum(used) / len(used)
    spread = sum((day - mean_day) ** 2 for day in days)
    return sum((day - mean_day) * (size - mean_used) for day, size in zip(days, used, strict=True)) / spread
