"""Approvals: decisions of people for which runs wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

WAITING_LABEL: Final = "waiting for approval"
WAITING_COLOR: Final = "yellow"
"""The app status of a run while one of its approvals is open."""


class ApprovalStatus(StrEnum):
    """The status of an approval; it is decided at most once."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    """The run was cancelled, or ended for another reason, while it was open."""


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """The decision that `wait_for_approval` returns."""

    approved: bool
    comment: str = ""
    by: str | None = None
    at: datetime | None = None
    """The time of the decision, in UTC."""
    data: Any = None
    """The submitted form: an instance if the form is a model, else a dict; None without a form."""


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """A link for one decision. `token` is set only when it is created; only its hash is stored."""

    approval_id: str
    expires: Moment
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """An approval. Times are in UTC."""

    id: str
    workflow_id: str
    name: str
    """The name of the run's workflow."""
    function_id: int
    position: str
    title: str | None
    details: Any
    form: dict[str, Any] | None
    """The JSON Schema of the form."""
    status: ApprovalStatus
    due_at: Moment | None
    created: Moment
    decided_at: Moment | None
    by: str | None
    comment: str
    data: Any
    assignees: list[str] = field(default_factory=list[str])
    """The e-mail addresses of the people who are asked; if empty, everyone may decide."""
    summary: str | None = None
    """The summary of the run."""

    __pydantic_config__ = DESCRIBED
