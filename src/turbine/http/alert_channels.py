"""Alert channels: notification URLs for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.http.request_context import Administering, RequestContext, Viewing
from turbine.http.schemas import Cursor, Limit, RequestSchema, Schema, given
from turbine.model.alert_channels import AlertChannelRecord, QuietHours
from turbine.model.records import extended
from turbine.model.times import Moment
from turbine.model.workflows import Page
from turbine.operations.alert_channels import AlertChannels
from turbine.operations.events import WORKFLOWS_MAX

router = APIRouter(tags=["alert channels"])


Hours = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["22:00"])]
Workflows = Annotated[
    list[str],
    Field(
        max_length=WORKFLOWS_MAX,
        description="Names of workflows, in which `*` matches anything; empty: all.",
        examples=[["billing.*"]],
    ),
]


class QuietHoursRequest(RequestSchema):
    """When alerts wait: from start to end in local time, past midnight when the end is not later."""

    start: Hours
    end: Hours = Field(examples=["07:00"])
    timezone: str = Field(max_length=100, examples=["Europe/Berlin"])
    weekdays: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default_factory=list[Any], strict=False, description="The days on which they begin; empty: every day."
    )
    urgent: list[str] = Field(
        default_factory=list[str],
        strict=False,
        description="Events that are sent nevertheless.",
        examples=[["workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED"]],
    )

    def hours(self) -> QuietHours:
        return QuietHours(**self.model_dump())


@dataclass(frozen=True, slots=True)
class AlertChannelResponse(AlertChannelRecord):
    """A channel; its URL is masked, because it holds secrets."""

    quiet_until: Moment | None = None
    """The end of the current quiet hours; null when it is not quiet."""


class AlertChannelRequest(RequestSchema):
    """A new channel; the URL is one of Apprise's."""

    name: str = Field(examples=["ops"])
    url: str = Field(max_length=4000, examples=["ntfy://ntfy.sh/our-topic"])
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True
    workflows: Workflows = Field(default_factory=list[str])
    quiet: QuietHoursRequest | None = None


class AlertChannelChangeRequest(RequestSchema):
    """The fields to change."""

    name: str = ""
    url: str = Field(default="", max_length=4000)
    events: list[str] = Field(default_factory=list[str])
    enabled: bool = True
    workflows: Workflows = Field(default_factory=list[str])
    quiet: QuietHoursRequest | None = Field(
        default=None, description="null: never quiet. Waiting events follow the new hours."
    )


class AlertChannelTestResponse(Schema):
    """The service has accepted the test message."""

    status: Literal["ok"] = "ok"


@router.get("/alert-channels")
async def list_channels(context: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Page[AlertChannelResponse]:
    """A page of channels, newest first."""
    page = await context.rt.alert_channels.list(limit=limit, cursor=cursor)
    return Page([_response(context, record) for record in page.items], page.next_cursor)


def _response(context: RequestContext, record: AlertChannelRecord) -> AlertChannelResponse:
    quiet_until = None if record.quiet is None else record.quiet.until(context.now())
    return extended(AlertChannelResponse, record, quiet_until=quiet_until)


@router.post("/alert-channels", status_code=201)
async def create_channel(request: AlertChannelRequest, context: Administering) -> AlertChannelResponse:
    """Create a channel."""
    record = await context.acting(AlertChannels).create(
        name=request.name,
        url=request.url,
        events=request.events,
        enabled=request.enabled,
        workflows=request.workflows,
        quiet=None if request.quiet is None else request.quiet.hours(),
    )
    return _response(context, record)


@router.get("/alert-channels/{id:key}")
async def get_channel(id: str, context: Viewing) -> AlertChannelResponse:
    """A channel."""
    return _response(context, await context.rt.alert_channels.get(id))


@router.patch("/alert-channels/{id:key}")
async def update_channel(id: str, request: AlertChannelChangeRequest, context: Administering) -> AlertChannelResponse:
    """Change a channel."""
    changes = given(request)
    if request.quiet is not None:
        changes["quiet"] = request.quiet.hours()
    return _response(context, await context.acting(AlertChannels).update(id, **changes))


@router.delete("/alert-channels/{id:key}", status_code=204)
async def delete_channel(id: str, context: Administering) -> Response:
    """Delete a channel."""
    await context.acting(AlertChannels).delete(id)
    return Response(status_code=204)


@router.post("/alert-channels/{id:key}/test")
async def test_channel(id: str, context: Administering) -> AlertChannelTestResponse:
    """Send a test message and wait for the service's answer; 502 when it refuses."""
    await context.acting(AlertChannels).test(id)
    return AlertChannelTestResponse()
