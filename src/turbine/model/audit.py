"""Who changed what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One change, written in its own transaction. Times are aware UTC datetimes."""

    id: str
    at: Moment
    actor: str
    """An e-mail address, `token:<name>`, `cli:<user>`, `host` for the host application's sign-in, or `local`."""
    role: str
    action: str
    """Noun and verb: `workflow.cancel`, `token.create`."""
    target: str
    """The id of what was changed, or its name where it has none."""
    workflow_id: str | None
    detail: dict[str, Any] | None

    __pydantic_config__ = DESCRIBED
