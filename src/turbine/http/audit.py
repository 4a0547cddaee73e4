"""The audit log: who changed what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from turbine.http.request_context import Administering
from turbine.http.schemas import Cursor, Limit, When
from turbine.model.audit import AuditRecord
from turbine.model.workflows import Page

router = APIRouter(tags=["audit"])
Text = Annotated[str | None, Query(max_length=2000)]


@router.get("/audit")
async def list_audit(
    context: Administering,
    actor: Text = None,
    action: Text = None,
    target: Text = None,
    workflow_id: Text = None,
    after: When | None = None,
    before: When | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditRecord]:
    """A page of changes, newest first."""
    return await context.rt.audit.list(
        actor=actor or None,
        action=action or None,
        target=target or None,
        workflow_id=workflow_id or None,
        after=after,
        before=before,
        limit=limit,
        cursor=cursor,
    )
