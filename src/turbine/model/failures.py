"""Groups of failures with the same cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


class FailureState(StrEnum):
    """The state of a group of failures. A resolved group becomes open again with the next failure."""

    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Runs that failed in the same way at the same line. Times are in UTC."""

    fingerprint: str
    workflow: str
    step: str | None
    """The step whose failure ended the runs; None if the body failed."""
    type: str
    message: str
    """The message of the newest failure."""
    place: str | None
    """File, line and function of the innermost line of user code."""
    first_at: Moment
    last_at: Moment
    count: int
    """The number of runs that are in ERROR now, at most 10,000; resumed runs do not count."""
    workflow_ids: list[str]
    """The newest five of these runs."""
    state: FailureState
    state_by: str | None
    """The person who set the state; for an open group, the one who had resolved it before it failed again."""
    state_at: Moment | None

    __pydantic_config__ = DESCRIBED
