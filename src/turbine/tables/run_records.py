"""Runs as records: one run, pages of runs, and the app status that a run shows."""

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

_COLUMNS = """
    w.run, id, status, name, created_at_epoch_ms, updated_at_epoch_ms, application_version, application_id,
    recovery_attempts, executor_id, started_at_epoch_ms, completed_at_epoch_ms, error, queue_name,
    queue_partition_key, deduplication_id, priority, workflow_timeout_ms, workflow_deadline_epoch_ms,
    parent_workflow_id, forked_from_workflow_id, app_status, app_status_color, summary, tags, reason, attention
"""
_ONE = Statement.of(f"select {_COLUMNS}, output, inputs from pt_runs as w where id = :id")  # noqa: S608 - all ours
_SEVERAL = {
    (load_input, load_output): Statement.of(
        f"select {_COLUMNS}, {'output' if load_output else 'null'}, {'inputs' if load_input else 'null'}"  # noqa: S608 - all ours
        " from pt_runs as w where w.run in (select r.run from @rows(run bigint) as r)"
    )
    for load_input in (False, True)
    for load_output in (False, True)
}


class StoredRun(NamedTuple):
    """A run: its key, its status without payloads, and the payloads as they are stored."""

    run: int
    status: Status
    output: str | None
    inputs: str | None


class RunFacts(NamedTuple):
    """The columns from which `explain` tells why a run does not continue."""

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


class AppStatus(NamedTuple):
    """A row of `set_app_status`; `note` is the record of the call in the body, None for a call in a step."""

    run: int
    fence: int
    label: str
    color: str
    now_ms: int
    note: Outcome | None


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run)])
def set_app_status(tx: Tx, rows: Sequence[AppStatus]) -> list[Answer]:
    """Set the app statuses of runs, in order, each together with its note."""
    answers = refusals(tx, ((row.run, row.fence) for row in rows))
    allowed = [row for row in rows if answers[row.run, row.fence] is Answer.DONE]
    for row in allowed:
        tx.run(SQL.set_app_status, rows=rows_json([row[:5]]), executor=tx.executor)
    notes = [row.note for row in allowed if row.note is not None]
    if notes:
        steps.record(tx, notes)
    return [answers[row.run, row.fence] for row in rows]


def get(tx: Tx, *, workflow_id: str) -> StoredRun | None:
    """A run with its payloads."""
    row = tx.row(_ONE, id=workflow_id)
    return None if row is None else _stored_run(row)


def result(tx: Tx, *, workflow_id: str) -> tuple[bool, tuple[str, str | None, str | None, str | None]] | None:
    """Whether a run has ended, and its (status, output, error, reason); None for an unknown id."""
    row = tx.row(SQL.result, id=workflow_id)
    return None if row is None else (row[0] is not None, (row[1], row[2], row[3], row[4]))


def facts(tx: Tx, *, workflow_id: str) -> RunFacts | None:
    """The columns of a run that `explain` needs."""
    row = tx.row(SQL.facts, id=workflow_id)
    return None if row is None else RunFacts(*row)


def page(
    tx: Tx,
    *,
    filter: RunFilter,
    limit: int,
    after: int | None,
    ascending: bool,
    load_input: bool,
    load_output: bool = True,
) -> list[StoredRun]:
    """The runs that match a filter, newest first (or oldest), starting after a key.

    Their keys are searched first, mostly in indexes alone; then the rows of the page are read.
    """
    keys = run_search.keys(tx, filter=filter, limit=limit, after=after, ascending=ascending)
    if not keys:
        return []
    rows = tx.rows(_SEVERAL[load_input, load_output], rows=rows_json([[key] for key in keys]))
    by_key = {row[0]: _stored_run(row) for row in rows}
    return [by_key[key] for key in keys]


def _stored_run(row: tuple[Any, ...]) -> StoredRun:
    run, workflow_id, status, name, created, updated, version, application_id, attempts, executor_id, *more = row
    started, completed, error, queue, partition, deduplication_id, priority, timeout_ms, deadline_ms, *more = more
    parent_id, forked_from, app_status, app_status_color, summary, tags, reason, attention, output, inputs = more
    record = Status(
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
    return StoredRun(run, record, output, inputs)
