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
from turbine.store import Statement, Statements, Tx, bulk
from turbine.store.tx import rows_json
from turbine.tables import search, steps
from turbine.tables.ownership import Answer, refusals
from turbine.tables.steps import Outcome

SQL = Statements(Path(__file__))

COLUMNS = """
    w.run, id, status, name, created_at_epoch_ms, updated_at_epoch_ms, application_version, application_id,
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


class AppStatus(NamedTuple):
    """A row of `set_app_status`; `note` is the body's own record, None for one that is set by a step."""

    run: int
    fence: int
    label: str
    color: str
    now_ms: int
    note: Outcome | None


@bulk
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


_COLUMN_OF = {
    "status": "status",
    "name": "name",
    "executor_id": "executor_id",
    "version": "application_version",
    "ids": "id",
    "queue": "queue_name",
    "parent_id": "parent_workflow_id",
}
COMMON = 5000
"""Runs with a tag above which other filters lead, where they can."""
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
    found: dict[int, Found] = {}
    inputs = "inputs" if load_input else "null"
    for source in _sources(tx, wanted):
        clauses, parameters = _clauses(wanted, tx.dialect, source)
        if after is not None:
            clauses.append(f"{source.key} > :after" if ascending else f"{source.key} < :after")
            parameters["after"] = after
        text = (
            f"select {COLUMNS}, {inputs} from {source.tables} where {_all(clauses)}"  # noqa: S608 - what users say is a parameter
            f" order by {source.key} {'asc' if ascending else 'desc'} limit :limit"
        )
        for row in tx.all(Statement.of(text), limit=limit, **parameters):
            found[row[0]] = _found(row)
    return [found[run] for run in sorted(found, reverse=not ascending)][:limit]


def count(tx: Tx, *, wanted: Filter, limit: int) -> int:
    """How many runs a filter lets through, counted up to a limit."""
    found: set[int] = set()
    for source in _sources(tx, wanted):
        clauses, parameters = _clauses(wanted, tx.dialect, source)
        text = f"select w.run from {source.tables} where {_all(clauses)} limit :limit"  # noqa: S608 - as above
        found.update(row[0] for row in tx.all(Statement.of(text), limit=limit, **parameters))
    return min(len(found), limit)


class _Source(NamedTuple):
    """Where to look for runs: `key` is the run's key in the table that leads, `clauses` what ties the tables together.

    A filter may need several; together they hold every run that it can let through.
    """

    tables: str
    key: str
    clauses: tuple[str, ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()
    is_searched: bool = False
    """Whether the clauses already hold the searched text against a copy of the row's."""


_RUNS = _Source("pt_workflow_status as w", "w.run")


def _sources(tx: Tx, wanted: Filter) -> list[_Source]:
    if wanted.search and len(wanted.search) >= search.SHORTEST:
        return [
            _indexed(wanted.search, tx.dialect),
            _Source(_RUNS.tables, _RUNS.key, ("w.run > :mark",), (("mark", search.mark(tx)),)),
            _Source("pt_search_apart as a cross join pt_workflow_status as w", "a.run", ("w.run = a.run",)),
        ]
    if wanted.tag is not None and not (_is_narrow(wanted) and _are_common(tx, wanted.tag)):
        tagged = "pt_workflow_tags as t cross join pt_workflow_status as w"
        return [
            _Source(tagged, "t.run", ("t.tag = :lead", "w.run = t.run"), (("lead", tag),))
            for tag in dict.fromkeys(wanted.tag)
        ]
    return [_RUNS]


def _is_narrow(wanted: Filter) -> bool:
    """Whether an index of the runs themselves leads to what is wanted."""
    return any((wanted.status, wanted.name, wanted.ids, wanted.queue))


def _are_common(tx: Tx, tags: Sequence[str]) -> bool:
    """Whether so many runs have one of these tags that going through them all would take long."""
    return any(tx.one(SQL.is_common, tag=tag, count=COMMON) is not None for tag in tags)


def _indexed(text: str, dialect: str) -> _Source:
    """Runs whose indexed text contains this; the leading table tells them in the order of their keys."""
    if dialect == "sqlite":
        pattern = "".join(f"[{one}]" if one in "*?[" else one for one in text)
        tables = "pt_search as s cross join pt_workflow_status as w"
        return _Source(tables, "s.rowid", ("s.text glob lower(:part)", "w.run = s.rowid"), (("part", f"*{pattern}*"),))
    tables = "pt_search as s join pt_workflow_status as w on w.run = s.run"
    # Not held against the row itself too: Postgres would believe that hardly any fit, and read all rows for these.
    clauses = ("pt_trigrams(s.text) @> pt_trigrams(lower(:part))", "s.text like lower(:search) escape '!'")
    return _Source(tables, "s.run", clauses, (("part", text),), is_searched=True)


def _all(clauses: Sequence[str]) -> str:
    return "\nand ".join(clauses) or "true"


def _clauses(wanted: Filter, dialect: str, source: _Source) -> tuple[list[str], dict[str, Any]]:
    clauses = list(source.clauses)
    parameters: dict[str, Any] = dict(source.parameters)
    for field, column in _COLUMN_OF.items():
        values = getattr(wanted, field)
        if values is not None:
            marks = _marks(field, values, parameters)
            clauses.append(f"{column} in ({marks})" if values else "false")
    if wanted.tag is not None and "lead" not in parameters:
        marks = _marks("tag", wanted.tag, parameters)
        tagged = f"select 1 from pt_workflow_tags as g where g.tag in ({marks}) and g.run = w.run"  # noqa: S608 - as above
        clauses.append(f"exists ({tagged})" if wanted.tag else "false")
    if wanted.created_after_ms is not None:
        clauses.append("created_at_epoch_ms >= :created_after")
        parameters["created_after"] = wanted.created_after_ms
    if wanted.created_before_ms is not None:
        clauses.append("created_at_epoch_ms <= :created_before")
        parameters["created_before"] = wanted.created_before_ms
    if wanted.search:
        # Both sides are lowered by the database: each knows other letters.
        parameters["search"] = f"%{_like(wanted.search)}%"
    if wanted.search and not source.is_searched:
        each = [f"lower({column}) like lower(:search) escape '!'" for column in (*_SEARCHED, *_ERROR_PARTS[dialect])]
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


_ONE = Statement.of(f"select {COLUMNS}, inputs from pt_workflow_status as w where id = :id")  # noqa: S608 - all ours


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
    row = tx.one(SQL.facts, id=workflow_id)
    return None if row is None else Facts(*row)


def open_waits(tx: Tx, *, run: int) -> list[tuple[str, str, str, int, int | None]]:
    """What a run waits for: (position, kind, subject, since_ms, deadline_ms)."""
    return [(row[0], row[1], row[2], row[3], row[4]) for row in tx.all(SQL.open_waits, run=run)]
