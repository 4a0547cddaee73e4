"""Reads of `turbine doctor`: a few numbers about the whole database, each from an index."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))

COUNT_MAX = 1000


class DueRun(NamedTuple):
    """A run that is due and not held."""

    name: str
    since_ms: int
    is_known: bool
    """Whether its workflow is registered in a live process."""


def database_ms(tx: Tx) -> int:
    """The time of the database."""
    row = tx.row(SQL.database_time)
    assert row is not None
    return row[0]


def schema_version(tx: Tx) -> int:
    """The number of the newest migration that was applied."""
    return (tx.row(SQL.schema_version) or (0,))[0] or 0


def count_set_aside(tx: Tx) -> int:
    """The number of runs that are set aside, up to a thousand."""
    return (tx.row(SQL.set_aside, limit=COUNT_MAX) or (0,))[0]


def count_open(tx: Tx) -> int:
    """The number of open runs, up to a thousand."""
    return (tx.row(SQL.open_runs, limit=COUNT_MAX) or (0,))[0]


def longest_due(tx: Tx) -> DueRun | None:
    """The run that has been due for the longest time, or that is due next if none is."""
    names = rows_json(tx.rows(SQL.names))
    dues = [(wake_ms, name) for name, wake_ms in tx.rows(SQL.longest_due, rows=names) if wake_ms]
    if not dues:
        return None
    since_ms, name = min(dues)
    return DueRun(name, since_ms, (name,) in tx.rows(SQL.registered_names))
