"""The schedule of maintenance jobs: each tick is taken once, however many processes there are."""

from __future__ import annotations

from pathlib import Path

from turbine.store import Statements, Tx

SQL = Statements(Path(__file__))


def plan(tx: Tx, *, name: str, next_ms: int) -> int:
    """Plan the next tick of a job, unless an earlier one is planned. Returns when it is due."""
    tx.run(SQL.plan, name=name, next=next_ms)
    row = tx.row(SQL.next, name=name)
    assert row is not None
    return row[0]


def take(tx: Tx, *, name: str, now_ms: int, next_ms: int) -> bool:
    """Take the due tick of a job and plan the next; False when another process has taken it."""
    return tx.run(SQL.take, name=name, now=now_ms, next=next_ms) > 0
