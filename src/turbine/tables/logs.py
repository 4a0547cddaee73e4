"""Log records of runs, kept for some days. They outlive their runs, so a deleted run can still be explained."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.model.logs import LogRecord, LogSource
from turbine.store import Statement, Statements, Tx, bulk
from turbine.store.tx import rows_json
from turbine.tables.clauses import within

SQL = Statements(Path(__file__))

SCANNED_MAX = 50_000
"""Records in which one call searches for a text, if it searches those of all runs."""


class LogLine(NamedTuple):
    """A row of `add`. `position` is the step's; None in the body of a workflow."""

    workflow_id: str | None
    position: str | None
    level: int
    logger: str
    message: str
    source: str
    created_ms: int


class LogFilter(NamedTuple):
    """Conditions on records; all that are given must hold."""

    workflow_id: str | None = None
    position: str | None = None
    level: int | None = None
    search: str | None = None
    after_ms: int | None = None
    before_ms: int | None = None


class LogPage(NamedTuple):
    """Records with their keys; `resume_after` is the key to continue after when the search stopped early."""

    records: list[tuple[int, LogRecord]]
    resume_after: int | None


@bulk
def add(tx: Tx, batches: Sequence[Sequence[LogLine]]) -> list[None]:
    """Store batches of records, in order. An empty batch is done when all before it are."""
    lines = [line for batch in batches for line in batch]
    if lines:
        tx.run(SQL.add, rows=rows_json(lines))
    return [None] * len(batches)


def page(tx: Tx, *, filter: LogFilter, limit: int, after: int | None, ascending: bool) -> LogPage:
    """The records that match a filter, newest first (or oldest), starting after a key.

    A search for a text in the records of all runs stops after some records: no index has their texts.
    """
    stop = _stop_key(tx, filter, after, ascending)
    clauses, parameters = _clauses(filter)
    if after is not None:
        clauses.append("log > :after" if ascending else "log < :after")
        parameters["after"] = after
    if stop is not None:
        clauses.append("log < :stop" if ascending else "log > :stop")
        parameters["stop"] = stop
    where = "\nand ".join(clauses) or "true"
    text = (
        "select log, created_ms, level, logger, message, workflow_id, position, source from pt_logs"  # noqa: S608 - values are parameters
        f" where {where} order by log {'asc' if ascending else 'desc'} limit :limit"
    )
    records = [(row[0], _record(row)) for row in tx.rows(Statement.of(text), limit=limit, **parameters)]
    if stop is None or len(records) == limit:
        return LogPage(records, None)
    return LogPage(records, stop - 1 if ascending else stop + 1)


def _stop_key(tx: Tx, filter: LogFilter, after: int | None, ascending: bool) -> int | None:
    """The key before which a search stops; None if it continues to the end of the table."""
    if not filter.search or filter.workflow_id is not None:
        return None
    first, last = tx.row(SQL.bounds) or (None, None)
    if first is None or last is None:
        return None
    if ascending:
        stop = (first - 1 if after is None else after) + SCANNED_MAX
        return stop if stop <= last else None
    stop = (last + 1 if after is None else after) - SCANNED_MAX
    return stop if stop >= first else None


def _clauses(filter: LogFilter) -> tuple[list[str], dict[str, Any]]:
    clauses: list[str] = []
    if filter.workflow_id is not None:
        clauses.append("workflow_id = :workflow_id and workflow_id is not null")
    if filter.position is not None:
        clauses.append("position = :position")
    if filter.level is not None:
        clauses.append("level >= :level")
        if filter.level >= logging.WARNING:  # as a literal it matches the partial index of severe records
            clauses.append(f"level >= {logging.WARNING}")
    if filter.after_ms is not None:
        clauses.append("created_ms >= :after_ms")
    if filter.before_ms is not None:
        clauses.append("created_ms <= :before_ms")
    if filter.search:
        clauses.append("(lower(message) like :search escape '!' or lower(logger) like :search escape '!')")
    parameters = {name: value for name, value in filter._asdict().items() if value is not None}
    return clauses, parameters | {"search": within((filter.search or "").lower())}


def _record(row: tuple[Any, ...]) -> LogRecord:
    log, created_ms, level, logger, message, workflow_id, position, source = row
    return LogRecord(
        id=str(log),
        at=to_datetime(created_ms),
        level=str(logging.getLevelName(level)),  # pyright: ignore[reportDeprecated] - only the way back is deprecated
        logger=logger,
        message=message,
        workflow_id=workflow_id,
        step=position,
        source=LogSource(source),
    )


def delete(tx: Tx, *, before_ms: int, limit: int) -> int:
    """Delete records that are older than a time, the oldest first, at most `limit`. Returns how many."""
    return tx.run(SQL.delete, before=before_ms, limit=limit)
