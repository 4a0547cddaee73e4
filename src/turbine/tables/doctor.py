"""What a look over the whole house asks the database: a few numbers, each from an index."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))

COUNT_MAX = 1000


class Due(NamedTuple):
    """A run that is due and that nobody holds."""

    name: str
    since_ms: int
    is_known: bool
    """Whether a live process knows its workflow."""


def database_ms(tx: Tx) -> int:
    """The database's own time."""
    row = tx.row(SQL.database_time)
    assert row is not None
    return row[0]


def schema(tx: Tx) -> int:
    """The number of the last migration that was applied."""
    return (tx.row(SQL.schema) or (0,))[0] or 0


def set_aside(tx: Tx) -> int:
    """How many runs need a person, counted up to a thousand."""
    return (tx.row(SQL.set_aside, limit=COUNT_MAX) or (0,))[0]


def open_runs(tx: Tx) -> int:
    """How many runs are not over, counted up to a thousand."""
    return (tx.row(SQL.open_runs, limit=COUNT_MAX) or (0,))[0]


def longest_due(tx: Tx) -> Due | None:
    """What is due for the longest time, of workflows that any process has ever registered; may be in the future."""
    names = [name for (name,) in tx.rows(SQL.names)]
    found = [
        (wake_ms, name) for name, wake_ms in tx.rows(SQL.longest_due, rows=rows_json([[n] for n in names])) if wake_ms
    ]
    if not found:
        return None
    since_ms, name = min(found)
    return Due(name, since_ms, name in {one for (one,) in tx.rows(SQL.known_alive)})
