"""Notification URLs for people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from turbine.http.listeners import Listener, changes_of
from turbine.http.request_context import Administering, RequestContext, Viewing
from turbine.http.schemas import Cursor, Items, Limit, Moment, RequestSchema, Schema
from turbine.model.alert_channels import AlertChannelRecord, QuietHours
from turbine.operations.alert_channels import AlertChannels
from turbine.operations.events import WORKFLOWS_MAX

router = APIRouter(tags=["alert channels"])


Hours = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["22:00"])]
Workflows = Annotated[
    list[str],
    Field(
        max_length=WORKFLOWS_MAX,
        description="Names of workflows, in which `*` is anything; empty: all.",
        examples=[["billing.*"]],
    ),
]


class Quiet(RequestSchema):
    """When alerts wait: from start up to end by the clock on the wall, over midnight when the end is not later."""

    model_config = ConfigDict(from_attributes=True)

    start: Hours
    end: Hours = Field(examples=["07:00"])
    timezone: str = Field(max_length=100, examples=["Europe/Berlin"])
    weekdays: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default_factory=list[Any], strict=False, description="On which days they begin; empty: on each."
    )
    urgent: list[str] = Field(
        default_factory=list[str],
        strict=False,
        description="Events that are told all the same.",
        examples=[["workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED"]],
    )

    def hours(self) -> QuietHours:
        return QuietHours(**self.model_dump())


class Channel(Listener):
    """A channel; its URL is masked, because it holds secrets."""

    name: str
    url: str = Field(examples=["slack://***"])
    workflows: Workflows
    quiet: Quiet | None
    quiet_until: Moment | None = Field(default=None, description="Until when it is quiet now; null when it is not.")


class NewChannel(RequestSchema):
    """A channel to be made; the URL is one of Apprise's."""

    name: str = Field(examples=["ops"])
    url: str = Field(max_length=4000, examples=["ntfy://ntfy.sh/our-topic"])
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True
    workflows: Workflows = Field(default_factory=list[str])
    quiet: Quiet | None = None


class ChannelChange(RequestSchema):
    """What is to be changed; what is left out stays."""

    name: str = ""
    url: str = Field(default="", max_length=4000)
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True
    workflows: Workflows = Field(default_factory=list[str])
    quiet: Quiet | None = Field(default=None, description="null: never quiet. What waits goes by the new hours.")


class Tested(Schema):
    """The service has taken the test message."""

    status: Literal["ok"] = "ok"


@router.get("/alert-channels")
async def listing(context: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Items[Channel]:
    """A page of channels, newest first."""
    page = await context.rt.alert_channels.list(limit=limit, cursor=cursor)
    return Items(items=[_shown(context, one) for one in page.items], next_cursor=page.next_cursor)


def _shown(context: RequestContext, record: AlertChannelRecord) -> Channel:
    shown = Channel.model_validate(record)
    shown.quiet_until = None if record.quiet is None else record.quiet.until(context.now())
    return shown


@router.post("/alert-channels", status_code=201)
async def create(asked: NewChannel, context: Administering) -> Channel:
    """Make a channel."""
    app = context.change(
        "alert_channel.create",
        asked.name[:200],
        events=asked.events,
        workflows=asked.workflows or None,
        quiet=None if asked.quiet is None else asked.quiet.model_dump(),
    )
    made = await AlertChannels(lambda: app).create(
        name=asked.name,
        url=asked.url,
        events=asked.events,
        enabled=asked.enabled,
        workflows=asked.workflows,
        quiet=None if asked.quiet is None else asked.quiet.hours(),
    )
    return _shown(context, made)


@router.get("/alert-channels/{id:key}")
async def one(id: str, context: Viewing) -> Channel:
    """A channel."""
    return _shown(context, await context.rt.alert_channels.get(id))


@router.patch("/alert-channels/{id:key}")
async def change(id: str, asked: ChannelChange, context: Administering) -> Channel:
    """Change a channel."""
    changes, told = changes_of(asked, hidden="url")
    if "quiet" in changes:
        changes["quiet"] = None if asked.quiet is None else asked.quiet.hours()
        told["quiet"] = "none" if asked.quiet is None else asked.quiet.model_dump()
    app = context.change("alert_channel.update", id, **told)
    return _shown(context, await AlertChannels(lambda: app).update(id, **changes))


@router.delete("/alert-channels/{id:key}", status_code=204)
async def delete(id: str, context: Administering) -> Response:
    """Remove a channel."""
    app = context.change("alert_channel.delete", id)
    await AlertChannels(lambda: app).delete(id)
    return Response(status_code=204)


@router.post("/alert-channels/{id:key}/test")
async def test(id: str, context: Administering) -> Tested:
    """Send a test message and wait for the service's answer; 502 when it does not take it."""
    app = context.change("alert_channel.test", id)
    await AlertChannels(lambda: app).test(id)
    return Tested()
