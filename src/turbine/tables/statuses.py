"""Runs as people see them: one status, and filtered, paged lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.codec import describe_error
from turbine.model.workflows import Status, WorkflowStatus
from turbine.store import Statement, Statements, Tx

SQL = Statements(Path(__file__))

COLUMNS = """
    run, id, status, name, created_at_epoch_ms, updated_at_epoch_ms, application_version, application_id,
    recovery_attempts, executor_id, started_at_epoch_ms, completed_at_epoch_ms, error, queue_name,
    queue_partition_key, deduplication_id, priority, workflow_timeout_ms, workflow_deadline_epoch_ms,
    parent_workflow_id, forked_from_workflow_id, app_status, app_status_color, summary, tags, reason, attention,
    output
"""


class Found(NamedTuple):
    """A run as stored: its key, its status without payloads, and the payloads as they are stored."""

    run: int
    status: Status
    output: str | None
    inputs: str | None


class Filter(NamedTuple):
    """What a list asks for; every field that is given must hold."""

    status: Sequence[str] | None = None
    name: Sequence[str] | None = None
    executor_id: Sequence[str] | None = None
    version: Sequence[str] | None = None
    ids: Sequence[str] | None = None
    tag: Sequence[str] | None = None
    queue: Sequence[str] | None = None
    parent_id: Sequence[str] | None = None
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    search: str | None = None


_COLUMN_OF = {
    "status": "status",
    "name": "name",
    "executor_id": "executor_id",
    "version": "application_version",
    "ids": "id",
    "queue": "queue_name",
    "parent_id": "parent_workflow_id",
}
_SEARCHED = ("id", "name", "summary", "tags", "inputs")
_ERROR_PARTS = {
    "sqlite": ("json_extract(error, '$.type')", "json_extract(error, '$.message')"),
    "postgres": ("error::json->>'type'", "error::json->>'message'"),
}
"""What is searched of an error: its type and text, not the lines of its traceback."""


def one(tx: Tx, *, workflow_id: str) -> Found | None:
    """The run of an id, with its payloads."""
    row = tx.one(_ONE, id=workflow_id)
    return None if row is None else _found(row)


def outcome(tx: Tx, *, workflow_id: str) -> tuple[bool, tuple[str, str | None, str | None, str | None]] | None:
    """Whether a run is over, and its (status, output, error, reason); None for an unknown id."""
    row = tx.one(SQL.outcome, id=workflow_id)
    return None if row is None else (row[0] is not None, (row[1], row[2], row[3], row[4]))


def page(tx: Tx, *, wanted: Filter, limit: int, after: int | None, ascending: bool, load_input: bool) -> list[Found]:
    """The runs that a filter lets through, newest first (or oldest), starting after a key."""
    clauses, parameters = _clauses(wanted, tx.dialect)
    if after is not None:
        clauses.append("run > :after" if ascending else "run < :after")
        parameters["after"] = after
    where = "\nand ".join(clauses) or "true"
    inputs = "inputs" if load_input else "null"
    order = "asc" if ascending else "desc"
    text = (
        f"select {COLUMNS}, {inputs} from pt_workflow_status where {where}"  # noqa: S608 - what users say is a parameter
        f" order by run {order} limit :limit"
    )
    return [_found(row) for row in tx.all(Statement.of(text), limit=limit, **parameters)]


def _clauses(wanted: Filter, dialect: str) -> tuple[list[str], dict[str, Any]]:
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    for field, column in _COLUMN_OF.items():
        values = getattr(wanted, field)
        if values is not None:
            marks = _marks(field, values, parameters)
            clauses.append(f"{column} in ({marks})" if values else "false")
    if wanted.tag is not None:
        # The stored list is JSON: a tag in it is its JSON text, quotes included, so no other tag can match.
        each: list[str] = []
        for index, tag in enumerate(wanted.tag):
            parameters[f"tag{index}"] = f"%{_like(json.dumps(tag, ensure_ascii=False))}%"
            each.append(f"tags like :tag{index} escape '!'")
        clauses.append(f"({' or '.join(each)})" if each else "false")
    if wanted.created_after_ms is not None:
        clauses.append("created_at_epoch_ms >= :created_after")
        parameters["created_after"] = wanted.created_after_ms
    if wanted.created_before_ms is not None:
        clauses.append("created_at_epoch_ms <= :created_before")
        parameters["created_before"] = wanted.created_before_ms
    if wanted.search:
        parameters["search"] = f"%{_like(wanted.search.lower())}%"
        each = [f"lower({column}) like :search escape '!'" for column in (*_SEARCHED, *_ERROR_PARTS[dialect])]
        clauses.append(f"({' or '.join(each)})")
    return clauses, parameters


def _marks(field: str, values: Sequence[str], parameters: dict[str, Any]) -> str:
    for index, value in enumerate(values):
        parameters[f"{field}{index}"] = str(value)
    return ", ".join(f":{field}{index}" for index in range(len(values)))


def _like(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


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


_ONE = Statement.of(f"select {COLUMNS}, inputs from pt_workflow_status where id = :id")  # noqa: S608 - all ours


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


def facts(tx: Tx, *, workflow_id: str) -> Facts | None:
    """The plain facts of a run."""
    row = tx.one(SQL.facts, id=workflow_id)
    return None if row is None else Facts(*row)


def open_waits(tx: Tx, *, run: int) -> list[tuple[str, str, str, int, int | None]]:
    """What a run waits for: (position, kind, subject, since_ms, deadline_ms)."""
    return [(row[0], row[1], row[2], row[3], row[4]) for row in tx.all(SQL.open_waits, run=run)]
