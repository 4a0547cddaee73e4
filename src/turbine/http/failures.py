"""Runs that failed in the same way, together."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from turbine.http.request_context import Operating, Viewing
from turbine.http.schemas import Cursor, Items, Limit, Moment, RequestSchema, Schema, When
from turbine.model.failures import FailureState
from turbine.operations.failures import Failures

router = APIRouter(tags=["errors"])


class Group(Schema):
    """Runs that failed in the same way."""

    fingerprint: str = Field(examples=["9f2c1e07a4b35d68"])
    workflow: str = Field(examples=["place_order"])
    step: str | None = Field(examples=["charge"])
    type: str = Field(examples=["shop.PaymentDeclined"])
    message: str = Field(description="Of the newest run.")
    place: str | None = Field(examples=["shop.py:104 in charge"])
    count: int = Field(description="Runs that stand failed now, up to 10,000.")
    first_at: Moment
    last_at: Moment
    workflow_ids: list[str] = Field(description="The newest five of these runs.")
    state: FailureState
    state_by: str | None = Field(description="Who said so; of an open one, who had resolved it before it came back.")
    state_at: Moment | None


class Mark(RequestSchema):
    """What to think of it: a resolved one is open again when it is seen again, an ignored one stays ignored."""

    state: Literal["open", "resolved", "ignored"]


@router.get("/errors")
async def listing(
    context: Viewing,
    state: Literal["open", "resolved", "ignored", "all"] = "open",
    from_: Annotated[When | None, Query(alias="from")] = None,
    to: When | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Group]:
    """A page of the kinds of failures that were seen in a span of time, the last seen first."""
    earliest: datetime | None = from_
    page = await context.rt.failures.list(
        state=None if state == "all" else state, after=earliest, before=to, limit=limit, cursor=cursor
    )
    return Items[Group].model_validate(page)


@router.get("/errors/{fingerprint:key}")
async def one(fingerprint: str, context: Viewing) -> Group:
    """A kind of failure."""
    return Group.model_validate(await context.rt.failures.get(fingerprint))


@router.put("/errors/{fingerprint:key}/state")
async def mark(fingerprint: str, asked: Mark, context: Operating) -> Group:
    """Resolve, ignore or reopen a kind of failure. Its runs are tried again by `POST workflows/bulk`."""
    verb = {"open": "reopen", "resolved": "resolve", "ignored": "ignore"}[asked.state]
    app = context.change(f"error.{verb}", fingerprint)
    found = await Failures(lambda: app).mark(fingerprint, asked.state, by=context.principal.name)
    return Group.model_validate(found)
