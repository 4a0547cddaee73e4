"""Chores: what the house does for itself by the clock, once for each tick however many processes there are."""

from __future__ import annotations

from pathlib import Path

from turbine.store import Statements, Tx

SQL = Statements(Path(__file__))


def plan(tx: Tx, *, name: str, next_ms: int) -> int:
    """Note when a chore is due next, unless it is due earlier already. Returns when that is."""
    tx.run(SQL.plan, name=name, next=next_ms)
    row = tx.row(SQL.next, name=name)
    assert row is not None
    return row[0]


def take(tx: Tx, *, name: str, now_ms: int, next_ms: int) -> bool:
    """Take the tick of a chore that is due and plan the next; False when somebody else has taken it."""
    return tx.run(SQL.take, name=name, now=now_ms, next=next_ms) > 0
