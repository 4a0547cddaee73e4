"""Notification URLs for people."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.actions.alert_channels import AlertChannels
from turbine.http.desk import Administering, Viewing
from turbine.http.listeners import Listener, changes_of
from turbine.http.shapes import Asked, Cursor, Items, Limit, Shape

router = APIRouter(tags=["alert channels"])


class Channel(Listener):
    """A channel; its URL is masked, because it holds secrets."""

    name: str
    url: str = Field(examples=["slack://***"])


class NewChannel(Asked):
    """A channel to be made; the URL is one of Apprise's."""

    name: str = Field(examples=["ops"])
    url: str = Field(max_length=4000, examples=["ntfy://ntfy.sh/our-topic"])
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True


class ChannelChange(Asked):
    """What is to be changed; what is left out stays."""

    name: str = ""
    url: str = Field(default="", max_length=4000)
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True


class Tested(Shape):
    """The service has taken the test message."""

    status: Literal["ok"] = "ok"


@router.get("/alert-channels")
async def listing(desk: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Items[Channel]:
    """A page of channels, newest first."""
    return Items[Channel].model_validate(await desk.rt.alert_channels.list(limit=limit, cursor=cursor))


@router.post("/alert-channels", status_code=201)
async def create(asked: NewChannel, desk: Administering) -> Channel:
    """Make a channel."""
    port = desk.change("alert_channel.create", asked.name[:200], events=asked.events)
    made = await AlertChannels(lambda: port).create(
        name=asked.name, url=asked.url, events=asked.events, enabled=asked.enabled
    )
    return Channel.model_validate(made)


@router.get("/alert-channels/{id:key}")
async def one(id: str, desk: Viewing) -> Channel:
    """A channel."""
    return Channel.model_validate(await desk.rt.alert_channels.get(id))


@router.patch("/alert-channels/{id:key}")
async def change(id: str, asked: ChannelChange, desk: Administering) -> Channel:
    """Change a channel."""
    changes, told = changes_of(asked, hidden="url")
    port = desk.change("alert_channel.update", id, **told)
    return Channel.model_validate(await AlertChannels(lambda: port).update(id, **changes))


@router.delete("/alert-channels/{id:key}", status_code=204)
async def delete(id: str, desk: Administering) -> Response:
    """Remove a channel."""
    port = desk.change("alert_channel.delete", id)
    await AlertChannels(lambda: port).delete(id)
    return Response(status_code=204)


@router.post("/alert-channels/{id:key}/test")
async def test(id: str, desk: Administering) -> Tested:
    """Send a test message and wait for the service's answer; 502 when it does not take it."""
    port = desk.change("alert_channel.test", id)
    await AlertChannels(lambda: port).test(id)
    return Tested()
