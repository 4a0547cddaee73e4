"""Schedules: created, changed, enabled, disabled and previewed. The scheduler (`loops/`) fires them."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from turbine.clock import span_ms, to_datetime, to_ms
from turbine.codec import json_value, payload_type
from turbine.engine.app import App
from turbine.engine.starting import encoded, for_anyone, prepare
from turbine.errors import Conflict, NotFound, ShuttingDown, ValidationFailed
from turbine.ids import check_id, check_name, check_text, new_id
from turbine.model.pages import after_key, check_limit, page_of
from turbine.model.schedules import (
    Backfill,
    CatchUp,
    Overlap,
    Schedule,
    ScheduleRecord,
    ScheduleType,
    run_id,
    tick_text,
)
from turbine.model.workflows import Page
from turbine.operations import triggers
from turbine.operations.audit_entries import given
from turbine.operations.resources import Resource
from turbine.operations.triggers import StartableWorkflow
from turbine.registry import UNSET, StartOptions, WorkflowBase
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import schedules
from turbine.tables.run_starts import Start, StartedRun
from turbine.tables.schedules import DeclaredSchedule, ScheduleRow

log = logging.getLogger("turbine")

PREVIEW_MAX = 1000
BACKFILL_MAX = 1000
REASON_MAX = 1000


class Schedules(Resource):
    """Automatic starts of workflows: `rt.schedules`. Changes are durable when a call returns, and count everywhere.

    Kinds are `compile` (declared in code; can be disabled, not deleted), `cron` and `once`. The run of a tick has the
    id `sched-<name>-<tick in UTC>`, so each tick starts at most one run, however many processes there are.
    """

    async def create(
        self,
        workflow: str | WorkflowBase[..., Any],
        schedule: Schedule | str,
        *,
        input: Any = None,
        name: str | None = None,
        enabled: bool = True,
    ) -> ScheduleRecord:
        """Start a workflow at these times, with this input: `create(report, Schedule.cron("0 3 * * *"), input=…)`.

        Without input the workflow gets the tick, if it takes one `datetime`, or nothing. `name` (by default the
        record's id) goes into the ids of the runs. Raises NotRegistered, NotTriggerable, ValidationFailed for input
        that does not fit, Conflict for a name that is taken; then nothing was written.
        """
        app = self._app()
        target = await triggers.find(app, workflow)
        id_ = new_id()
        now_ms = app.clock.now_ms()
        times = Schedule.cron(schedule) if isinstance(schedule, str) else schedule
        row = ScheduleRow(
            schedule=0,
            id=id_,
            run_name=id_ if name is None else check_name(name, "schedule name"),
            workflow=target.definition.name,
            workflow_fqn=target.definition.fqn,
            kind=times.type,
            input=_checked_input(app, target, input),
            **_columns(app, times),
            enabled=int(enabled),
            reason=None,
            next_ms=times.first_ms(now_ms, app.config.timezone) if enabled else None,
            last_ms=None,
            last_workflow_id=None,
            last_error=None,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        _check_run_id(row)
        audit = self._audit("schedule.create", row.workflow if name is None else name, workflow=row.workflow)
        await app.store.write_audited(audit, schedules.insert, row=row)
        return _record(app, row)

    async def get(self, id: str) -> ScheduleRecord:
        """The current state of a schedule. Raises NotFound."""
        return _record(self._app(), await self._row(id))

    async def list(
        self,
        workflow: str | None = None,
        *,
        type: str | None = None,
        enabled: bool | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ScheduleRecord]:
        """One page of schedules, newest first. Raises ValueError for an invalid limit, type or cursor."""
        app = self._app()
        rows: list[ScheduleRow] = await app.store.read(
            schedules.page,
            workflow=workflow,
            kind=None if type is None else str(ScheduleType(type)),
            enabled=None if enabled is None else int(enabled),
            before=after_key(cursor),
            limit=check_limit(limit) + 1,
        )
        return page_of([(row.schedule, _record(app, row)) for row in rows], limit)

    async def update(
        self,
        id: str,
        *,
        schedule: Schedule | str = UNSET,
        workflow: str | WorkflowBase[..., Any] = UNSET,
        workflow_fqn: str = UNSET,
        input: Any = UNSET,
        name: str = UNSET,
        enabled: bool = UNSET,
        type: str = UNSET,
        cron_expression: str = UNSET,
        timezone: str | None = UNSET,
        jitter: timedelta | float | None = UNSET,
        catch_up: str = UNSET,
        overlap: str = UNSET,
        scheduled_at: datetime = UNSET,
        reason: str | None = UNSET,
    ) -> ScheduleRecord:
        """Change the given fields; new times count from now on.

        Runs of ticks that have not begun, such as those that wait out their jitter, are cancelled when the times or the
        workflow change, or when it is disabled. Otherwise they keep the input that they got at their tick.

        The times are changed by another `schedule`, or by single fields of it; `cron_expression` makes it a cron
        schedule, `scheduled_at` one for a single run. `reason` says why it is disabled. Of a schedule declared in code
        only `enabled` and `reason` can be changed, else Conflict. Raises NotFound, Conflict when it was changed
        meanwhile, and what `create` raises.
        """
        changes = given(
            type=type,
            cron_expression=cron_expression,
            timezone=timezone,
            jitter=jitter,
            catch_up=catch_up,
            overlap=overlap,
            scheduled_at=scheduled_at,
        )
        return await self._update(
            "schedule.update",
            id,
            changes,
            schedule=schedule,
            workflow=workflow if workflow is not UNSET else workflow_fqn,
            input=input,
            name=name,
            enabled=enabled,
            reason=reason,
        )

    async def _update(
        self,
        action: str,
        id: str,
        changes: dict[str, Any],
        *,
        schedule: Schedule | str = UNSET,
        workflow: str | WorkflowBase[..., Any] = UNSET,
        input: Any = UNSET,
        name: str = UNSET,
        enabled: bool = UNSET,
        reason: str | None = UNSET,
    ) -> ScheduleRecord:
        """Change a schedule; `changes` are single fields of its times."""
        app = self._app()
        row = await self._row(id)
        if row.kind == ScheduleType.COMPILE and (
            changes or given(schedule=schedule, workflow=workflow, input=input, name=name)
        ):
            raise Conflict(
                f"Schedule {row.run_name!r} is declared in code: change it there; here it can be enabled and disabled"
            )
        changed = row._replace(updated_ms=app.clock.now_ms())
        if workflow is not UNSET or input is not UNSET:
            target = await triggers.find(app, row.workflow if workflow is UNSET else workflow)
            value = _opened(app, row.input) if input is UNSET else input
            changed = changed._replace(
                workflow=target.definition.name,
                workflow_fqn=target.definition.fqn,
                input=_checked_input(app, target, value),
            )
        if name is not UNSET:
            changed = changed._replace(run_name=check_name(name, "schedule name"))
        if enabled is not UNSET:
            changed = changed._replace(enabled=int(enabled))
        if reason is not UNSET:
            changed = changed._replace(reason=_checked_reason(reason))
        if changed.enabled:
            changed = changed._replace(reason=None)
        if schedule is not UNSET or changes:
            base = _schedule(row) if schedule is UNSET else schedule
            times = _changed(Schedule.cron(base) if isinstance(base, str) else base, changes)
            changed = changed._replace(kind=times.type, **_columns(app, times))
        _check_run_id(changed)
        if changed._replace(updated_ms=row.updated_ms) == row:
            return _record(app, row)
        detail = given(
            schedule=UNSET if schedule is UNSET else str(schedule),
            workflow=UNSET if workflow is UNSET else changed.workflow,
            name=name,
            enabled=enabled,
            reason=reason,
        )
        audit = self._audit(action, id, schedule_name=row.run_name, **detail, **changes)
        return await self._save(app, row, changed, audit)

    async def _save(self, app: App, row: ScheduleRow, changed: ScheduleRow, audit: Audit | None) -> ScheduleRecord:
        """Write a change; when the times change or it is enabled, the next tick is the first one from now on."""
        times = ("cron_expression", "timezone", "scheduled_ms", "enabled")
        is_rescheduled = any(getattr(row, field) != getattr(changed, field) for field in times)
        if is_rescheduled:
            next_ms = None
            if changed.enabled:
                is_done = row.scheduled_ms is not None and row.scheduled_ms == row.last_ms and row.last_error is None
                if is_done and changed.scheduled_ms == row.scheduled_ms:
                    raise Conflict(
                        f"Schedule {row.id!r} has started its one run ({row.last_workflow_id}); give it another time,"
                        " or run it now"
                    )
                next_ms = _schedule(changed).first_ms(app.clock.now_ms(), app.config.timezone)
            changed = changed._replace(next_ms=next_ms)
        recall = schedules.CHANGED if is_rescheduled or changed.workflow != row.workflow else None
        saved: Any = await app.store.write_audited(
            audit,
            _save,
            row=changed,
            seen_ms=row.updated_ms,
            is_rescheduled=is_rescheduled,
            cancel_reason=recall if changed.enabled else schedules.DISABLED,
        )
        return _record(app, saved)

    async def delete(self, id: str) -> None:
        """Remove a schedule. Raises NotFound, Conflict for one declared in code.

        Runs that have begun, or wait in their queue, stay; the other runs of its ticks are cancelled.
        """
        app = self._app()
        await app.store.write_audited(
            self._audit("schedule.delete", id),
            schedules.delete,
            id=check_id(id, "schedule id"),
            now_ms=app.clock.now_ms(),
        )

    async def enable(self, id: str) -> ScheduleRecord:
        """Resume a schedule from now on; ticks that were missed are not made up. Raises NotFound."""
        return await self._update("schedule.enable", id, {}, enabled=True)

    async def disable(self, id: str, reason: str | None = None) -> ScheduleRecord:
        """Start no more runs, from this commit on and in any process; `reason` says why. Raises NotFound.

        Runs of its ticks that have not begun are cancelled, such as those that still wait out their jitter; those that
        wait in their queue stay.
        """
        return await self._update("schedule.disable", id, {}, enabled=False, reason=reason)

    async def run_now(self, id: str) -> str:
        """Start the workflow of a schedule at once, enabled or not, with its input (or the current time as the tick).

        Returns the id of the run, which is a fresh one: the ticks of the schedule are not affected. Raises NotFound,
        NotRegistered, ValidationFailed when the stored input does not fit the current code, ShuttingDown.
        """
        app = self._app()
        row = await self._row(id)
        target = await triggers.find(app, row.workflow)
        value = _opened(app, row.input)
        if value is None and target.takes_tick:
            value = tick_text(app.clock.now_ms())
        audit = self._audit("schedule.run_now", id, schedule_name=row.run_name)
        return await triggers.start(app, target, StartOptions(), target.accept(value), audit)

    async def backfill(self, id: str, start: datetime, end: datetime, *, dry_run: bool = False) -> Backfill:
        """Start the missing runs of the ticks from `start` up to `end` (exclusive), whatever `catch_up` says.

        They have the ids that the ticks themselves would have given them, so a run that exists is not repeated, and a
        backfill may be repeated; but a deleted run, also one deleted as garbage, is started anew. All are started in
        one transaction, without jitter, whether or not the schedule is enabled. Future ticks are left to the schedule.
        A dry run starts nothing. Raises NotFound, NotRegistered, ValueError for a time without a zone, ValidationFailed
        for more than 1000 ticks, ShuttingDown.
        """
        app = self._app()
        start_ms, end_ms = to_ms(start, "start"), to_ms(end, "end")
        row = await self._row(id)
        target = await triggers.find(app, row.workflow)
        if app.is_draining() and not dry_run:
            raise ShuttingDown(
                f"The ticks of schedule {id!r} were not started: this runtime is shutting down", origin=app.store
            )
        ticks = _ticks(app, row, start_ms, min(end_ms, app.clock.now_ms()))
        ids = [run_id(row.run_name, tick) for tick in ticks]
        existing: set[str] = await app.store.read(schedules.existing_ids, ids=ids)
        starts: list[Start] = []
        failed: dict[str, str] = {}
        for id_, tick in zip(ids, ticks, strict=True):
            if id_ not in existing:
                try:
                    starts.append(_start(app, target, row, id_, tick))
                except Exception as error:  # noqa: BLE001 - users' types, signatures and summaries
                    failed[id_] = f"{type(error).__name__}: {error}"
        started = [run.id for run in starts]
        if starts and not dry_run:
            audit = self._audit("schedule.backfill", id, schedule_name=row.run_name, start=start, end=end)
            results: list[StartedRun | Exception] = await app.store.write_audited(
                audit, schedules.backfill, starts=starts
            )
            for run, result in zip(starts, results, strict=True):
                if isinstance(result, Exception):
                    failed[run.id] = f"{type(result).__name__}: {result}"
                elif not result.is_new:
                    existing.add(run.id)
            started = [id_ for id_ in started if id_ not in failed and id_ not in existing]
        return Backfill([to_datetime(tick) for tick in ticks], started, [id_ for id_ in ids if id_ in existing], failed)

    async def preview(self, schedule: str | Schedule, count: int = 10, after: datetime | None = None) -> list[datetime]:
        """The next ticks in UTC of a schedule or of the record of an id; those after a time, or from now on.

        For a disabled record these are the ticks it would have. Raises NotFound, ValueError.
        """
        app = self._app()
        if isinstance(count, bool) or not 0 <= count <= PREVIEW_MAX:
            raise ValueError(f"count must be between 0 and {PREVIEW_MAX}, not {count!r}")
        times = schedule if isinstance(schedule, Schedule) else _schedule(await self._row(schedule))
        after_ms = app.clock.now_ms() if after is None else to_ms(after, "after")
        return [to_datetime(tick) for tick in islice(times.ticks(after_ms, app.config.timezone), count)]

    async def _row(self, id: str) -> ScheduleRow:
        row = await self._app().store.read(schedules.get, id=check_id(id, "schedule id"))
        if row is None:
            raise NotFound(kind="schedule", id=id)
        return row


def _save(
    tx: Tx, *, row: ScheduleRow, seen_ms: int, is_rescheduled: bool, cancel_reason: str | None
) -> ScheduleRow | NotFound | Conflict | None:
    refusal = schedules.save(tx, row=row, seen_ms=seen_ms, is_rescheduled=is_rescheduled, cancel_reason=cancel_reason)
    return schedules.get(tx, id=row.id) if refusal is None else refusal


async def sync_declared(app: App) -> None:
    """Bring the schedules that code declares into the database; one that was disabled by hand stays disabled."""
    now_ms = app.clock.now_ms()
    compiled = [
        DeclaredSchedule(
            id=new_id(),
            workflow=definition.name,
            workflow_fqn=definition.fqn,
            cron_expression=definition.schedule.cron_expression,
            timezone=definition.schedule.timezone or app.config.timezone,
            jitter_ms=span_ms(definition.schedule.jitter or 0),
            catch_up=definition.schedule.catch_up,
            overlap=definition.schedule.overlap,
            next_ms=definition.schedule.first_ms(now_ms, app.config.timezone),
        )
        for definition in app.registry
        if definition.schedule is not None
    ]
    taken_names: list[str] = await app.store.write(
        schedules.sync, compiled=compiled, registered=app.registry.names(), now_ms=now_ms
    )
    for name in taken_names:
        log.error(
            "Workflow %r is not started by its schedule=, because another schedule has that name; rename or delete it",
            name,
        )


def _checked_input(app: App, target: StartableWorkflow, value: Any) -> str | None:
    """The input as it is stored. Raises NotTriggerable, and ValidationFailed if a run could not start with it."""
    target.require_triggerable()
    if value is None and target.takes_tick:
        return None
    target.accept(value)
    if value is None:
        return None
    import pydantic_core

    json_value = json.loads(pydantic_core.to_json(value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False))
    what = f"the input of a schedule of {target.definition.name!r}"
    return app.payloads.seal(payload_type(Any).encode(json_value, what), what)


def _ticks(app: App, row: ScheduleRow, start_ms: int, end_ms: int) -> list[int]:
    """The ticks of a span of time. Refuses too many."""
    ticks = takewhile(lambda tick: tick < end_ms, _schedule(row).ticks(start_ms - 1, app.config.timezone))
    first = list(islice(ticks, BACKFILL_MAX + 1))
    if len(first) > BACKFILL_MAX:
        message = f"has more than {BACKFILL_MAX} ticks; choose a shorter one"
        raise ValidationFailed(
            what="The span of time", errors=[{"path": ["end"], "message": message, "type": "too_long"}]
        )
    return first


def _start(app: App, target: StartableWorkflow, row: ScheduleRow, id: str, tick_ms: int) -> Start:
    value = _opened(app, row.input)
    arguments = target.accept(tick_text(tick_ms) if value is None and target.takes_tick else value)
    inputs = encoded(app, target.definition, arguments)
    summed = None if target.parameters is not None else arguments
    options = StartOptions(id=check_id(id), application_version=target.version)
    return for_anyone(prepare(app, target.definition, options, inputs, summed))


def _checked_reason(reason: str | None) -> str | None:
    return check_text(reason, "reason")[:REASON_MAX] if reason else None


def _opened(app: App, stored: str | None) -> Any:
    return None if stored is None else json_value(app.payloads.open(stored))


def _check_run_id(row: ScheduleRow) -> None:
    check_id(run_id(row.run_name, row.updated_ms), "id of a run of this schedule")


def _columns(app: App, times: Schedule) -> dict[str, Any]:
    is_cron = times.type is not ScheduleType.ONCE
    return {
        "cron_expression": times.cron_expression,
        "timezone": (times.timezone or app.config.timezone) if is_cron else None,
        "jitter_ms": span_ms(times.jitter or 0),
        "catch_up": str(times.catch_up),
        "overlap": str(times.overlap),
        "scheduled_ms": None if times.scheduled_at is None else to_ms(times.scheduled_at),
    }


def _schedule(row: ScheduleRow) -> Schedule:
    return Schedule(
        type=ScheduleType(row.kind),
        cron_expression=row.cron_expression,
        timezone=row.timezone,
        jitter=timedelta(milliseconds=row.jitter_ms) if row.jitter_ms else None,
        catch_up=CatchUp(row.catch_up),
        scheduled_at=None if row.scheduled_ms is None else to_datetime(row.scheduled_ms),
        overlap=Overlap(row.overlap),
    )


def _changed(base: Schedule, changes: dict[str, Any]) -> Schedule:
    """A schedule with some fields changed; its type follows from them, unless it is given."""
    kind = "once" if "scheduled_at" in changes else "cron" if "cron_expression" in changes else str(base.type)
    if changes.get("type", kind) == ScheduleType.ONCE:
        extra = changes.keys() - {"type", "scheduled_at"}
        if extra:
            raise ValidationFailed(
                what="The schedule",
                errors=[
                    {"path": [field], "message": "does not apply to a single run", "type": "schedule"}
                    for field in sorted(extra)
                ],
            )
        return Schedule.once(changes.get("scheduled_at", base.scheduled_at))
    if changes.get("type", kind) != ScheduleType.CRON or "scheduled_at" in changes:
        raise ValidationFailed(
            what="The schedule",
            errors=[{"path": ["type"], "message": "must be cron or once, and fit the other fields", "type": "enum"}],
        )
    return Schedule.cron(
        changes.get("cron_expression", base.cron_expression),
        changes.get("timezone", base.timezone),
        changes.get("jitter", base.jitter),
        changes.get("catch_up", base.catch_up),
        changes.get("overlap", base.overlap),
    )


def _record(app: App, row: ScheduleRow) -> ScheduleRecord:
    return ScheduleRecord(
        id=row.id,
        name=row.run_name,
        workflow=row.workflow,
        workflow_fqn=row.workflow_fqn,
        type=ScheduleType(row.kind),
        enabled=bool(row.enabled),
        created=to_datetime(row.created_ms),
        updated=to_datetime(row.updated_ms),
        input=_opened(app, row.input),
        cron_expression=row.cron_expression,
        timezone=row.timezone,
        jitter=timedelta(milliseconds=row.jitter_ms) if row.jitter_ms else None,
        catch_up=CatchUp(row.catch_up),
        scheduled_at=None if row.scheduled_ms is None else to_datetime(row.scheduled_ms),
        next_at=None if row.next_ms is None else to_datetime(row.next_ms),
        last_at=None if row.last_ms is None else to_datetime(row.last_ms),
        last_workflow_id=row.last_workflow_id,
        last_error=row.last_error,
        overlap=Overlap(row.overlap),
        reason=row.reason,
    )
