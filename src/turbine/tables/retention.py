"""How long runs are kept, and which of them are due to go.

Runs are looked at in the order of their ends, a stretch at a time: rules keep some of the old ones, and who looks
again from the beginning each time would look at those again and again.

What an open run may still ask for is not due, however old: its descendants, and whatever run its history names. It may
have been waiting for longer than they are kept, and would end as failed because its own child is gone.
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

STRETCH = 2000
"""Runs that are looked at in one read."""
RULES_MAX = 1000
EVER_MS = 10**15
"""Longer than anything: what is kept for ever is never due."""


class Stretch(NamedTuple):
    """What a look at some of the old runs has found."""

    runs: list[int]
    """Those that are due, in the order of their ends."""
    until_ms: int | None
    """Where to look on; None at the end."""


def set_(tx: Tx, *, workflow: str, status: str, keep_ms: int | None, now_ms: int) -> bool:
    """Lay down a rule, in the place of one for the same runs."""
    return tx.run(SQL.set_, workflow=workflow, status=status, keep=keep_ms, now=now_ms) > 0


def delete(tx: Tx, *, workflow: str, status: str) -> bool:
    """Lift a rule; whether there was one."""
    return tx.run(SQL.delete, workflow=workflow, status=status) > 0


def get(tx: Tx, *, workflow: str, status: str) -> RetentionRule | None:
    """The rule for exactly these runs."""
    row = tx.row(SQL.get, workflow=workflow, status=status)
    return None if row is None else _rule(row)


def count(tx: Tx) -> int:
    """How many rules there are."""
    row = tx.row(SQL.count)
    return 0 if row is None else row[0]


def listing(tx: Tx, *, after: tuple[str, str], limit: int) -> list[RetentionRule]:
    """Rules in the order of their workflows and statuses."""
    return [_rule(row) for row in tx.rows(SQL.listing, workflow=after[0], status=after[1], limit=limit)]


def _rule(row: Row) -> RetentionRule:
    workflow, status, keep_ms, updated_ms = row
    return RetentionRule(
        workflow=workflow or None,
        status=WorkflowStatus(status) if status else None,
        keep=None if keep_ms is None else timedelta(milliseconds=keep_ms),
        updated=to_datetime(updated_ms),
    )


def next_due(tx: Tx, *, after_ms: int, now_ms: int, usual_ms: int | None) -> Stretch:
    """Runs that are due, of those that ended after a time, a stretch of them."""
    row = tx.row(SQL.shortest)
    kept = [one for one in (usual_ms, None if row is None else row[0]) if one is not None]
    if not kept:
        return Stretch([], None)
    before_ms = now_ms - min(kept)
    row = tx.row(SQL.until, after=after_ms, before=before_ms, stretch=STRETCH)
    until_ms = None if row is None else row[0]
    ended = [run for (run,) in tx.rows(SQL.ended, after=after_ms, until=before_ms if until_ms is None else until_ms)]
    return Stretch(due(tx, runs=ended, now_ms=now_ms, usual_ms=usual_ms), until_ms)


def due(tx: Tx, *, runs: Sequence[int], now_ms: int, usual_ms: int | None) -> list[int]:
    """Those of these runs that are due, as things stand now.

    They are over for longer than their rule says, or `usual_ms` where none does (None: for ever), all of them is
    announced, and no open run may still ask for them.
    """
    usual = EVER_MS if usual_ms is None else usual_ms
    over = [run for (run,) in tx.rows(SQL.over, rows=rows_json([[run] for run in runs]), usual=usual, now=now_ms)]
    needed = _needed(tx, over) if over else set[int]()
    return [run for run in over if run not in needed]


def _needed(tx: Tx, runs: Sequence[int]) -> set[int]:
    """Those of these runs, and of their ancestors, that an open run may ask for, or an open run's descendants."""
    lineage = tx.rows(SQL.lineage, rows=rows_json([[run] for run in runs]))
    children: defaultdict[int | None, list[int]] = defaultdict(list)
    for run, parent, _ in lineage:
        children[parent].append(run)
    needed = {run for run, _, is_needed in lineage if is_needed}
    below = list(needed)
    while below:
        for child in children.pop(below.pop(), ()):
            needed.add(child)
            below.append(child)
    return needed


def kinds(tx: Tx, *, runs: Sequence[int]) -> list[tuple[str, str, int]]:
    """Of which workflows and statuses these runs are, and how many of each."""
    return [
        (name, status, count) for name, status, count in tx.rows(SQL.kinds, rows=rows_json([[run] for run in runs]))
    ]
