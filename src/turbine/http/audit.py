"""Who changed what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from turbine.http.request_context import Administering
from turbine.http.schemas import Cursor, Items, Limit, Moment, Schema, When

router = APIRouter(tags=["audit"])
Text = Annotated[str | None, Query(max_length=2000)]


class Line(Schema):
    """One change."""

    id: str
    at: Moment
    actor: str
    role: str
    action: str
    target: str
    workflow_id: str | None
    detail: dict[str, Any] | None


@router.get("/audit")
async def listing(
    context: Administering,
    actor: Text = None,
    action: Text = None,
    target: Text = None,
    workflow_id: Text = None,
    after: When | None = None,
    before: When | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Line]:
    """A page of changes, newest first."""
    page = await context.rt.audit.list(
        actor=actor or None,
        action=action or None,
        target=target or None,
        workflow_id=workflow_id or None,
        after=after,
        before=before,
        limit=limit,
        cursor=cursor,
    )
    return Items[Line].model_validate(page)
