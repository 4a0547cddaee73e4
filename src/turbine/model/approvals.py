"""What is known of a gate at which a run waits for a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

WAITING_LABEL: Final = "waiting for approval"
WAITING_COLOR: Final = "yellow"
"""The app status of a run while one of its gates is open."""


class ApprovalStatus(StrEnum):
    """Where a gate stands; it is decided at most once."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    """Its run was cancelled, or ended for another reason, while it was open."""


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """What `wait_for_approval` gives the workflow."""

    approved: bool
    comment: str = ""
    by: str | None = None
    at: datetime | None = None
    """When it was decided, an aware UTC time."""
    data: Any = None
    """The form as filled in: an instance when the form is a model, else a dict; None without a form."""


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """A link for one decision about one gate. `token` is there once, when it is made; only its hash is kept."""

    approval_id: str
    expires: Moment
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """A gate as its row tells it. Times are aware UTC datetimes."""

    id: str
    workflow_id: str
    name: str
    """The name of the run's workflow."""
    function_id: int
    position: str
    title: str | None
    details: Any
    form: dict[str, Any] | None
    """The JSON Schema of what the approver fills in."""
    status: ApprovalStatus
    due_at: Moment | None
    created: Moment
    decided_at: Moment | None
    by: str | None
    comment: str
    data: Any
    assignees: list[str] = field(default_factory=list[str])
    """The e-mail addresses of those whose decision it waits for; without any, anybody's."""
    summary: str | None = None
    """The summary of the run."""

    __pydantic_config__ = DESCRIBED
