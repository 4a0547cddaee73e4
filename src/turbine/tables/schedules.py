"""Schedules: their rows, and the one transaction in which a tick is taken and its run started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.errors import Conflict, NotFound
from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import workflows
from turbine.tables.workflows import Start, Started

SQL = Statements(Path(__file__))

DISABLED = "its schedule was disabled"
CHANGED = "its schedule was changed"
DELETED = "its schedule was deleted"
"""Why runs of ticks are cancelled that have not begun."""


class ScheduleRow(NamedTuple):
    """A schedule as it is stored."""

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


class Compiled(NamedTuple):
    """A schedule that code declares; its name is its workflow's."""

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
    """What to do with the ticks of a schedule that have come: start these runs, and wait for the next tick."""

    schedule: int
    expected_ms: int
    seen_ms: int
    """The row's `updated_ms` by which this was decided."""
    next_ms: int | None
    last_ms: int | None
    is_over: bool
    error: str | None
    """Why there is no run for the last tick."""
    may_overlap: bool
    """Whether runs are started while the one before is not over."""
    starts: Sequence[Start]


def fire(tx: Tx, *, firing: Firing) -> list[Started | Exception] | None:
    """Take ticks and start their runs, all or nothing; None when another process took them or somebody changed it."""
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
            tx.run(SQL.note, schedule=firing.schedule, workflow_id=None, error=_skipped(unfinished[0]))
            return []
    started = workflows.start(tx, firing.starts) if firing.starts else []
    if firing.starts or firing.error is not None:
        error = firing.error
        if error is None and isinstance(started[-1], Exception):
            error = f"{type(started[-1]).__name__}: {started[-1]}"
        run = None if error is not None else firing.starts[-1].id
        tx.run(SQL.note, schedule=firing.schedule, workflow_id=run, error=error)
    return started


def _skipped(unfinished: str) -> str:
    return f"skipped: the run before, {unfinished}, was not over"


def there(tx: Tx, *, ids: Sequence[str]) -> set[str]:
    """Which of these ids runs have."""
    return {id_ for (id_,) in tx.rows(SQL.there, rows=rows_json([[id_] for id_ in ids]))} if ids else set()


def backfill(tx: Tx, *, starts: Sequence[Start]) -> list[Started | Exception]:
    """Start the runs of ticks that have passed; those that are there already stay as they are."""
    return workflows.start(tx, starts)


def due(tx: Tx, *, workflows: Sequence[str], now_ms: int, limit: int) -> list[ScheduleRow]:
    """Enabled schedules of these workflows whose tick has come."""
    text = rows_json([[name] for name in workflows])
    return [ScheduleRow(*row) for row in tx.rows(SQL.due, rows=text, now=now_ms, limit=limit)]


def next_due(tx: Tx, *, workflows: Sequence[str], after_ms: int) -> int | None:
    """The first tick after a time of the enabled schedules of these workflows."""
    row = tx.row(SQL.next_due, rows=rows_json([[name] for name in workflows]), after=after_ms)
    return None if row is None else row[0]


def get(tx: Tx, *, id: str) -> ScheduleRow | None:
    row = tx.row(SQL.get, id=id)
    return None if row is None else ScheduleRow(*row)


def page(
    tx: Tx, *, workflow: str | None, kind: str | None, enabled: int | None, before: int | None, limit: int
) -> list[ScheduleRow]:
    """Schedules, the newest first, from before a key."""
    rows = tx.rows(SQL.page, workflow=workflow, kind=kind, enabled=enabled, before=before or (1 << 62), limit=limit)
    return [ScheduleRow(*row) for row in rows]


def insert(tx: Tx, *, row: ScheduleRow) -> Conflict | None:
    """Enter a schedule. Refuses a name that is taken."""
    if tx.row(SQL.insert, **_columns(row)) is None:
        return _name_taken(row.run_name)
    if row.next_ms is not None:
        tx.wake("schedule", row.next_ms)
    return None


def save(
    tx: Tx, *, row: ScheduleRow, seen_ms: int, is_rescheduled: bool, recall: str | None
) -> NotFound | Conflict | None:
    """Write a changed schedule; `seen_ms` is the `updated_ms` by which the change was decided.

    The next tick is left to those who fire, unless the change is about it. `recall` is why runs of its ticks that have
    not begun are cancelled, None if they are not.
    """
    holder = tx.row(SQL.named, run_name=row.run_name)
    if holder is not None and holder[0] != row.id:
        return _name_taken(row.run_name)
    if tx.run(SQL.save, **_columns(row), seen=seen_ms, rescheduled=int(is_rescheduled)):
        if recall is not None:
            workflows.recall(tx, schedule_ids=[row.id], reason=recall, now_ms=row.updated_ms)
        tx.wake("schedule", row.next_ms)
        return None
    if tx.row(SQL.get, id=row.id) is None:
        return NotFound(kind="schedule", id=row.id)
    return Conflict(f"Schedule {row.id!r} was changed by somebody else meanwhile; read it again and decide anew")


def delete(tx: Tx, *, id: str, now_ms: int) -> NotFound | Conflict | None:
    """Remove a schedule, and cancel the runs of its ticks that have not begun. Refuses one that code declares."""
    row = get(tx, id=id)
    if row is None:
        return NotFound(kind="schedule", id=id)
    if tx.run(SQL.delete, id=id):
        workflows.recall(tx, schedule_ids=[id], reason=DELETED, now_ms=now_ms)
        return None
    return Conflict(
        f"Schedule {row.run_name!r} is declared in code and would come back; disable it, or remove schedule= from"
        f" workflow {row.workflow!r}"
    )


def sync(tx: Tx, *, compiled: Sequence[Compiled], registered: Sequence[str], now_ms: int) -> list[str]:
    """Bring the schedules declared in code up to date; returns the names that other schedules hold already.

    What people decided, that one is disabled, stays. Those of workflows registered here without a schedule go.
    """
    text = rows_json([[one.workflow] for one in compiled])
    taken = {name for (name,) in tx.rows(SQL.taken, rows=text)}
    fit = [one for one in compiled if one.workflow not in taken]
    times = rows_json([[one.workflow, one.cron_expression, one.timezone] for one in fit])
    recut = [id_ for (id_,) in tx.rows(SQL.recut, rows=times)]
    tx.run(SQL.compile, rows=rows_json(fit), now=now_ms)
    if recut:
        workflows.recall(tx, schedule_ids=recut, reason=CHANGED, now_ms=now_ms)
    declared = {one.workflow for one in compiled}
    without = [[name] for name in registered if name not in declared]
    gone = [id_ for (id_,) in tx.rows(SQL.forget, rows=rows_json(without))] if without else []
    if gone:
        workflows.recall(tx, schedule_ids=gone, reason=DELETED, now_ms=now_ms)
    if fit:
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
