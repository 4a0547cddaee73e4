"""The audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A change, recorded in its own transaction. Times are in UTC."""

    id: str
    at: Moment
    actor: str
    """An e-mail address, `token:<name>`, `cli:<user>`, `host` for the host application's sign-in, or `local`."""
    role: str
    action: str
    """Object and verb: `workflow.cancel`, `token.create`."""
    target: str
    """The id of the changed object, or its name if it has no id."""
    workflow_id: str | None
    detail: dict[str, Any] | None

    __pydantic_config__ = DESCRIBED
