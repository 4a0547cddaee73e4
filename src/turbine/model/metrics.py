"""Records of counts and times over many runs."""

from __future__ import annotations

from dataclasses import dataclass

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment
from turbine.model.workflows import WorkflowStatus


@dataclass(frozen=True, slots=True)
class StatusCounts:
    """The number of runs by status."""

    by_status: dict[WorkflowStatus, int]


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag and the number of the newest runs that have it."""

    tag: str
    count: int


@dataclass(slots=True)
class CalendarSpan:
    """The runs that began in a span of time, and the ticks that are planned for it."""

    time: Moment
    success: int = 0
    error: int = 0
    cancelled: int = 0
    open: int = 0
    planned: int = 0


@dataclass(frozen=True, slots=True)
class Calendar:
    """Spans of time, the earliest first."""

    days: list[CalendarSpan]


@dataclass(frozen=True, slots=True)
class Throughput:
    """The runs that ended in a span of time; p50 and p95 are seconds."""

    time: Moment
    finished: int = 0
    failed: int = 0
    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class QueueAge:
    """The load of a queue, and the age in seconds of its oldest queued run."""

    queue: str
    enqueued: int
    running: int
    oldest_age: float | None


@dataclass(frozen=True, slots=True)
class MetricsSummary:
    """The last hours in numbers."""

    throughput: list[Throughput]
    queue_age: list[QueueAge]
    by_status: dict[WorkflowStatus, int]
    since: Moment
    """The time from which all ended runs are counted; the numbers cover the time since then."""
    finished: int
    failed: int
    p50: float | None
    p95: float | None
    sampled: bool = False
    """Whether more runs ended than are counted; `since` is later then."""

    __pydantic_config__ = DESCRIBED
