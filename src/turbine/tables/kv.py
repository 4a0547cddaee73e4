"""The global key-value store."""

from __future__ import annotations

from pathlib import Path

from turbine.errors import Conflict
from turbine.store import Statements, Tx

SQL = Statements(Path(__file__))


def get(tx: Tx, *, key: str) -> str | None:
    """The stored JSON of a key."""
    row = tx.one(SQL.get, key=key)
    return None if row is None else row[0]


def set_(tx: Tx, *, key: str, value: str, now_ms: int, expect: str | None, expects_missing: bool) -> Conflict | None:
    """Write a key; with an expectation only if the stored JSON is the expected one, or is missing."""
    if expects_missing:
        written = tx.run(SQL.insert, key=key, value=value, now=now_ms)
    elif expect is not None:
        written = tx.run(SQL.swap, key=key, value=value, now=now_ms, expect=expect)
    else:
        written = tx.run(SQL.upsert, key=key, value=value, now=now_ms)
    if written:
        return None
    return Conflict(f"The value of {key!r} is not the expected one any more; read it again and decide anew")


def delete(tx: Tx, *, key: str) -> bool:
    """Remove a key; whether it was there."""
    return tx.run(SQL.delete, key=key) > 0
