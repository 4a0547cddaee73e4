"""Signed URLs that hear of runs."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.http.listeners import Listener, changes_of
from turbine.http.request_context import Administering, Viewing
from turbine.http.schemas import Cursor, Items, Limit, Moment, RequestSchema, Schema, Seconds
from turbine.masking import mask_url
from turbine.operations.audit import line_of
from turbine.operations.webhooks import Webhooks
from turbine.tables import audit

router = APIRouter(tags=["webhooks"])


class Webhook(Listener):
    """A URL and the events it hears of; its secret is never shown."""

    url: str
    secret_set: bool


class NewWebhook(RequestSchema):
    """A webhook to be made."""

    url: str = Field(examples=["https://example.com/hooks/turbine"])
    events: list[str] = Field(examples=[["workflow.ERROR", "workflow.SUCCESS"]])
    enabled: bool = True
    secret: str | None = Field(default=None, max_length=1000)


class WebhookChange(RequestSchema):
    """What is to be changed; what is left out stays. `secret: null` takes the secret away."""

    url: str = ""
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True
    secret: str | None = Field(default=None, max_length=1000)


class Taken(Schema):
    """The receiver has taken the test event."""

    status_code: int = Field(examples=[204])
    duration: Seconds = Field(description="Seconds until it answered.")
    at: Moment


@router.get("/webhooks")
async def listing(context: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Items[Webhook]:
    """A page of webhooks, newest first."""
    return Items[Webhook].model_validate(await context.rt.webhooks.list(limit=limit, cursor=cursor))


@router.post("/webhooks", status_code=201)
async def create(asked: NewWebhook, context: Administering) -> Webhook:
    """Make a webhook."""
    app = context.change("webhook.create", mask_url(asked.url[:2000]), events=asked.events)
    made = await Webhooks(lambda: app).create(
        url=asked.url, events=asked.events, enabled=asked.enabled, secret=asked.secret
    )
    return Webhook.model_validate(made)


@router.get("/webhooks/{id:key}")
async def one(id: str, context: Viewing) -> Webhook:
    """A webhook."""
    return Webhook.model_validate(await context.rt.webhooks.get(id))


@router.patch("/webhooks/{id:key}")
async def change(id: str, asked: WebhookChange, context: Administering) -> Webhook:
    """Change a webhook."""
    changes, told = changes_of(asked, hidden="secret")
    if "url" in told:
        told["url"] = mask_url(asked.url)
    app = context.change("webhook.update", id, **told)
    return Webhook.model_validate(await Webhooks(lambda: app).update(id, **changes))


@router.delete("/webhooks/{id:key}", status_code=204)
async def delete(id: str, context: Administering) -> Response:
    """Remove a webhook."""
    app = context.change("webhook.delete", id)
    await Webhooks(lambda: app).delete(id)
    return Response(status_code=204)


@router.post("/webhooks/{id:key}/test")
async def test(id: str, context: Administering) -> Taken:
    """Send a signed event `test`, also to a webhook that is disabled; 502 with its answer when it is not taken."""
    app = context.app
    known = await context.rt.webhooks.get(id)
    line = line_of(app.clock.now_ms(), context.principal, "webhook.test", id, detail={"url": known.url})
    await app.store.write(audit.add, line=line)
    return Taken.model_validate(await context.rt.webhooks.test(id))
