"""Signed URLs that hear of runs."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.actions.webhooks import Webhooks
from turbine.http.desk import Administering, Viewing
from turbine.http.shapes import Asked, Cursor, Items, Limit, Moment, Shape, given

router = APIRouter(tags=["webhooks"])


class Webhook(Shape):
    """A URL and the events it hears of; its secret is never shown."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    secret_set: bool
    created: Moment
    updated: Moment


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


@router.get("/webhooks")
async def listing(desk: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Items[Webhook]:
    """A page of webhooks, newest first."""
    return Items[Webhook].model_validate(await desk.rt.webhooks.list(limit=limit, cursor=cursor))


@router.post("/webhooks", status_code=201)
async def create(asked: NewWebhook, desk: Administering) -> Webhook:
    """Make a webhook."""
    port = desk.change("webhook.create", asked.url[:2000], events=asked.events)
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
    changes = given(asked)
    told = {name: value for name, value in changes.items() if name != "secret"}
    port = desk.change("webhook.update", id, secret="changed" if "secret" in changes else None, **told)
    return Webhook.model_validate(await Webhooks(lambda: port).update(id, **changes))


@router.delete("/webhooks/{id:key}", status_code=204)
async def delete(id: str, desk: Administering) -> Response:
    """Remove a webhook."""
    port = desk.change("webhook.delete", id)
    await Webhooks(lambda: port).delete(id)
    return Response(status_code=204)
