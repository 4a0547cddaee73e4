"""What runs wrote into their logs, for some days. The rows outlive their runs: a deleted run can still be explained."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.model.logs import LogRecord, LogSource
from turbine.store import Statement, Statements, Tx, bulk
from turbine.store.tx import rows_json
from turbine.tables.search import within

SQL = Statements(Path(__file__))


LOOKED_AT = 50_000
"""Lines of all runs in which a text is looked for at a time."""


class Line(NamedTuple):
    """A row of `keep`. `position` is the step's; None in the body of a workflow."""

    workflow_id: str | None
    position: str | None
    level: int
    logger: str
    message: str
    source: str
    created_ms: int


class Filter(NamedTuple):
    """What a list asks for; every field that is given must hold."""

    workflow_id: str | None = None
    position: str | None = None
    level: int | None = None
    search: str | None = None
    after_ms: int | None = None
    before_ms: int | None = None


@bulk
def keep(tx: Tx, batches: Sequence[Sequence[Line]]) -> list[None]:
    """Store lines, in order; each argument is a list of them. An empty one is done when all before it are."""
    lines = [line for batch in batches for line in batch]
    if lines:
        tx.run(SQL.keep, rows=rows_json(lines))
    return [None] * len(batches)


class Found(NamedTuple):
    """Records with their keys; `behind` is where to look on when a look has ended before the table did."""

    records: list[tuple[int, LogRecord]]
    behind: int | None


def page(tx: Tx, *, wanted: Filter, limit: int, after: int | None, ascending: bool) -> Found:
    """The records that a filter lets through, newest first (or oldest), starting after a key.

    A text that is looked for in all runs is looked for in so many lines at a time: no index has it.
    """
    behind = _behind(tx, wanted, after, ascending)
    clauses, parameters = _clauses(wanted)
    if after is not None:
        clauses.append("log > :after" if ascending else "log < :after")
        parameters["after"] = after
    if behind is not None:
        clauses.append("log < :behind" if ascending else "log > :behind")
        parameters["behind"] = behind
    where = "\nand ".join(clauses) or "true"
    text = (
        "select log, created_ms, level, logger, message, workflow_id, position, source from pt_logs"  # noqa: S608 - what users say is a parameter
        f" where {where} order by log {'asc' if ascending else 'desc'} limit :limit"
    )
    records = [(row[0], _record(row)) for row in tx.rows(Statement.of(text), limit=limit, **parameters)]
    if behind is None or len(records) == limit:
        return Found(records, None)
    return Found(records, behind - 1 if ascending else behind + 1)


def _behind(tx: Tx, wanted: Filter, after: int | None, ascending: bool) -> int | None:
    """The key before which a look ends; None for one that goes to the end of the table."""
    if not wanted.search or wanted.workflow_id is not None:
        return None
    bounds: tuple[int | None, int | None] = tx.row(SQL.bounds) or (None, None)
    least, most = bounds
    if least is None or most is None:
        return None
    if ascending:
        end = (least - 1 if after is None else after) + LOOKED_AT
        return end if end <= most else None
    end = (most + 1 if after is None else after) - LOOKED_AT
    return end if end >= least else None


def _clauses(wanted: Filter) -> tuple[list[str], dict[str, Any]]:
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    if wanted.workflow_id is not None:
        clauses.append("workflow_id = :workflow_id and workflow_id is not null")
        parameters["workflow_id"] = wanted.workflow_id
    if wanted.position is not None:
        clauses.append("position = :position")
        parameters["position"] = wanted.position
    if wanted.level is not None:
        # The number stands in the text where it allows the index of severe records, which are few.
        clauses.append("level >= :level")
        if wanted.level >= logging.WARNING:
            clauses.append(f"level >= {logging.WARNING}")
        parameters["level"] = wanted.level
    if wanted.after_ms is not None:
        clauses.append("created_ms >= :after_ms")
        parameters["after_ms"] = wanted.after_ms
    if wanted.before_ms is not None:
        clauses.append("created_ms <= :before_ms")
        parameters["before_ms"] = wanted.before_ms
    if wanted.search:
        clauses.append("(lower(message) like :search escape '!' or lower(logger) like :search escape '!')")
        parameters["search"] = within(wanted.search.lower())
    return clauses, parameters


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


def forget(tx: Tx, *, before_ms: int, limit: int) -> int:
    """Remove records that are older than a time, the oldest first, at most `limit`; how many."""
    return tx.run(SQL.forget, before=before_ms, limit=limit)
