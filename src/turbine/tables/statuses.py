"""Runs as people see them: one status, and pages of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.codec import describe_error
from turbine.model.run_filter import RunFilter
from turbine.model.workflows import Status, WorkflowStatus
from turbine.store import Statement, Statements, Tx, bulk
from turbine.store.tx import locking, rows_json
from turbine.tables import run_search, steps
from turbine.tables.ownership import Answer, Lock, lock_all, refusals
from turbine.tables.steps import Outcome

SQL = Statements(Path(__file__))

COLUMNS = """
    w.run, id, status, name, created_at_epoch_ms, updated_at_epoch_ms, application_version, application_id,
    recovery_attempts, executor_id, started_at_epoch_ms, completed_at_epoch_ms, error, queue_name,
    queue_partition_key, deduplication_id, priority, workflow_timeout_ms, workflow_deadline_epoch_ms,
    parent_workflow_id, forked_from_workflow_id, app_status, app_status_color, summary, tags, reason, attention
"""


class Found(NamedTuple):
    """A run as stored: its key, its status without payloads, and the payloads as they are stored."""

    run: int
    status: Status
    output: str | None
    inputs: str | None


class AppStatus(NamedTuple):
    """A row of `set_app_status`; `note` is the body's own record, None for one that is set by a step."""

    run: int
    fence: int
    label: str
    color: str
    now_ms: int
    note: Outcome | None


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run)])
def set_app_status(tx: Tx, rows: Sequence[AppStatus]) -> list[Answer]:
    """Show what runs are doing, in their own words, in order; each together with its note."""
    answers = refusals(tx, ((row.run, row.fence) for row in rows))
    held = [row for row in rows if answers[row.run, row.fence] is Answer.DONE]
    for row in held:
        tx.run(SQL.set_app_status, rows=rows_json([row[:5]]), executor=tx.executor)
    notes = [row.note for row in held if row.note is not None]
    if notes:
        steps.record(tx, notes)
    return [answers[row.run, row.fence] for row in rows]


def one(tx: Tx, *, workflow_id: str) -> Found | None:
    """The run of an id, with its payloads."""
    row = tx.row(_ONE, id=workflow_id)
    return None if row is None else _found(row)


def outcome(tx: Tx, *, workflow_id: str) -> tuple[bool, tuple[str, str | None, str | None, str | None]] | None:
    """Whether a run is over, and its (status, output, error, reason); None for an unknown id."""
    row = tx.row(SQL.outcome, id=workflow_id)
    return None if row is None else (row[0] is not None, (row[1], row[2], row[3], row[4]))


def page(
    tx: Tx,
    *,
    wanted: RunFilter,
    limit: int,
    after: int | None,
    ascending: bool,
    load_input: bool,
    load_output: bool = True,
) -> list[Found]:
    """The runs that a filter lets through, newest first (or oldest), starting after a key.

    Their keys are found first, mostly in indexes alone; then the rows of this page are read.
    """
    runs = run_search.keys(tx, wanted=wanted, limit=limit, after=after, ascending=ascending)
    if not runs:
        return []
    rows = tx.rows(_ROWS[load_input, load_output], rows=rows_json([[run] for run in runs]))
    found = {row[0]: _found(row) for row in rows}
    return [found[run] for run in runs]


def _found(row: tuple[Any, ...]) -> Found:
    (
        run,
        workflow_id,
        status,
        name,
        created,
        updated,
        version,
        application_id,
        attempts,
        executor_id,
        started,
        completed,
        error,
        queue,
        partition,
        deduplication_id,
        priority,
        timeout_ms,
        deadline_ms,
        parent_id,
        forked_from,
        app_status,
        app_status_color,
        summary,
        tags,
        reason,
        attention,
        output,
        inputs,
    ) = row
    known = Status(
        workflow_id=workflow_id,
        status=WorkflowStatus(status),
        name=name,
        created_at=to_datetime(created),
        updated_at=to_datetime(updated),
        application_version=version,
        application_id=application_id,
        attempts=attempts,
        executor_id=executor_id,
        started_at=None if started is None else to_datetime(started),
        completed_at=None if completed is None else to_datetime(completed),
        error=None if error is None else describe_error(error),
        queue_name=queue,
        queue_partition_key=partition,
        deduplication_id=deduplication_id,
        priority=priority,
        timeout=None if timeout_ms is None else timedelta(milliseconds=timeout_ms),
        deadline=None if deadline_ms is None else to_datetime(deadline_ms),
        parent_workflow_id=parent_id,
        forked_from=forked_from,
        app_status=app_status,
        app_status_color=app_status_color,
        summary=summary,
        tags=[] if tags is None else json.loads(tags),
        reason=reason,
        attention=attention,
    )
    return Found(run, known, output, inputs)


_ONE = Statement.of(f"select {COLUMNS}, output, inputs from pt_runs as w where id = :id")  # noqa: S608 - all ours
_ROWS = {
    (load_input, load_output): Statement.of(
        f"select {COLUMNS}, {'output' if load_output else 'null'}, {'inputs' if load_input else 'null'}"  # noqa: S608 - all ours
        " from pt_runs as w where w.run in (select r.run from @rows(run bigint) as r)"
    )
    for load_input in (False, True)
    for load_output in (False, True)
}


class Facts(NamedTuple):
    """What an explanation is made of."""

    run: int
    status: str
    name: str
    executor_id: str | None
    wake_ms: int | None
    queue_name: str | None
    attention: str | None
    reason: str | None
    updated_ms: int
    deadline_ms: int | None
    partition_key: str | None


def facts(tx: Tx, *, workflow_id: str) -> Facts | None:
    """The plain facts of a run."""
    row = tx.row(SQL.facts, id=workflow_id)
    return None if row is None else Facts(*row)


def open_waits(tx: Tx, *, run: int) -> list[tuple[str, str, str, int, int | None]]:
    """What a run waits for: (position, kind, subject, since_ms, deadline_ms)."""
    return [(row[0], row[1], row[2], row[3], row[4]) for row in tx.rows(SQL.open_waits, run=run)]
