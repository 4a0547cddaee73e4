"""Recorded steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


class Kind(IntEnum):
    """The kind of a record at a position, as stored."""

    STEP = 0
    WAIT = 1
    CHILD = 2
    UNCHECKED = 3
    """A step with `checkpoint=False`: listed, never recorded as done."""
    MARK = 4
    NOTE = 5
    """An app status set by a body: recorded so that a replay does not set it again, but not listed as a step."""
    BROKEN_OFF = 6
    """A step that the body cancelled: it does not run again, and a replay waits until the body cancels it again."""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """The process that executed an attempt."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str


@dataclass(frozen=True, slots=True)
class StepAttempt:
    """One execution of a step's body. `rt.steps` leaves out the traceback and the process."""

    number: int
    started_at: Moment
    ended_at: Moment | None
    error: str | None
    traceback: str | None = None
    process: ProcessRecord | None = None
    """The process that executed it; null once it is forgotten, after ten thousand launches."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class StepInfo:
    """A recorded step."""

    workflow_id: str
    function_id: int
    """The number of the step in the order in which the run recorded its steps, from 0."""
    function_name: str
    position: str
    output: Any
    """The decoded JSON value."""
    error: str | None
    """`Type: message`."""
    started_at: Moment
    ended_at: Moment | None
    attempts: list[StepAttempt] = field(default_factory=list[StepAttempt])
    child_workflow_id: str | None = None
