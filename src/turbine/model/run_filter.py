"""The filter of every list of runs, checked when it is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from turbine.clock import to_ms
from turbine.ids import check_name
from turbine.model.workflows import WorkflowStatus

DURATION_MAX = 10**9
"""Seconds that a filter may ask for."""
_VALUES = (
    "name",
    "executor_id",
    "version",
    "ids",
    "tag",
    "queue",
    "parent_id",
    "fingerprint",
    "error_class",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a list shows: all given fields must match; a field with several values matches any of them.

    A field takes one text or several, and keeps a list. Raises ValueError for values that can never be right.
    """

    status: Sequence[str] | None = None
    name: Sequence[str] | None = None
    executor_id: Sequence[str] | None = None
    version: Sequence[str] | None = None
    ids: Sequence[str] | None = None
    tag: Sequence[str] | None = None
    queue: Sequence[str] | None = None
    parent_id: Sequence[str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    search: str | None = None
    fingerprint: Sequence[str] | None = None
    error_class: Sequence[str] | None = None
    duration_min: float | None = None
    duration_max: float | None = None

    def __post_init__(self) -> None:
        changes: dict[str, Any] = {field: _texts(getattr(self, field), field, check_name) for field in _VALUES}
        changes["status"] = _texts(self.status, "status", lambda value, _: str(WorkflowStatus(value)))
        changes["search"] = check_name(self.search, "search text") if self.search else None
        for field, value in changes.items():
            object.__setattr__(self, field, value)
        # Raise now what the properties below would raise in a query.
        _ = self.created_after_ms, self.created_before_ms, self.duration_min_ms, self.duration_max_ms

    @property
    def created_after_ms(self) -> int | None:
        return None if self.created_after is None else to_ms(self.created_after, "created_after")

    @property
    def created_before_ms(self) -> int | None:
        return None if self.created_before is None else to_ms(self.created_before, "created_before")

    @property
    def duration_min_ms(self) -> int | None:
        return _duration_ms(self.duration_min, "duration_min")

    @property
    def duration_max_ms(self) -> int | None:
        return _duration_ms(self.duration_max, "duration_max")

    @property
    def matches_nothing(self) -> bool:
        """Whether a field was given without any value."""
        return any(getattr(self, field) == [] for field in ("status", *_VALUES))


def _texts(value: Sequence[str] | None, field: str, check: Callable[[Any, str], str]) -> list[str] | None:
    if value is None:
        return None
    try:
        return [check(text, field) for text in ([value] if isinstance(value, str) else value)]
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


def _duration_ms(seconds: float | None, field: str) -> int | None:
    if seconds is None:
        return None
    if not 0 <= seconds <= DURATION_MAX:
        raise ValueError(f"{field} must be seconds from 0 to {DURATION_MAX}: {seconds}")
    return round(seconds * 1000)
