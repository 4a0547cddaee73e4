"""How long runs are kept: rules beside the usual retention."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from turbine.actions.retention import KEPT_MAX, Retention
from turbine.errors import NotFound
from turbine.http.desk import Administering, Viewing
from turbine.http.shapes import Asked, Cursor, Items, Limit, Moment, Seconds, Shape
from turbine.model.retention import scope_of
from turbine.model.workflows import WorkflowStatus

router = APIRouter(tags=["settings"])
Name = Annotated[str, Field(min_length=1, max_length=1000)]
End = Annotated[WorkflowStatus, Field(strict=False)]


class Rule(Shape):
    """How long some runs are kept after their end. The rule that says most decides."""

    workflow: str | None = Field(examples=["place_order"], description="null: of any workflow.")
    status: WorkflowStatus | None = Field(examples=["ERROR"], description="null: of any status.")
    keep: Seconds | None = Field(description="Seconds; null: for ever.")
    updated: Moment


class NewRule(Asked):
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
async def listing(desk: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Items[Rule]:
    """A page of the rules, by workflow and status."""
    return Items[Rule].model_validate(await desk.rt.retention.list(limit=limit, cursor=cursor))


@router.put("/retention")
async def put(asked: NewRule, desk: Administering) -> Rule:
    """Keep some runs longer or shorter than others, in the place of an earlier rule for the same runs."""
    port = desk.change("retention.set", scope_of(asked.workflow, asked.status), keep=asked.keep)
    rule = await Retention(lambda: port).set(asked.keep, workflow=asked.workflow, status=asked.status)
    return Rule.model_validate(rule)


@router.delete("/retention", status_code=204)
async def delete(
    desk: Administering,
    workflow: Annotated[str | None, Query(min_length=1, max_length=1000)] = None,
    status: WorkflowStatus | None = None,
) -> Response:
    """Lift the rule for exactly these runs; the next one that speaks of them decides."""
    port = desk.change("retention.delete", scope_of(workflow, status))
    if not await Retention(lambda: port).delete(workflow=workflow, status=status):
        raise NotFound(kind="rule", id=scope_of(workflow, status))
    return Response(status_code=204)
