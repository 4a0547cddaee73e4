"""Failures of one kind, together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


class FailureState(StrEnum):
    """What people think of a kind of failure. A resolved one that is seen again is open again."""

    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Runs that failed at the same place in the same way. Times are aware UTC datetimes."""

    fingerprint: str
    workflow: str
    step: str | None
    """The step whose failure ended the runs; None where the body itself failed."""
    type: str
    message: str
    """Of the newest one."""
    place: str | None
    """File, line and function of the innermost line of user code."""
    first_at: Moment
    last_at: Moment
    count: int
    """Runs that stand failed now, up to 10,000. One that was taken up again is none of them."""
    workflow_ids: list[str]
    """The newest five of them."""
    state: FailureState
    state_by: str | None
    """Who said so; of an open one, who had resolved it before it came back."""
    state_at: Moment | None

    __pydantic_config__ = DESCRIBED
