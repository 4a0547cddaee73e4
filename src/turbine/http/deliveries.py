"""Deliveries: everything that leaves the process, with its attempts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from turbine.http.request_context import Operating, Viewing
from turbine.http.schemas import Cursor, Limit
from turbine.model.deliveries import DeliveryKind, DeliveryRecord, DeliveryStatus
from turbine.model.workflows import Page
from turbine.operations.deliveries import Deliveries

router = APIRouter(tags=["deliveries"])
Text = Annotated[str | None, Query(max_length=2000)]


@router.get("/deliveries")
async def list_deliveries(
    context: Viewing,
    status: Annotated[list[DeliveryStatus] | None, Query()] = None,
    kind: Annotated[list[DeliveryKind] | None, Query()] = None,
    event: Text = None,
    target: Text = None,
    workflow_id: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryRecord]:
    """A page of deliveries, newest first."""
    return await context.rt.deliveries.list(
        status=status,
        kind=kind,
        event=event or None,
        target=target or None,
        workflow_id=workflow_id or None,
        limit=limit,
        cursor=cursor,
    )


@router.get("/deliveries/{id:key}")
async def get_delivery(id: str, context: Viewing) -> DeliveryRecord:
    """A delivery."""
    return await context.rt.deliveries.get(id)


@router.post("/deliveries/{id:key}/resend")
async def resend_delivery(id: str, context: Operating) -> DeliveryRecord:
    """Send it again at once, with as many attempts as a new one; 409 while it is pending."""
    return await context.acting(Deliveries).resend(id)
