"""Gates at which runs wait for a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from turbine.http.auth import base_of
from turbine.http.request_context import Deciding, Operating, RequestContext, Viewing, runtime_of
from turbine.http.schemas import Cursor, Items, Json, Limit, Moment, RequestSchema, Schema
from turbine.model.approvals import ApprovalRecord, ApprovalStatus
from turbine.operations.approvals import Approvals
from turbine.tables import run_details

router = APIRouter(tags=["approvals"])


class Approval(Schema):
    """A gate."""

    id: str
    workflow_id: str
    name: str
    function_id: int
    position: str
    title: str | None
    details: Json
    form: dict[str, Any] | None = Field(description="The JSON Schema of what the approver fills in.")
    status: ApprovalStatus
    due_at: Moment | None
    created: Moment
    decided_at: Moment | None
    by: str | None
    comment: str
    data: Json
    assignees: list[str] = Field(
        description="The e-mail addresses of those whose decision it waits for; empty: anybody's.",
        examples=[["ada@example.com"]],
    )
    summary: str | None = Field(default=None, description="The run's summary.")


class Decision(RequestSchema):
    """Yes or no, why, and the form as filled in."""

    approved: bool
    comment: str = Field(default="", max_length=10_000)
    data: Json = None


class NewLink(RequestSchema):
    """How long the link counts, if it is not used before."""

    hours: float = Field(default=24, gt=0, le=24 * 31, allow_inf_nan=False)


class Link(Schema):
    """A link for one decision, without sign-in; shown this once."""

    token: str
    path: str = Field(
        description="On this server. The token is behind the #, which browsers send to nobody.",
        examples=["/_/turbine/decide#kxL0…"],
    )
    expires: Moment


class ByLink(RequestSchema):
    """The token of a link."""

    token: str = Field(max_length=200)


class DecisionByLink(Decision):
    """The token of a link, and the decision."""

    token: str = Field(max_length=200)


class Asking(Schema):
    """What somebody with a link gets to see: the question, and nothing else."""

    title: str | None
    name: str = Field(description="The workflow.")
    details: Json
    form: dict[str, Any] | None
    status: ApprovalStatus
    due_at: Moment | None
    created: Moment
    expires: Moment | None = Field(default=None, description="Until when the link counts.")


@router.get("/approvals")
async def listing(
    context: Viewing,
    open: Literal["true", "false", "all"] = "true",
    workflow_id: Annotated[str | None, Query(max_length=2000)] = None,
    assignee: Annotated[
        str | None,
        Query(
            max_length=320,
            description="An e-mail address, or `me`: what is assigned to them, or to nobody.",
            examples=["me"],
        ),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Approval]:
    """A page of gates, newest first: open ones, decided ones, or all."""
    page = await context.rt.approvals.list(
        workflow_id,
        {"true": True, "false": False, "all": None}[open],
        assignee=(context.principal.email or "") if assignee == "me" else assignee,
        limit=limit,
        cursor=cursor,
    )
    return Items(items=await _with_summaries(context, page.items), next_cursor=page.next_cursor)


async def _with_summaries(context: RequestContext, records: list[ApprovalRecord]) -> list[Approval]:
    ids = sorted({one.workflow_id for one in records})
    summaries = await context.app.store.read(run_details.summaries, ids=ids)
    shown = [Approval.model_validate(one) for one in records]
    for one in shown:
        one.summary = summaries.get(one.workflow_id)
    return shown


@router.get("/approvals/{id:key}")
async def one(id: str, context: Viewing) -> Approval:
    """A gate."""
    (shown,) = await _with_summaries(context, [await context.rt.approvals.get(id)])
    return shown


@router.post("/approvals/{id:key}/decide")
async def decide(id: str, asked: Decision, context: Deciding) -> Approval:
    """Decide; a gate is decided at most once. Approvers decide what is assigned to them or to nobody."""
    gate = await context.rt.approvals.get(id)
    app = context.change("approval.decide", id, workflow_id=gate.workflow_id, approved=asked.approved)
    await Approvals(lambda: app).decide(
        gate.workflow_id,
        asked.approved,
        asked.comment,
        by=context.principal.name,
        data=asked.data,
        approval_id=id,
        only_as=context.only_as,
    )
    (shown,) = await _with_summaries(context, [await context.rt.approvals.get(id)])
    return shown


@router.post("/approvals/{id:key}/link", status_code=201)
async def link(id: str, asked: NewLink, context: Operating, request: Request) -> Link:
    """Make a link by which somebody without an account decides this gate, once."""
    gate = await context.rt.approvals.get(id)
    app = context.change("approval.link", id, workflow_id=gate.workflow_id, hours=asked.hours)
    made = await Approvals(lambda: app).link(id, lasts=timedelta(hours=asked.hours), by=context.principal.name)
    return Link(token=made.token, path=f"{base_of(request)}/_/turbine/decide#{made.token}", expires=made.expires)


@router.post("/decide/look")
async def look_by_link(asked: ByLink, request: Request) -> Asking:
    """The question that a link is for; the token is the sign-in. In a body, so that no log of addresses has it."""
    gate, expires = await runtime_of(request).approvals.of_link(asked.token)
    shown = Asking.model_validate(gate)
    shown.expires = expires
    return shown


@router.post("/decide")
async def decide_by_link(asked: DecisionByLink, request: Request) -> Asking:
    """Decide by a link, which is used up by it."""
    gate = await runtime_of(request).approvals.decide_by_link(
        asked.token, asked.approved, asked.comment, data=asked.data
    )
    return Asking.model_validate(gate)
