"""Routes of approvals, and of links for a decision without an account."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from turbine.http.auth import base_of
from turbine.http.request_context import Deciding, Operating, Viewing, runtime_of
from turbine.http.schemas import Cursor, Json, Limit, Moment, RequestSchema, Schema
from turbine.model.approvals import ApprovalRecord, ApprovalStatus
from turbine.model.workflows import Page
from turbine.operations.approvals import Approvals

router = APIRouter(tags=["approvals"])


class DecisionRequest(RequestSchema):
    """Yes or no, the reason, and the filled-in form."""

    approved: bool
    comment: str = Field(default="", max_length=10_000)
    data: Json = None


class LinkRequest(RequestSchema):
    """How long the link is valid if it is not used before."""

    hours: float = Field(default=24, gt=0, le=24 * 31, allow_inf_nan=False)


class LinkResponse(Schema):
    """A link for one decision without sign-in; shown only once."""

    token: str
    path: str = Field(
        description="On this server. The token is behind the #, which browsers do not send.",
        examples=["/_/turbine/decide#kxL0…"],
    )
    expires: Moment


class TokenRequest(RequestSchema):
    """The token of a link."""

    token: str = Field(max_length=200)


class LinkDecisionRequest(DecisionRequest):
    """The token of a link, and the decision."""

    token: str = Field(max_length=200)


class QuestionResponse(Schema):
    """The question that is shown to the holder of a link, and nothing else."""

    title: str | None
    name: str = Field(description="The workflow.")
    details: Json
    form: dict[str, Any] | None
    status: ApprovalStatus
    due_at: Moment | None
    created: Moment
    expires: Moment | None = Field(default=None, description="When the link expires.")


@router.get("/approvals")
async def listing(
    context: Viewing,
    open: Literal["true", "false", "all"] = "true",
    workflow_id: Annotated[str | None, Query(max_length=2000)] = None,
    assignee: Annotated[
        str | None,
        Query(
            max_length=320,
            description="An e-mail address, or `me`: approvals assigned to that person or to no one.",
            examples=["me"],
        ),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ApprovalRecord]:
    """A page of approvals, newest first: open ones, closed ones, or all."""
    return await context.rt.approvals.list(
        workflow_id,
        {"true": True, "false": False, "all": None}[open],
        assignee=(context.principal.email or "") if assignee == "me" else assignee,
        limit=limit,
        cursor=cursor,
    )


@router.get("/approvals/{id:key}")
async def get_approval(id: str, context: Viewing) -> ApprovalRecord:
    """An approval."""
    return await context.rt.approvals.get(id)


@router.post("/approvals/{id:key}/decide")
async def decide(id: str, request: DecisionRequest, context: Deciding) -> ApprovalRecord:
    """Decide, at most once. Approvers decide approvals that are assigned to them or to no one."""
    approvals = context.acting(Approvals)
    return await approvals.decide(
        (await approvals.get(id)).workflow_id,
        request.approved,
        request.comment,
        by=context.principal.name,
        data=request.data,
        approval_id=id,
        only_as=context.only_as,
    )


@router.post("/approvals/{id:key}/link", status_code=201)
async def link(id: str, body: LinkRequest, context: Operating, request: Request) -> LinkResponse:
    """Make a link with which a person without an account decides this approval, once."""
    approvals = context.acting(Approvals)
    made = await approvals.link(id, lasts=timedelta(hours=body.hours), by=context.principal.name)
    return LinkResponse(
        token=made.token, path=f"{base_of(request)}/_/turbine/decide#{made.token}", expires=made.expires
    )


@router.post("/decide/look")
async def get_question(body: TokenRequest, request: Request) -> QuestionResponse:
    """The question of a link; its token is the sign-in. It is in the body so that no access log has it."""
    approval, expires = await runtime_of(request).approvals.of_link(body.token)
    return _question(approval, expires)


@router.post("/decide")
async def decide_by_link(body: LinkDecisionRequest, request: Request) -> QuestionResponse:
    """Decide with a link, which uses it up."""
    approvals = runtime_of(request).approvals
    return _question(await approvals.decide_by_link(body.token, body.approved, body.comment, data=body.data))


def _question(approval: ApprovalRecord, expires: datetime | None = None) -> QuestionResponse:
    question = QuestionResponse.model_validate(approval)
    question.expires = expires
    return question
