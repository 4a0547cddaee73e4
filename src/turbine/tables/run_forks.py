"""Forks: copies the recorded steps of one run into another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))


def copy_history(
    tx: Tx,
    *,
    source: int,
    target: int,
    positions: Sequence[str],
    edits: Sequence[tuple[str, str | None, str | None]],
    now_ms: int,
) -> None:
    """Copy the recorded steps at `positions`, and the values they published, into a fork.

    `edits` are (position, output, error) and replace what was recorded. A step that is still running ends now.
    """
    if not positions:
        return
    rows = rows_json([[position] for position in positions])
    tx.run(SQL.copy_steps, source=source, target=target, rows=rows, now=now_ms)
    tx.run(SQL.copy_attempts, source=source, target=target, rows=rows)
    tx.run(SQL.copy_values_history, source=source, target=target, rows=rows)
    tx.run(SQL.rebuild_values, target=target)
    for position, output, error in edits:
        tx.run(SQL.edit_step, target=target, position=position, output=output, error=error)


def positions_of(tx: Tx, *, run: int) -> list[tuple[str, bool]]:
    """The recorded positions of a run, and whether each is done."""
    return [(position, ended is not None) for position, ended in tx.rows(SQL.positions_of, run=run)]
