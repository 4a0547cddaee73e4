"""The rows that runs have left in a database, in a form in which two executions of the same program can be compared.

Left out is what may differ: times, keys, executors, fences, numbers of attempts. Random ids are replaced by
placeholders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from turbine.codec import describe_error
from turbine.model.words import NOW, RANDOM, UUID4
from turbine.store import Statement, Tx

HOUSEKEEPING = frozenset(
    {
        "pt_migrations",
        "pt_executors",
        "pt_batches",
        "pt_past_executors",
        "pt_incarnations",
        "pt_queues",
        "pt_queue_starts",
        "pt_logs",
        "pt_schedules",
        "pt_workflows",
        "pt_product_uploads",
        "pt_product_chunks",
        "pt_delivery_attempts",
        "pt_maintenance",
        "pt_retention",
        "pt_sizes",
        "pt_accounts",
        "pt_sessions",
        "pt_tokens",
        "pt_setup_links",
        "pt_login_attempts",
        "pt_audit",
    }
)
"""Tables about processes and people, and the bytes of products, whose digests are compared instead."""
INDEX = ("pt_search", "pt_reindex_queue")
"""Prefixes of the tables (SQLite makes some of its own) that only serve to search runs."""
PASSING = frozenset(
    {
        "executor_id",
        "slot_executor",
        "fence",
        "recovery_attempts",
        "attempt_owed",
        "attempts_granted",
        "application_version",
        "function_id",
        "follows",
        "incarnation",
        "storage",
        "upload",
    }
)
"""Columns that may differ: which process did the work, and in which order concurrent steps were recorded."""
RANDOM_STEPS = (UUID4, RANDOM, NOW)
"""Steps whose output differs in each execution."""

RUNS = ("run", "parent_run")
"""Columns that hold the key of a run, which is replaced by its id."""

Rows = dict[str, list[dict[str, Any]]]

_TABLES = Statement(
    "tables",
    sqlite=r"select name from sqlite_master where type = 'table' and name like 'pt\_%' escape '\'",
    postgres="select tablename from pg_tables where schemaname = current_schema() and starts_with(tablename, 'pt_')",
)
_COLUMNS = Statement(
    "columns",
    sqlite="select name, pk = 1 and type = 'INTEGER' from pragma_table_info(:relation)",
    postgres="select column_name, is_identity = 'YES' from information_schema.columns"
    " where table_schema = current_schema() and table_name = %(relation)s order by ordinal_position",
)


class Prospect(NamedTuple):
    """The work that is left for the runs of a database."""

    open: list[str]
    """The ids of runs that are not over."""
    is_moved_by_time: bool
    """Whether any of them waits for a time, or in a queue."""
    has_deliveries: bool


_OPEN = Statement.of("select id from pt_runs where completed_at_epoch_ms is null order by run")
_TIMED = Statement.of(
    "select 1 from pt_runs where completed_at_epoch_ms is null"
    " and (wake_ms is not null or workflow_deadline_epoch_ms is not null or status = 'ENQUEUED')"
    " union all select 1 from pt_waits where due_ms is not null limit 1"
)
_PENDING = Statement.of("select 1 from pt_deliveries where status = 'pending' limit 1")


def prospect(tx: Tx) -> Prospect:
    """Read what is left to do."""
    return Prospect(
        open=[row[0] for row in tx.rows(_OPEN)],
        is_moved_by_time=tx.row(_TIMED) is not None,
        has_deliveries=tx.row(_PENDING) is not None,
    )


def snapshot(tx: Tx) -> Rows:
    """Every row of every run, without what may differ, in an order that does not depend on the execution."""
    tables = sorted(row[0] for row in tx.rows(_TABLES))
    compared = [table for table in tables if table not in HOUSEKEEPING and not table.startswith(INDEX)]
    content = {table: _rows_of(tx, table) for table in compared}
    ids = {row["run"]: row["id"] for row in content["pt_runs"]}
    placeholders = _placeholders(content)
    for rows in content.values():
        for row in rows:
            for column, value in row.items():
                row[column] = ids.get(value, value) if column in RUNS else _normalized(column, value, placeholders)
        rows.sort(key=repr)
    return content


def _rows_of(tx: Tx, table: str) -> list[dict[str, Any]]:
    columns = [
        name
        for name, is_key in tx.rows(_COLUMNS, relation=table)
        if not (name in PASSING or name.endswith("_ms") or (is_key and name != "run"))
        and (table, name) != ("pt_deliveries", "attempts")
    ]
    rows = tx.rows(Statement.of(f"select {', '.join(columns)} from {table}"))  # noqa: S608 - our own tables
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _placeholders(content: Rows) -> dict[str, str]:
    """A placeholder for each random text."""
    placeholders: dict[str, str] = {}
    for table, rows in content.items():
        if table != "pt_runs":
            placeholders |= {row["id"]: f"<id of {table}>" for row in rows if isinstance(row.get("id"), str)}
    for row in content["pt_steps"]:
        if row["function_name"] in RANDOM_STEPS and row["output"] is not None:
            placeholders[row["output"].strip('"')] = f"<{row['function_name']} at {row['position']}>"
    return placeholders


def _normalized(column: str, value: Any, placeholders: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    if column == "error":
        value = _without_traceback(value)
    for text, placeholder in placeholders.items():
        value = value.replace(text, placeholder)
    return value


def _without_traceback(error: str) -> str:
    # A traceback differs between the process that raised the error and one that read it.
    try:
        return describe_error(error)
    except (ValueError, KeyError, TypeError):
        return error


def difference(expected: Rows, actual: Rows) -> str | None:
    """The first thing in which two snapshots differ, in words."""
    for table in expected:
        missing = [row for row in expected[table] if row not in actual[table]]
        surplus = [row for row in actual[table] if row not in expected[table]]
        if len(missing) == 1 and len(surplus) == 1:
            (before,), (after,) = missing, surplus
            columns = [column for column in before if before[column] != after[column]]
            changes = "; ".join(f"{column} is {after[column]!r}, not {before[column]!r}" for column in columns)
            return f"{table}, {_name(before)}: {changes}"
        if missing:
            return f"{table}: this row is missing: {missing[0]!r}"
        if surplus:
            return f"{table}: this row is unexpected: {surplus[0]!r}"
        if len(expected[table]) != len(actual[table]):
            return f"{table}: {len(actual[table])} rows instead of {len(expected[table])}, some of them twice"
    return None


def _name(row: Mapping[str, Any]) -> str:
    return " ".join(str(row[column]) for column in ("id", "run", "position", "function_name", "key") if row.get(column))
