"""Queues and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment, Seconds


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` starts in any period of the length `per`: `RateLimit(100, per=timedelta(minutes=1))`."""

    limit: int
    per: Seconds

    __pydantic_config__ = DESCRIBED

    def __post_init__(self) -> None:
        given = cast("timedelta | float", self.per)  # seconds are accepted, too
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            object.__setattr__(self, "per", timedelta(seconds=given))
        if isinstance(self.limit, bool) or self.limit < 1:
            raise ValueError(f"A rate limit must allow at least 1 start, not {self.limit!r}")
        if self.per <= timedelta(0):
            raise ValueError(f"The period of a rate limit must be positive, not {self.per!r}")

    @property
    def period_ms(self) -> int:
        return round(self.per.total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and its limits. None means no limit; in a partitioned queue limits apply to each key."""

    name: str
    worker_concurrency: int | None = None
    global_concurrency: int | None = None
    rate_limit: RateLimit | None = None
    priority: bool = False
    partitioned: bool = False
    batch_max: int = 100
    release_while_waiting: bool = False
    """Whether a run of the queue gives its slot to another one while it waits."""
    paused: bool = False

    __pydantic_config__ = DESCRIBED

    def __post_init__(self) -> None:
        for field in ("worker_concurrency", "global_concurrency"):
            value = getattr(self, field)
            if value is not None and (isinstance(value, bool) or value < 1):
                raise ValueError(f"{field} of queue {self.name!r} must be at least 1 (None: no limit), not {value!r}")
        if isinstance(self.batch_max, bool) or self.batch_max < 1:
            raise ValueError(f"batch_max of queue {self.name!r} must be at least 1, not {self.batch_max!r}")

    @property
    def all_workers(self) -> int | None:
        """The maximum number of runs (of one key, if partitioned) with a slot, over all processes."""
        if self.partitioned and self.global_concurrency is None and self.worker_concurrency is None:
            return 1
        return self.global_concurrency


@dataclass(frozen=True, slots=True)
class QueueNumbers:
    """A queue in numbers."""

    enqueued: int
    running: int
    completed: int
    failed: int
    oldest_age: float | None
    """The age of the oldest queued run, in seconds."""
    throughput_per_minute: float
    """Runs that ended, over the last five minutes."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class QueueSlot:
    """A run that holds a slot."""

    workflow_id: str
    name: str
    executor_id: str | None
    since: Moment | None


@dataclass(frozen=True, slots=True)
class QueuePartition:
    """The runs of one partition key."""

    key: str
    enqueued: int
    running: int


@dataclass(frozen=True, slots=True)
class QueueStats(QueueNumbers):
    """A queue in numbers, with its runs."""

    holders: list[QueueSlot]
    partitions: list[QueuePartition]


@dataclass(frozen=True, slots=True)
class ListedQueue(Queue):
    """A queue in a list."""

    stats: QueueNumbers | None = None
    """Its numbers, if they were requested."""
