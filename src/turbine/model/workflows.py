"""Runs of workflows and their statuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

T = TypeVar("T")


class WorkflowStatus(StrEnum):
    """The status of a run. PENDING: running, or about to; WAITING_FOR_APPROVAL: while an approval is open."""

    PENDING = "PENDING"
    ENQUEUED = "ENQUEUED"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"
    MAX_RECOVERY_ATTEMPTS_EXCEEDED = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
    WAITING_FOR_APPROVAL = "WAITING_FOR_APPROVAL"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended and will not continue unless it is resumed."""
        return self in TERMINAL


TERMINAL = frozenset(
    {
        WorkflowStatus.SUCCESS,
        WorkflowStatus.ERROR,
        WorkflowStatus.CANCELLED,
        WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED,
    }
)

TRANSITIONS: dict[WorkflowStatus, frozenset[WorkflowStatus]] = {
    WorkflowStatus.ENQUEUED: frozenset(
        {
            WorkflowStatus.PENDING,  # claimed
            WorkflowStatus.CANCELLED,
            WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED,
        }
    ),
    WorkflowStatus.PENDING: frozenset(
        {
            WorkflowStatus.ENQUEUED,  # its executor died, back to its queue
            WorkflowStatus.WAITING_FOR_APPROVAL,
            *TERMINAL,
        }
    ),
    WorkflowStatus.WAITING_FOR_APPROVAL: frozenset(
        {
            WorkflowStatus.PENDING,
            WorkflowStatus.ENQUEUED,
            WorkflowStatus.CANCELLED,
            WorkflowStatus.ERROR,
            WorkflowStatus.SUCCESS,
            WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED,
        }
    ),
    WorkflowStatus.SUCCESS: frozenset(),
    WorkflowStatus.ERROR: frozenset({WorkflowStatus.ENQUEUED, WorkflowStatus.PENDING}),  # resumed
    WorkflowStatus.CANCELLED: frozenset({WorkflowStatus.ENQUEUED, WorkflowStatus.PENDING}),
    WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED: frozenset({WorkflowStatus.ENQUEUED, WorkflowStatus.PENDING}),
}
"""The allowed transitions; a test compares the history of every row with them."""


@dataclass(frozen=True, slots=True)
class Status:
    """A run. Times are in UTC."""

    workflow_id: str
    status: WorkflowStatus
    name: str
    created_at: Moment
    updated_at: Moment
    application_version: str
    application_id: str
    attempts: int
    executor_id: str | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None
    output: Any = None
    """The JSON value of the result."""
    error: str | None = None
    """`Type: message`."""
    input: dict[str, Any] | None = None
    """`{"args": [...], "kwargs": {...}}`; set by `status()`, and by `list(load_input=True)`."""
    queue_name: str | None = None
    queue_partition_key: str | None = None
    deduplication_id: str | None = None
    priority: int = 0
    timeout: timedelta | None = None
    deadline: Moment | None = None
    parent_workflow_id: str | None = None
    forked_from: str | None = None
    app_status: str | None = None
    app_status_color: str | None = None
    summary: str | None = None
    tags: list[str] = field(default_factory=list[str])
    reason: str | None = None
    """Why it was cancelled or set aside."""
    attention: str | None = None
    """What a person must check before the run can continue; None for a healthy run."""


@dataclass(frozen=True, slots=True)
class RegisteredWorkflow:
    """A registered workflow; `fqn` is `module:qualname`."""

    name: str
    fqn: str
    triggerable: bool = False
    cron_schedule: str | None = None
    input_schema: dict[str, Any] | None = None
    """The schema from the code, else derived from the annotations."""
    tags: list[str] = field(default_factory=list[str])
    docstring: str | None = None
    parameters: dict[str, Any] | None = None
    """The JSON Schema of an object with one property for each parameter."""
    signature: str | None = None
    """The signature in Python: `place_order(order: Order, dry_run: bool = False) -> str`."""
    source: str | None = None
    """The first line of its code, as `file:line`."""
    here: bool = True
    """Whether this runtime has its code."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class OpenVersion:
    """The open runs that began under one version of the code."""

    version: str
    open: int
    set_aside: int
    """Runs among them whose history does not fit the code that tried to continue them."""
    live: bool
    """Whether a live process that registers the workflow has this version."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class WorkflowMetrics:
    """The newest thousand runs of a workflow in numbers; p50 and p95 are seconds."""

    success_rate: float | None
    p50: float | None
    p95: float | None
    counts: dict[WorkflowStatus, int]
    last_errors: list[Status]
    versions: list[OpenVersion]
    last_input: Any
    """The input of the newest run, as `trigger` takes it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list; `next_cursor` requests the next one, and is None at the end."""

    items: list[T]
    next_cursor: str | None = None
    """Asks for the next page; null at the end."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Count:
    """A number of runs, counted up to a limit."""

    count: int
    capped: bool = False
    """Whether there are more."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class RunChange:
    """The effect of a change on a run."""

    workflow_id: str
    changed: bool
    status: WorkflowStatus | None
    """The status after the change; null for a deleted run."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class FailedChange:
    """A run that a bulk change could not change."""

    workflow_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class BulkChange:
    """The effect of a change on many runs."""

    matched: int
    affected: int
    """Runs among them whose status allows the change."""
    capped: bool
    """Whether there are more runs than were changed; ask again."""
    done: int
    failed: list[FailedChange] = field(default_factory=list[FailedChange])
    next_cursor: str | None = None
    """Where to continue while there are more."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line of user code that a run has reached."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run is not making progress, and what would let it continue."""

    reason: str
    """One word: running, sleeping, message, value, result, retry, queue, unknown-workflow, set-aside, recovery,
    finished …"""
    text: str
    since: Moment | None = None
    until: Moment | None = None
    held_by: list[str] = field(default_factory=list[str])
    advice: str | None = None
    stack: list[CodeLine] = field(default_factory=list[CodeLine])
    """The stack of its code, the body first, if the process that answers executes it; else empty."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Event:
    """A committed change. `kind` is for example `workflow.SUCCESS` or `step.recorded`."""

    kind: str
    workflow_id: str
    name: str
    status: WorkflowStatus | None
    function_id: int | None
    at: Moment
