"""Everything that leaves the process, with its attempts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from turbine.http.request_context import Operating, Viewing
from turbine.http.schemas import Cursor, Items, Limit, Moment, Schema, Seconds
from turbine.model.deliveries import DeliveryKind, DeliveryStatus
from turbine.operations.deliveries import Deliveries

router = APIRouter(tags=["deliveries"])
Text = Annotated[str | None, Query(max_length=2000)]


class Attempt(Schema):
    """One try."""

    number: int
    at: Moment
    status_code: int | None
    error: str | None
    duration: Seconds


class Delivery(Schema):
    """Something outgoing."""

    id: str
    kind: DeliveryKind
    target: str
    event: str | None
    workflow_id: str | None
    status: DeliveryStatus
    attempts: list[Attempt]
    next_at: Moment | None
    created: Moment


@router.get("/deliveries")
async def listing(
    context: Viewing,
    status: Annotated[list[DeliveryStatus] | None, Query()] = None,
    kind: Annotated[list[DeliveryKind] | None, Query()] = None,
    event: Text = None,
    target: Text = None,
    workflow_id: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Delivery]:
    """A page of deliveries, newest first."""
    page = await context.rt.deliveries.list(
        status=status,
        kind=kind,
        event=event or None,
        target=target or None,
        workflow_id=workflow_id or None,
        limit=limit,
        cursor=cursor,
    )
    return Items[Delivery].model_validate(page)


@router.get("/deliveries/{id:key}")
async def one(id: str, context: Viewing) -> Delivery:
    """A delivery."""
    return Delivery.model_validate(await context.rt.deliveries.get(id))


@router.post("/deliveries/{id:key}/resend")
async def resend(id: str, context: Operating) -> Delivery:
    """Try again at once, with as many attempts as a new one; 409 while it is pending."""
    known = await context.rt.deliveries.get(id)
    app = context.change("delivery.resend", id, workflow_id=known.workflow_id)
    return Delivery.model_validate(await Deliveries(lambda: app).resend(id))
