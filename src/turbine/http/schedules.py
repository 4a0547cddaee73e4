"""When runs start by themselves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from turbine.errors import ValidationFailed
from turbine.http import schemas
from turbine.http.request_context import Operating, RequestContext, Viewing
from turbine.http.schemas import Cursor, Items, Json, Limit, Moment, RequestSchema, RunRow, Schema, Seconds, When, given
from turbine.model import schedules as model
from turbine.model.schedules import CatchUp, Overlap, ScheduleRecord, ScheduleType
from turbine.model.times import moment_text
from turbine.operations.schedules import Schedules

router = APIRouter(tags=["schedules"])
COUNT_MAX = 100
Span = Annotated[float, Field(ge=0, le=10**7, allow_inf_nan=False, description="Seconds.")]


class Schedule(Schema):
    """A schedule."""

    id: str
    name: str
    workflow: str
    workflow_fqn: str
    type: ScheduleType
    enabled: bool
    created: Moment
    updated: Moment
    input: Json
    cron_expression: str | None
    timezone: str | None
    jitter: Seconds | None
    catch_up: CatchUp
    scheduled_at: Moment | None
    next_at: Moment | None
    last_at: Moment | None
    last_workflow_id: str | None
    last_error: str | None
    overlap: Overlap
    reason: str | None = Field(description="Why somebody disabled it.")


class ScheduleDetail(Schedule):
    """A schedule with its future and its past."""

    next: list[Moment] = Field(default_factory=list[Moment])
    last_runs: list[RunRow] = Field(default_factory=list[RunRow])
    description: str = ""


class Times(RequestSchema):
    """When: `{"type": "cron", "expression": "0 3 * * *"}`, or `{"type": "once", "at": …}`."""

    type: Literal["cron", "once"]
    expression: str | None = Field(default=None, max_length=500, examples=["0 3 * * *"])
    timezone: str | None = Field(default=None, max_length=100, examples=["Europe/Berlin"])
    jitter: Span | None = None
    catch_up: CatchUp = Field(default=CatchUp.LAST, strict=False)
    overlap: Overlap = Field(
        default=Overlap.START, strict=False, description="What a tick does while the run before is not over."
    )
    at: When | None = Field(default=None, strict=False)

    def schedule(self) -> model.Schedule:
        """The same as a value. Raises ValidationFailed."""
        if self.type == "once":
            if self.at is None:
                raise ValidationFailed(errors=[{"path": ["at"], "message": "Say when", "type": "missing"}])
            return model.Schedule.once(self.at)
        if not self.expression:
            raise ValidationFailed(
                errors=[{"path": ["expression"], "message": "Write a cron expression", "type": "missing"}]
            )
        return model.Schedule.cron(self.expression, self.timezone, self.jitter, self.catch_up, self.overlap)


class NewSchedule(RequestSchema):
    """A schedule to be made."""

    workflow: str
    schedule: Times
    input: Json = None
    name: str | None = Field(default=None, max_length=1000)
    enabled: bool = True


class ScheduleChange(RequestSchema):
    """What is to be changed; what is left out stays."""

    workflow: str = ""
    schedule: Times | None = None
    input: Json = None
    name: str = Field(default="", max_length=1000)
    enabled: bool = True


class Preview(RequestSchema):
    """Times to be looked at before they are saved."""

    schedule: Times
    count: int = Field(default=10, ge=1, le=COUNT_MAX)


class Previewed(Schema):
    """The next times, and the same in words."""

    items: list[Moment]
    description: str


class Disabling(RequestSchema):
    """Why a schedule is disabled."""

    reason: str | None = Field(default=None, max_length=1000, examples=["the bank is closed"])


class Missed(RequestSchema):
    """A span of time that has passed."""

    start: When = Field(strict=False, examples=["2026-03-20T00:00:00Z"])
    end: When = Field(strict=False, description="Left out itself.", examples=["2026-03-27T00:00:00Z"])
    dry_run: bool = False


class Backfilled(Schema):
    """What became of the ticks of a span of time; of a dry run what would."""

    ticks: list[Moment]
    started: list[str] = Field(description="The ids of runs that were started.")
    existing: list[str] = Field(description="The ids of ticks that have their run already.")
    failed: dict[str, str] = Field(description="Why the run of an id could not be started.")


class Started(Schema):
    """The run that was started."""

    workflow_id: str


@router.get("/schedules")
async def listing(
    context: Viewing,
    workflow: Annotated[str | None, Query(max_length=2000)] = None,
    type: ScheduleType | None = None,
    enabled: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Schedule]:
    """A page of schedules, newest first."""
    page = await context.rt.schedules.list(workflow or None, type=type, enabled=enabled, limit=limit, cursor=cursor)
    return Items[Schedule].model_validate(page)


@router.post("/schedules", status_code=201)
async def create(asked: NewSchedule, context: Operating) -> Schedule:
    """Make a schedule of a workflow that may be started from outside."""
    app = context.change("schedule.create", asked.name or asked.workflow[:1000], workflow=asked.workflow)
    made = await Schedules(lambda: app).create(
        asked.workflow, asked.schedule.schedule(), input=asked.input, name=asked.name, enabled=asked.enabled
    )
    return Schedule.model_validate(made)


@router.post("/schedules/preview")
async def preview_times(asked: Preview, context: Viewing) -> Previewed:
    """The next times of a schedule that is not saved yet."""
    wanted = asked.schedule.schedule()
    return Previewed(items=await context.rt.schedules.preview(wanted, asked.count), description=_words(wanted))


def _words(wanted: model.Schedule) -> str:
    if wanted.scheduled_at is not None:
        return f"once, at {moment_text(wanted.scheduled_at)}"
    zone = f" in {wanted.timezone}" if wanted.timezone else ""
    return f"{wanted.cron_expression}{zone}"


@router.get("/schedules/{id:key}")
async def one(id: str, context: Viewing) -> ScheduleDetail:
    """A schedule with its next ten times and its last ten runs."""
    record = await context.rt.schedules.get(id)
    shown = ScheduleDetail.model_validate(record)
    shown.next = await context.rt.schedules.preview(id, 10) if record.enabled else []
    shown.last_runs = await _last_runs(context, record)
    shown.description = record.cron_expression or (
        "" if record.scheduled_at is None else f"once, at {moment_text(record.scheduled_at)}"
    )
    return shown


async def _last_runs(context: RequestContext, record: ScheduleRecord) -> list[RunRow]:
    """The runs of the last ten ticks; after a change of the times also those of ticks that it had before."""
    wanted, now_ms = _times(record), context.app.clock.now_ms()
    ticks = [] if wanted is None else wanted.latest(now_ms, 10, context.app.config.timezone)
    ids = [model.run_id(record.name, tick) for tick in ticks]
    found = (await context.rt.list(ids=ids, limit=10)).items if ids else []
    if len(found) < 10:
        prefix = f"sched-{record.name}-"
        newest = (await context.rt.list(name=record.workflow, limit=200)).items
        found = [*found, *(run for run in newest if run.workflow_id.startswith(prefix) and run.workflow_id not in ids)]
    return [schemas.run_row(run) for run in sorted(found, key=lambda run: run.created_at, reverse=True)[:10]]


@router.get("/schedules/{id:key}/preview")
async def preview(id: str, context: Viewing, count: Annotated[int, Query(ge=1, le=COUNT_MAX)] = 10) -> Previewed:
    """The next times of a schedule."""
    record = await context.rt.schedules.get(id)
    return Previewed(items=await context.rt.schedules.preview(id, count), description=record.cron_expression or "once")


@router.patch("/schedules/{id:key}")
async def change(id: str, asked: ScheduleChange, context: Operating) -> Schedule:
    """Change a schedule; of one declared in code only `enabled`."""
    changes = given(asked)
    if "schedule" in changes:
        if asked.schedule is None:
            raise ValidationFailed(
                errors=[{"path": ["schedule"], "message": "A schedule has times", "type": "missing"}]
            )
        changes["schedule"] = asked.schedule.schedule()
    return await _change(context, "schedule.update", id, changes)


async def _change(context: RequestContext, action: str, id: str, changes: dict[str, Any]) -> Schedule:
    told = {name: str(value) if name == "schedule" else value for name, value in changes.items() if name != "input"}
    known = await context.rt.schedules.get(id)
    app = context.change(action, id, schedule_name=known.name, **told)
    return Schedule.model_validate(await Schedules(lambda: app).update(id, **changes))


@router.delete("/schedules/{id:key}", status_code=204)
async def delete(id: str, context: Operating) -> Response:
    """Remove a schedule; its runs stay. 409 for one declared in code."""
    app = context.change("schedule.delete", id)
    await Schedules(lambda: app).delete(id)
    return Response(status_code=204)


@router.post("/schedules/{id:key}/enable")
async def enable(id: str, context: Operating) -> Schedule:
    """Go on with a schedule from now."""
    return await _change(context, "schedule.enable", id, {"enabled": True})


@router.post("/schedules/{id:key}/disable")
async def disable(id: str, context: Operating, asked: Disabling | None = None) -> Schedule:
    """Start no run of it any more, and say why."""
    reason = None if asked is None else asked.reason
    return await _change(context, "schedule.disable", id, {"enabled": False, "reason": reason})


@router.post("/schedules/{id:key}/backfill")
async def backfill(id: str, asked: Missed, context: Operating) -> Backfilled:
    """Start the runs of ticks that have passed and have none; a tick has one run, however often this is asked."""
    known = await context.rt.schedules.get(id)
    app = context.change("schedule.backfill", id, schedule_name=known.name, start=asked.start, end=asked.end)
    made = await Schedules(lambda: app).backfill(id, asked.start, asked.end, dry_run=asked.dry_run)
    return Backfilled.model_validate(made)


@router.post("/schedules/{id:key}/run-now", status_code=201)
async def run_now(id: str, context: Operating) -> Started:
    """Start its workflow at once, with its input; its times stay what they are."""
    known = await context.rt.schedules.get(id)
    app = context.change("schedule.run_now", id, schedule_name=known.name)
    return Started(workflow_id=await context.in_loop(lambda: Schedules(lambda: app).run_now(id)))


def planned(records: list[ScheduleRecord], timezone: str, from_ms: int, to_ms: int, limit: int) -> list[int]:
    """The ticks of these schedules in a span of time, at most so many, in epoch milliseconds."""
    ticks: list[int] = []
    for record in records:
        wanted = _times(record)
        if not record.enabled or wanted is None:
            continue
        for tick in wanted.ticks(from_ms, record.timezone or timezone):
            if tick >= to_ms or len(ticks) >= limit:
                break
            ticks.append(tick)
    return ticks


def _times(record: ScheduleRecord) -> model.Schedule | None:
    if record.type is ScheduleType.ONCE:
        return None if record.scheduled_at is None else model.Schedule.once(record.scheduled_at)
    return model.Schedule.cron(
        record.cron_expression or "", record.timezone, record.jitter, record.catch_up, record.overlap
    )
