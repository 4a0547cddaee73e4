"""Webhooks: signed URLs that receive events of runs."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.http.request_context import Administering, Viewing
from turbine.http.schemas import Cursor, Limit, RequestSchema, Schema, given
from turbine.model.deliveries import DeliveryAttempt
from turbine.model.times import Moment, Seconds
from turbine.model.webhooks import WebhookRecord
from turbine.model.workflows import Page
from turbine.operations.webhooks import Webhooks

router = APIRouter(tags=["webhooks"])


class WebhookRequest(RequestSchema):
    """A new webhook."""

    url: str = Field(examples=["https://example.com/hooks/turbine"])
    events: list[str] = Field(examples=[["workflow.ERROR", "workflow.SUCCESS"]])
    enabled: bool = True
    secret: str | None = Field(default=None, max_length=1000)


class WebhookChangeRequest(RequestSchema):
    """The fields to change. `secret: null` removes the secret."""

    url: str = ""
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True
    secret: str | None = Field(default=None, max_length=1000)


class WebhookTestResponse(Schema):
    """The receiver's answer to the test event."""

    status_code: int = Field(examples=[204])
    duration: Seconds = Field(description="Seconds until it answered.")
    at: Moment


@router.get("/webhooks")
async def list_webhooks(context: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Page[WebhookRecord]:
    """A page of webhooks, newest first."""
    return await context.rt.webhooks.list(limit=limit, cursor=cursor)


@router.post("/webhooks", status_code=201)
async def create_webhook(request: WebhookRequest, context: Administering) -> WebhookRecord:
    """Create a webhook."""
    return await context.acting(Webhooks).create(
        url=request.url, events=request.events, enabled=request.enabled, secret=request.secret
    )


@router.get("/webhooks/{id:key}")
async def get_webhook(id: str, context: Viewing) -> WebhookRecord:
    """A webhook; its secret is never shown."""
    return await context.rt.webhooks.get(id)


@router.patch("/webhooks/{id:key}")
async def update_webhook(id: str, request: WebhookChangeRequest, context: Administering) -> WebhookRecord:
    """Change a webhook."""
    return await context.acting(Webhooks).update(id, **given(request))


@router.delete("/webhooks/{id:key}", status_code=204)
async def delete_webhook(id: str, context: Administering) -> Response:
    """Delete a webhook."""
    await context.acting(Webhooks).delete(id)
    return Response(status_code=204)


@router.post("/webhooks/{id:key}/test", response_model=WebhookTestResponse)
async def test_webhook(id: str, context: Administering) -> DeliveryAttempt:
    """Send a signed `test` event, also to a disabled webhook; 502 with the receiver's answer when it refuses."""
    return await context.acting(Webhooks).test(id)
