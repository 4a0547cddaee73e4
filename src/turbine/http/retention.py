"""How long runs are kept: rules beside the usual retention."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from turbine.errors import NotFound
from turbine.http.request_context import Administering, Viewing
from turbine.http.schemas import Cursor, Items, Limit, Moment, RequestSchema, Schema, Seconds
from turbine.model.retention import scope_of
from turbine.model.workflows import WorkflowStatus
from turbine.operations.retention import KEPT_MAX, Retention

router = APIRouter(tags=["settings"])
Name = Annotated[str, Field(min_length=1, max_length=1000)]
End = Annotated[WorkflowStatus, Field(strict=False)]


class Rule(Schema):
    """How long some runs are kept after their end. The rule that says most decides."""

    workflow: str | None = Field(examples=["place_order"], description="null: of any workflow.")
    status: WorkflowStatus | None = Field(examples=["ERROR"], description="null: of any status.")
    keep: Seconds | None = Field(description="Seconds; null: for ever.")
    updated: Moment


class NewRule(RequestSchema):
    """A rule for a workflow, for a status, or for both."""

    workflow: Name | None = Field(default=None, examples=["place_order"])
    status: End | None = Field(default=None, examples=["ERROR"])
    keep: float | None = Field(
        ge=0,
        le=KEPT_MAX.total_seconds(),
        allow_inf_nan=False,
        examples=[7_776_000],
        description="Seconds after the end; null: for ever.",
    )


@router.get("/retention")
async def listing(context: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Items[Rule]:
    """A page of the rules, by workflow and status."""
    return Items[Rule].model_validate(await context.rt.retention.list(limit=limit, cursor=cursor))


@router.put("/retention")
async def put(asked: NewRule, context: Administering) -> Rule:
    """Keep some runs longer or shorter than others, in the place of an earlier rule for the same runs."""
    app = context.change("retention.set", scope_of(asked.workflow, asked.status), keep=asked.keep)
    rule = await Retention(lambda: app).set(asked.keep, workflow=asked.workflow, status=asked.status)
    return Rule.model_validate(rule)


@router.delete("/retention", status_code=204)
async def delete(
    context: Administering,
    workflow: Annotated[str | None, Query(min_length=1, max_length=1000)] = None,
    status: WorkflowStatus | None = None,
) -> Response:
    """Lift the rule for exactly these runs; the next one that speaks of them decides."""
    app = context.change("retention.delete", scope_of(workflow, status))
    if not await Retention(lambda: app).delete(workflow=workflow, status=status):
        raise NotFound(kind="rule", id=scope_of(workflow, status))
    return Response(status_code=204)
