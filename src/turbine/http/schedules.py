"""Schedules: automatic starts of workflows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from turbine.errors import ValidationFailed
from turbine.http import schemas
from turbine.http.request_context import Operating, RequestContext, Viewing
from turbine.http.schemas import Cursor, Json, Limit, RequestSchema, RunResponse, Schema, When, given
from turbine.model.records import DESCRIBED, extended
from turbine.model.schedules import Backfill, CatchUp, Overlap, Schedule, ScheduleRecord, ScheduleType, run_id
from turbine.model.times import Moment, moment_text
from turbine.model.workflows import Page
from turbine.operations.schedules import Schedules

router = APIRouter(tags=["schedules"])
COUNT_MAX = 100
Span = Annotated[float, Field(ge=0, le=10**7, allow_inf_nan=False, description="Seconds.")]


@dataclass(frozen=True, slots=True)
class ScheduleDetailResponse(ScheduleRecord):
    """A schedule with its next times and its last runs."""

    next: list[Moment] = field(default_factory=list[Moment])
    last_runs: list[RunResponse] = field(default_factory=list[RunResponse])
    description: str = ""

    __pydantic_config__ = DESCRIBED


class TimesRequest(RequestSchema):
    """The times of a schedule: `{"type": "cron", "expression": "0 3 * * *"}`, or `{"type": "once", "at": …}`."""

    type: Literal["cron", "once"]
    expression: str | None = Field(default=None, max_length=500, examples=["0 3 * * *"])
    timezone: str | None = Field(default=None, max_length=100, examples=["Europe/Berlin"])
    jitter: Span | None = None
    catch_up: CatchUp = Field(default=CatchUp.LAST, strict=False)
    overlap: Overlap = Field(
        default=Overlap.START, strict=False, description="What a tick does while the previous run is not over."
    )
    at: When | None = Field(default=None, strict=False)

    def schedule(self) -> Schedule:
        """The same as a value. Raises ValidationFailed."""
        if self.type == "once":
            if self.at is None:
                raise ValidationFailed(errors=[{"path": ["at"], "message": "Required", "type": "missing"}])
            return Schedule.once(self.at)
        if not self.expression:
            raise ValidationFailed(
                errors=[{"path": ["expression"], "message": "A cron expression is required", "type": "missing"}]
            )
        return Schedule.cron(self.expression, self.timezone, self.jitter, self.catch_up, self.overlap)


class ScheduleRequest(RequestSchema):
    """A new schedule."""

    workflow: str
    schedule: TimesRequest
    input: Json = None
    name: str | None = Field(default=None, max_length=1000)
    enabled: bool = True


class ScheduleChangeRequest(RequestSchema):
    """The fields to change."""

    workflow: str = ""
    schedule: TimesRequest | None = None
    input: Json = None
    name: str = Field(default="", max_length=1000)
    enabled: bool = True


class PreviewRequest(RequestSchema):
    """Times to preview before they are saved."""

    schedule: TimesRequest
    count: int = Field(default=10, ge=1, le=COUNT_MAX)


class PreviewResponse(Schema):
    """The next times, and the times in words."""

    items: list[Moment]
    description: str


class DisableRequest(RequestSchema):
    """Why a schedule is disabled."""

    reason: str | None = Field(default=None, max_length=1000, examples=["the bank is closed"])


class BackfillRequest(RequestSchema):
    """A span of time in the past."""

    start: When = Field(strict=False, examples=["2026-03-20T00:00:00Z"])
    end: When = Field(strict=False, description="Exclusive.", examples=["2026-03-27T00:00:00Z"])
    dry_run: bool = False


class ScheduledRunResponse(Schema):
    """The run that was started."""

    workflow_id: str


@router.get("/schedules")
async def list_schedules(
    context: Viewing,
    workflow: Annotated[str | None, Query(max_length=2000)] = None,
    type: ScheduleType | None = None,
    enabled: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ScheduleRecord]:
    """A page of schedules, newest first."""
    return await context.rt.schedules.list(workflow or None, type=type, enabled=enabled, limit=limit, cursor=cursor)


@router.post("/schedules", status_code=201)
async def create_schedule(request: ScheduleRequest, context: Operating) -> ScheduleRecord:
    """Create a schedule of a triggerable workflow."""
    return await context.acting(Schedules).create(
        request.workflow,
        request.schedule.schedule(),
        input=request.input,
        name=request.name,
        enabled=request.enabled,
    )


@router.post("/schedules/preview")
async def preview_times(request: PreviewRequest, context: Viewing) -> PreviewResponse:
    """The next times of a schedule that is not saved yet."""
    times = request.schedule.schedule()
    zone = f" in {times.timezone}" if times.timezone else ""
    return PreviewResponse(
        items=await context.rt.schedules.preview(times, request.count),
        description=f"{times.cron_expression}{zone}" if times.scheduled_at is None else _once(times.scheduled_at),
    )


def _once(at: datetime) -> str:
    return f"once, at {moment_text(at)}"


@router.get("/schedules/{id:key}")
async def get_schedule(id: str, context: Viewing) -> ScheduleDetailResponse:
    """A schedule with its next ten times and its last ten runs."""
    record = await context.rt.schedules.get(id)
    once = "" if record.scheduled_at is None else _once(record.scheduled_at)
    return extended(
        ScheduleDetailResponse,
        record,
        next=await context.rt.schedules.preview(id, 10) if record.enabled else [],
        last_runs=await _last_runs(context, record),
        description=record.cron_expression or once,
    )


async def _last_runs(context: RequestContext, record: ScheduleRecord) -> list[RunResponse]:
    """The runs of the last ten ticks; after a change of the times also those of earlier ticks."""
    times, now_ms = _times(record), context.app.clock.now_ms()
    ticks = [] if times is None else times.latest(now_ms, 10, context.app.config.timezone)
    ids = [run_id(record.name, tick) for tick in ticks]
    runs = (await context.rt.list(ids=ids, limit=10)).items if ids else []
    if len(runs) < 10:
        prefix = f"sched-{record.name}-"
        newest = (await context.rt.list(name=record.workflow, limit=200)).items
        runs = [*runs, *(run for run in newest if run.workflow_id.startswith(prefix) and run.workflow_id not in ids)]
    return [schemas.run_response(run) for run in sorted(runs, key=lambda run: run.created_at, reverse=True)[:10]]


@router.get("/schedules/{id:key}/preview")
async def preview_schedule(
    id: str, context: Viewing, count: Annotated[int, Query(ge=1, le=COUNT_MAX)] = 10
) -> PreviewResponse:
    """The next times of a schedule."""
    record = await context.rt.schedules.get(id)
    times = await context.rt.schedules.preview(id, count)
    return PreviewResponse(items=times, description=record.cron_expression or "once")


@router.patch("/schedules/{id:key}")
async def update_schedule(id: str, request: ScheduleChangeRequest, context: Operating) -> ScheduleRecord:
    """Change a schedule; one that is declared in code can only be enabled and disabled."""
    changes = given(request)
    if "schedule" in changes:
        if request.schedule is None:
            raise ValidationFailed(errors=[{"path": ["schedule"], "message": "Required", "type": "missing"}])
        changes["schedule"] = request.schedule.schedule()
    return await context.acting(Schedules).update(id, **changes)


@router.delete("/schedules/{id:key}", status_code=204)
async def delete_schedule(id: str, context: Operating) -> Response:
    """Delete a schedule; its runs stay. 409 for one that is declared in code."""
    await context.acting(Schedules).delete(id)
    return Response(status_code=204)


@router.post("/schedules/{id:key}/enable")
async def enable_schedule(id: str, context: Operating) -> ScheduleRecord:
    """Resume a schedule from now on."""
    return await context.acting(Schedules).enable(id)


@router.post("/schedules/{id:key}/disable")
async def disable_schedule(id: str, context: Operating, request: DisableRequest | None = None) -> ScheduleRecord:
    """Start no more runs of a schedule; `reason` says why."""
    return await context.acting(Schedules).disable(id, None if request is None else request.reason)


@router.post("/schedules/{id:key}/backfill")
async def backfill_schedule(id: str, request: BackfillRequest, context: Operating) -> Backfill:
    """Start the missing runs of past ticks; a tick has one run, however often this is called."""
    return await context.acting(Schedules).backfill(id, request.start, request.end, dry_run=request.dry_run)


@router.post("/schedules/{id:key}/run-now", status_code=201)
async def run_schedule_now(id: str, context: Operating) -> ScheduledRunResponse:
    """Start its workflow at once, with its input; its times are not affected."""
    return ScheduledRunResponse(workflow_id=await context.acting(Schedules).run_now(id))


def planned(records: list[ScheduleRecord], timezone: str, from_ms: int, to_ms: int, limit: int) -> list[int]:
    """The ticks of these schedules in a span of time, at most `limit`, in epoch milliseconds."""
    ticks: list[int] = []
    for record in records:
        times = _times(record)
        if not record.enabled or times is None:
            continue
        for tick in times.ticks(from_ms, record.timezone or timezone):
            if tick >= to_ms or len(ticks) >= limit:
                break
            ticks.append(tick)
    return ticks


def _times(record: ScheduleRecord) -> Schedule | None:
    if record.type is ScheduleType.ONCE:
        return None if record.scheduled_at is None else Schedule.once(record.scheduled_at)
    return Schedule.cron(record.cron_expression or "", record.timezone, record.jitter, record.catch_up, record.overlap)
