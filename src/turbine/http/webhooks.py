"""Signed URLs that hear of runs."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.actions.audit import line_of
from turbine.actions.webhooks import Webhooks
from turbine.http.desk import Administering, Viewing
from turbine.http.listeners import Listener, changes_of
from turbine.http.shapes import Asked, Cursor, Items, Limit, Moment, Seconds, Shape
from turbine.masking import mask_url
from turbine.tables import audit

router = APIRouter(tags=["webhooks"])


class Webhook(Listener):
    """A URL and the events it hears of; its secret is never shown."""

    url: str
    secret_set: bool


class NewWebhook(Asked):
    """A webhook to be made."""

    url: str = Field(examples=["https://example.com/hooks/turbine"])
    events: list[str] = Field(examples=[["workflow.ERROR", "workflow.SUCCESS"]])
    enabled: bool = True
    secret: str | None = Field(default=None, max_length=1000)


class WebhookChange(Asked):
    """What is to be changed; what is left out stays. `secret: null` takes the secret away."""

    url: str = ""
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True
    secret: str | None = Field(default=None, max_length=1000)


class Taken(Shape):
    """The receiver has taken the test event."""

    status_code: int = Field(examples=[204])
    duration: Seconds = Field(description="Seconds until it answered.")
    at: Moment


@router.get("/webhooks")
async def listing(desk: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Items[Webhook]:
    """A page of webhooks, newest first."""
    return Items[Webhook].model_validate(await desk.rt.webhooks.list(limit=limit, cursor=cursor))


@router.post("/webhooks", status_code=201)
async def create(asked: NewWebhook, desk: Administering) -> Webhook:
    """Make a webhook."""
    port = desk.change("webhook.create", mask_url(asked.url[:2000]), events=asked.events)
    made = await Webhooks(lambda: port).create(
        url=asked.url, events=asked.events, enabled=asked.enabled, secret=asked.secret
    )
    return Webhook.model_validate(made)


@router.get("/webhooks/{id:key}")
async def one(id: str, desk: Viewing) -> Webhook:
    """A webhook."""
    return Webhook.model_validate(await desk.rt.webhooks.get(id))


@router.patch("/webhooks/{id:key}")
async def change(id: str, asked: WebhookChange, desk: Administering) -> Webhook:
    """Change a webhook."""
    changes, told = changes_of(asked, hidden="secret")
    if "url" in told:
        told["url"] = mask_url(asked.url)
    port = desk.change("webhook.update", id, **told)
    return Webhook.model_validate(await Webhooks(lambda: port).update(id, **changes))


@router.delete("/webhooks/{id:key}", status_code=204)
async def delete(id: str, desk: Administering) -> Response:
    """Remove a webhook."""
    port = desk.change("webhook.delete", id)
    await Webhooks(lambda: port).delete(id)
    return Response(status_code=204)


@router.post("/webhooks/{id:key}/test")
async def test(id: str, desk: Administering) -> Taken:
    """Send a signed event `test`, also to a webhook that is disabled; 502 with its answer when it is not taken."""
    port = desk.port
    known = await desk.rt.webhooks.get(id)
    line = line_of(port.clock.now_ms(), desk.caller, "webhook.test", id, detail={"url": known.url})
    await port.store.write(audit.add, line=line)
    return Taken.model_validate(await desk.rt.webhooks.test(id))
