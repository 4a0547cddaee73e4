"""The text index of runs: finds the runs that contain a text without reading all of them.

It is filled in the background (`loops/indexer.py`), because indexing a run costs more than starting it. So a search has
three sources: the index, the runs after its mark, and the reindex queue, which has the runs whose text changed when
they failed or is too long to index.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))

LONGEST = 8192
"""The longest input and error that are indexed, in characters."""
SHORTEST = 3
"""The shortest text that the index can find, in characters."""


def mark(tx: Tx) -> int:
    """The key up to which all runs are in the index or in the reindex queue."""
    row = tx.row(SQL.mark)
    return 0 if row is None else row[0]


def is_waiting(tx: Tx) -> bool:
    """Whether there are runs to index."""
    return tx.row(SQL.is_waiting, mark=mark(tx)) is not None


def index(tx: Tx, *, settled_ms: int, limit: int) -> bool:
    """Index the next runs and those whose text has changed, up to `limit` of each. Returns whether that was all.

    Runs that were created after `settled_ms` are left for the next call: on Postgres a run with a smaller key may not
    be committed yet.
    """
    tx.run(SQL.create_mark)
    row = tx.row(SQL.lock_mark)
    next_runs = tx.rows(SQL.next_runs, mark=0 if row is None else row[0], limit=limit)
    fresh = [run for run, _ in takewhile(lambda row: row[1] <= settled_ms, next_runs)]
    changed = [run for (run,) in tx.rows(SQL.changed, limit=limit)]
    if fresh or changed:
        text = rows_json([[run] for run in {*fresh, *changed}])
        # Unqueued before it is read: a run that fails in between is queued again and indexed next time.
        tx.run(SQL.unqueue_reindex, rows=text)
        tx.run(SQL.remove, rows=text)
        tx.run(SQL.queue_long, rows=text, longest=LONGEST)
        tx.run(SQL.add, rows=text, longest=LONGEST)
    if fresh:
        tx.run(SQL.move_mark, run=fresh[-1])
    return len(fresh) < limit and len(changed) < limit


def queue_reindex(tx: Tx, *, runs: Sequence[int]) -> None:
    """Queue runs whose text has changed."""
    tx.defer(SQL.queue_reindex, rows=rows_json([[run] for run in runs]))


def remove(tx: Tx, *, runs: Sequence[int]) -> None:
    """Remove deleted runs from the index."""
    text = rows_json([[run] for run in runs])
    tx.row(SQL.lock_mark)  # excludes the indexer
    tx.run(SQL.unqueue_reindex, rows=text)
    tx.run(SQL.remove, rows=text)
