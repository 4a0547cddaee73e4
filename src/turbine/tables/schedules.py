"""Schedules, and the transaction that takes a tick and starts its run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.errors import Conflict, NotFound
from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import run_starts, runs
from turbine.tables.run_starts import Start, StartedRun

SQL = Statements(Path(__file__))

DISABLED = "its schedule was disabled"
CHANGED = "its schedule was changed"
DELETED = "its schedule was deleted"
"""Reasons for cancelling runs of a schedule that have not started."""


class ScheduleRow(NamedTuple):
    """A schedule."""

    schedule: int
    id: str
    run_name: str
    workflow: str
    workflow_fqn: str
    kind: str
    input: str | None
    cron_expression: str | None
    timezone: str | None
    jitter_ms: int
    catch_up: str
    overlap: str
    scheduled_ms: int | None
    enabled: int
    reason: str | None
    next_ms: int | None
    last_ms: int | None
    last_workflow_id: str | None
    last_error: str | None
    created_ms: int
    updated_ms: int


class DeclaredSchedule(NamedTuple):
    """A schedule that code declares; its name is that of its workflow."""

    id: str
    workflow: str
    workflow_fqn: str
    cron_expression: str
    timezone: str
    jitter_ms: int
    catch_up: str
    overlap: str
    next_ms: int | None


class Firing(NamedTuple):
    """The argument of `fire`: the runs to start for the ticks that are due, and the next tick."""

    schedule: int
    expected_ms: int
    seen_ms: int
    """The `updated_ms` of the row from which this was computed."""
    next_ms: int | None
    last_ms: int | None
    is_over: bool
    error: str | None
    """Why the last tick has no run."""
    may_overlap: bool
    """Whether runs start while the previous one is open."""
    starts: Sequence[Start]


def fire(tx: Tx, *, firing: Firing) -> list[StartedRun | Exception] | None:
    """Take ticks and start their runs; None when another process took them or the schedule was changed."""
    taken = tx.run(
        SQL.take,
        schedule=firing.schedule,
        expected=firing.expected_ms,
        seen=firing.seen_ms,
        next=firing.next_ms,
        last=firing.last_ms,
        over=int(firing.is_over),
    )
    if not taken:
        return None
    if firing.starts and not firing.may_overlap:
        unfinished = tx.row(SQL.unfinished, schedule=firing.schedule)
        if unfinished is not None:
            error = f"skipped: the previous run, {unfinished[0]}, had not ended"
            tx.run(SQL.record_last_run, schedule=firing.schedule, workflow_id=None, error=error)
            return []
    started = run_starts.start(tx, firing.starts) if firing.starts else []
    if firing.starts or firing.error is not None:
        error = firing.error
        if error is None and isinstance(started[-1], Exception):
            error = f"{type(started[-1]).__name__}: {started[-1]}"
        run = None if error is not None else firing.starts[-1].id
        tx.run(SQL.record_last_run, schedule=firing.schedule, workflow_id=run, error=error)
    return started


def existing_ids(tx: Tx, *, ids: Sequence[str]) -> set[str]:
    """Those of these ids that belong to runs."""
    return {id_ for (id_,) in tx.rows(SQL.existing_ids, rows=rows_json([[id_] for id_ in ids]))} if ids else set()


def backfill(tx: Tx, *, starts: Sequence[Start]) -> list[StartedRun | Exception]:
    """Start the runs of past ticks; those that exist stay as they are."""
    return run_starts.start(tx, starts)


def due(tx: Tx, *, workflows: Sequence[str], now_ms: int, limit: int) -> list[ScheduleRow]:
    """Enabled schedules of these workflows that are due."""
    text = rows_json([[name] for name in workflows])
    return [ScheduleRow(*row) for row in tx.rows(SQL.due, rows=text, now=now_ms, limit=limit)]


def next_due(tx: Tx, *, workflows: Sequence[str], after_ms: int) -> int | None:
    """The first tick of the enabled schedules of these workflows after a time."""
    row = tx.row(SQL.next_due, rows=rows_json([[name] for name in workflows]), after=after_ms)
    return None if row is None else row[0]


def get(tx: Tx, *, id: str) -> ScheduleRow | None:
    row = tx.row(SQL.get, id=id)
    return None if row is None else ScheduleRow(*row)


def page(
    tx: Tx, *, workflow: str | None, kind: str | None, enabled: int | None, before: int | None, limit: int
) -> list[ScheduleRow]:
    """Schedules, newest first, below a key."""
    rows = tx.rows(SQL.page, workflow=workflow, kind=kind, enabled=enabled, before=before or (1 << 62), limit=limit)
    return [ScheduleRow(*row) for row in rows]


def insert(tx: Tx, *, row: ScheduleRow) -> Conflict | None:
    """Create a schedule. Refuses a name that is taken."""
    if tx.row(SQL.insert, **_columns(row)) is None:
        return _name_taken(row.run_name)
    if row.next_ms is not None:
        tx.wake("schedule", row.next_ms)
    return None


def save(
    tx: Tx, *, row: ScheduleRow, seen_ms: int, is_rescheduled: bool, cancel_reason: str | None
) -> NotFound | Conflict | None:
    """Write a changed schedule; `seen_ms` is the `updated_ms` of the row that was changed.

    `next_ms` is written only with `is_rescheduled`; otherwise it is left to the loop that fires. With `cancel_reason`
    the runs of the schedule that have not started are cancelled.
    """
    holder = tx.row(SQL.by_run_name, run_name=row.run_name)
    if holder is not None and holder[0] != row.id:
        return _name_taken(row.run_name)
    if tx.run(SQL.save, **_columns(row), seen=seen_ms, rescheduled=int(is_rescheduled)):
        if cancel_reason is not None:
            runs.cancel_unstarted(tx, schedule_ids=[row.id], reason=cancel_reason, now_ms=row.updated_ms)
        tx.wake("schedule", row.next_ms)
        return None
    if tx.row(SQL.get, id=row.id) is None:
        return NotFound(kind="schedule", id=row.id)
    return Conflict(f"Schedule {row.id!r} was changed in the meantime; read it again and decide anew")


def delete(tx: Tx, *, id: str, now_ms: int) -> NotFound | Conflict | None:
    """Delete a schedule and cancel its runs that have not started. Refuses a schedule that code declares."""
    row = get(tx, id=id)
    if row is None:
        return NotFound(kind="schedule", id=id)
    if tx.run(SQL.delete, id=id):
        runs.cancel_unstarted(tx, schedule_ids=[id], reason=DELETED, now_ms=now_ms)
        return None
    return Conflict(
        f"Schedule {row.run_name!r} is declared in code and would come back; disable it, or remove schedule= from"
        f" workflow {row.workflow!r}"
    )


def sync(tx: Tx, *, compiled: Sequence[DeclaredSchedule], registered: Sequence[str], now_ms: int) -> list[str]:
    """Bring the schedules declared in code up to date. Returns the names that other schedules hold.

    A disabled schedule stays disabled. Schedules of registered workflows that no longer declare one are deleted.
    """
    workflows = {schedule.workflow for schedule in compiled}
    taken = {name for (name,) in tx.rows(SQL.taken_names, rows=rows_json([[name] for name in workflows]))}
    accepted = [schedule for schedule in compiled if schedule.workflow not in taken]
    times = rows_json([[schedule.workflow, schedule.cron_expression, schedule.timezone] for schedule in accepted])
    rescheduled = [id_ for (id_,) in tx.rows(SQL.rescheduled, rows=times)]
    tx.run(SQL.upsert_declared, rows=rows_json(accepted), now=now_ms)
    if rescheduled:
        runs.cancel_unstarted(tx, schedule_ids=rescheduled, reason=CHANGED, now_ms=now_ms)
    undeclared = [[name] for name in registered if name not in workflows]
    deleted = [id_ for (id_,) in tx.rows(SQL.delete_undeclared, rows=rows_json(undeclared))] if undeclared else []
    if deleted:
        runs.cancel_unstarted(tx, schedule_ids=deleted, reason=DELETED, now_ms=now_ms)
    if accepted:
        tx.wake("schedule")
    return sorted(taken)


def _columns(row: ScheduleRow) -> dict[str, str | int | None]:
    columns = row._asdict()
    for derived in ("schedule", "last_ms", "last_workflow_id", "last_error"):
        del columns[derived]
    return columns


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"The name {name!r} belongs to another schedule; their runs would have the same ids: choose another"
    )
