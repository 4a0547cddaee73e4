"""Retention rules: how long runs are kept, beside the default retention."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from turbine.errors import NotFound
from turbine.http.request_context import Administering, Viewing
from turbine.http.schemas import Cursor, Limit, RequestSchema
from turbine.model.retention import RetentionRule, scope_of
from turbine.model.workflows import Page, WorkflowStatus
from turbine.operations.retention import KEPT_MAX, Retention

router = APIRouter(tags=["settings"])
Name = Annotated[str, Field(min_length=1, max_length=1000)]
End = Annotated[WorkflowStatus, Field(strict=False)]


class RetentionRuleRequest(RequestSchema):
    """A rule for a workflow, for a status, or for both."""

    workflow: Name | None = Field(default=None, examples=["place_order"])
    status: End | None = Field(default=None, examples=["ERROR"])
    keep: float | None = Field(
        ge=0,
        le=KEPT_MAX.total_seconds(),
        allow_inf_nan=False,
        examples=[7_776_000],
        description="Seconds after the end; null: forever.",
    )


@router.get("/retention")
async def list_rules(context: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Page[RetentionRule]:
    """A page of the rules, by workflow and status."""
    return await context.rt.retention.list(limit=limit, cursor=cursor)


@router.put("/retention")
async def put_rule(request: RetentionRuleRequest, context: Administering) -> RetentionRule:
    """Keep some runs longer or shorter than others; replaces an earlier rule for the same runs."""
    return await context.acting(Retention).set(request.keep, workflow=request.workflow, status=request.status)


@router.delete("/retention", status_code=204)
async def delete_rule(
    context: Administering,
    workflow: Annotated[str | None, Query(min_length=1, max_length=1000)] = None,
    status: WorkflowStatus | None = None,
) -> Response:
    """Delete the rule for exactly these runs; the next more general one decides then."""
    if not await context.acting(Retention).delete(workflow=workflow, status=status):
        raise NotFound(kind="rule", id=scope_of(workflow, status))
    return Response(status_code=204)
