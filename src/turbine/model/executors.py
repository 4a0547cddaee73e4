"""Records of executors: the processes that execute runs."""

from __future__ import annotations

from dataclasses import dataclass

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


@dataclass(frozen=True, slots=True)
class ExecutorRecord:
    """A registered executor."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str
    started_at: Moment
    lease_age: float
    """Seconds since the last heartbeat."""
    alive: bool
    runs_held: int
    names: list[str]
    """The workflows that it knows."""
    threads: int | None
    """Busy threads; more than `threads_max` while blocking steps outlast their timeout."""
    threads_max: int | None
    loop_delay: float | None
    """The worst delay of its event loop since the previous heartbeat, in seconds."""
    memory_bytes: int | None
    here: bool
    """Whether it is the process that answers."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class PastExecutorRecord:
    """An executor that has ended."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str
    started_at: Moment
    left_at: Moment
    taken_by: str | None
    """The executor that evicted it and released its runs; null when it shut down."""
    runs: int
    """The number of its runs that continued elsewhere."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class ExecutorList:
    """The registered executors, the oldest first, and the past ones, the newest first."""

    items: list[ExecutorRecord]
    past_executors: list[PastExecutorRecord]
    next_cursor: str | None = None
