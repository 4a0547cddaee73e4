"""Everything that leaves the process, with its attempts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from turbine.actions.deliveries import Deliveries
from turbine.http.desk import Operating, Viewing
from turbine.http.shapes import Cursor, Items, Limit, Moment, Seconds, Shape
from turbine.model.deliveries import DeliveryKind, DeliveryStatus

router = APIRouter(tags=["deliveries"])
Text = Annotated[str | None, Query(max_length=2000)]


class Attempt(Shape):
    """One try."""

    number: int
    at: Moment
    status_code: int | None
    error: str | None
    duration: Seconds


class Delivery(Shape):
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
    desk: Viewing,
    status: Annotated[list[DeliveryStatus] | None, Query()] = None,
    kind: Annotated[list[DeliveryKind] | None, Query()] = None,
    event: Text = None,
    target: Text = None,
    workflow_id: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Delivery]:
    """A page of deliveries, newest first."""
    page = await desk.rt.deliveries.list(
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
async def one(id: str, desk: Viewing) -> Delivery:
    """A delivery."""
    return Delivery.model_validate(await desk.rt.deliveries.get(id))


@router.post("/deliveries/{id:key}/resend")
async def resend(id: str, desk: Operating) -> Delivery:
    """Try again at once, with as many attempts as a new one; 409 while it is pending."""
    known = await desk.rt.deliveries.get(id)
    port = desk.change("delivery.resend", id, workflow_id=known.workflow_id)
    return Delivery.model_validate(await Deliveries(lambda: port).resend(id))
