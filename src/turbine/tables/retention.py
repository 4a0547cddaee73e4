"""Retention: how long runs are kept, and which of them are due for deletion.

Runs are read in the order of their ends, in batches that continue where the one before stopped, because rules may keep
many old runs for longer.

A run that an open run may still ask for is not due, however old it is: a descendant of the open run, or any run that
its history names. The open run may have waited for longer than runs are kept, and would fail if its child were gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from turbine.clock import to_datetime
from turbine.model.retention import RetentionRule
from turbine.model.workflows import WorkflowStatus
from turbine.store import Statements, Tx
from turbine.store.tx import Row, rows_json

SQL = Statements(Path(__file__))

BATCH_SIZE = 2000
"""Runs in one read."""
RULES_MAX = 1000
FOREVER_MS = 10**15


class RetentionBatch(NamedTuple):
    """The runs of a batch that are due, in the order of their ends."""

    runs: list[int]
    until_ms: int | None
    """The end time to continue after; None after the last batch."""


def set_(tx: Tx, *, workflow: str, status: str, keep_ms: int | None, now_ms: int) -> bool:
    """Set the rule for a workflow and a status."""
    return tx.run(SQL.set_, workflow=workflow, status=status, keep=keep_ms, now=now_ms) > 0


def delete(tx: Tx, *, workflow: str, status: str) -> bool:
    """Delete a rule; whether it existed."""
    return tx.run(SQL.delete, workflow=workflow, status=status) > 0


def get(tx: Tx, *, workflow: str, status: str) -> RetentionRule | None:
    """The rule for exactly this workflow and status."""
    row = tx.row(SQL.get, workflow=workflow, status=status)
    return None if row is None else _rule(row)


def count(tx: Tx) -> int:
    """The number of rules."""
    row = tx.row(SQL.count)
    return 0 if row is None else row[0]


def listing(tx: Tx, *, after: tuple[str, str], limit: int) -> list[RetentionRule]:
    """Rules by workflow and status, after one of them."""
    return [_rule(row) for row in tx.rows(SQL.listing, workflow=after[0], status=after[1], limit=limit)]


def _rule(row: Row) -> RetentionRule:
    workflow, status, keep_ms, updated_ms = row
    return RetentionRule(
        workflow=workflow or None,
        status=WorkflowStatus(status) if status else None,
        keep=None if keep_ms is None else timedelta(milliseconds=keep_ms),
        updated=to_datetime(updated_ms),
    )


def next_batch(tx: Tx, *, after_ms: int, now_ms: int, usual_ms: int | None) -> RetentionBatch:
    """The due runs of the next batch of runs that ended after a time."""
    row = tx.row(SQL.shortest_rule)
    periods = [period for period in (usual_ms, None if row is None else row[0]) if period is not None]
    if not periods:
        return RetentionBatch([], None)
    before_ms = now_ms - min(periods)
    row = tx.row(SQL.batch_end, after=after_ms, before=before_ms, size=BATCH_SIZE)
    until_ms = None if row is None else row[0]
    ended = [run for (run,) in tx.rows(SQL.ended, after=after_ms, until=before_ms if until_ms is None else until_ms)]
    return RetentionBatch(due(tx, runs=ended, now_ms=now_ms, usual_ms=usual_ms), until_ms)


def due(tx: Tx, *, runs: Sequence[int], now_ms: int, usual_ms: int | None) -> list[int]:
    """Those of these runs that are due in this transaction.

    They ended longer ago than their rule says, or than `usual_ms` if they have none (None: for ever). Their deliveries
    are settled, and no open run may ask for them.
    """
    usual = FOREVER_MS if usual_ms is None else usual_ms
    expired = [run for (run,) in tx.rows(SQL.expired, rows=rows_json([[run] for run in runs]), usual=usual, now=now_ms)]
    needed = _needed(tx, expired) if expired else set[int]()
    return [run for run in expired if run not in needed]


def _needed(tx: Tx, runs: Sequence[int]) -> set[int]:
    """Those of these runs and of their ancestors that an open run may ask for, with their descendants among them."""
    lineage = tx.rows(SQL.lineage, rows=rows_json([[run] for run in runs]))
    children: defaultdict[int | None, list[int]] = defaultdict(list)
    for run, parent, _ in lineage:
        children[parent].append(run)
    needed = {run for run, _, is_needed in lineage if is_needed}
    pending = list(needed)
    while pending:
        descendants = children.pop(pending.pop(), [])
        needed.update(descendants)
        pending += descendants
    return needed


def counts(tx: Tx, *, runs: Sequence[int]) -> list[tuple[str, str, int]]:
    """The number of these runs of each workflow and status."""
    rows = tx.rows(SQL.counts, rows=rows_json([[run] for run in runs]))
    return [(name, status, count) for name, status, count in rows]
