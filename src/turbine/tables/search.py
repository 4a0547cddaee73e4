"""The text index of runs: which runs contain a piece of text, without reading all of them.

It is filled behind the runs (`loops/indexer.py`), never in their writes: indexing a run costs more than starting it. So
three places hold what is searched: the index, the runs that came after its mark, and those that stand apart because
their text changed when they failed, or is too long to index. Whoever searches looks in all three, and at the row itself
in the end, so nothing is missed and nothing found that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))

LONGEST = 8192
"""Characters of input and error up to which a run is indexed."""
SHORTEST = 3
"""Characters of a text that the index can help to find."""


def within(text: str) -> str:
    """The pattern that finds a text anywhere, for `like … escape '!'`."""
    return f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"


def mark(tx: Tx) -> int:
    """Up to which key runs are in the index, or apart."""
    row = tx.row(SQL.mark)
    return 0 if row is None else row[0]


def is_waiting(tx: Tx) -> bool:
    """Whether anything is to be indexed."""
    return tx.row(SQL.waiting, mark=mark(tx)) is not None


def index(tx: Tx, *, settled_ms: int, limit: int) -> bool:
    """Index the next runs, and those whose text has changed, up to `limit` of each; whether that was all.

    Runs that were created after `settled_ms` are left for the next time: on Postgres one with a smaller key may still
    be on its way to its commit.
    """
    tx.run(SQL.begin)
    row = tx.row(SQL.hold)
    before = 0 if row is None else row[0]
    fresh: list[int] = []
    found = tx.rows(SQL.next_runs, mark=before, limit=limit)
    for run, created_ms in found:
        if created_ms > settled_ms:
            break
        fresh.append(run)
    changed = [run for (run,) in tx.rows(SQL.changed, limit=limit)]
    if fresh or changed:
        text = rows_json([[run] for run in {*fresh, *changed}])
        # First out of the way, then read: who fails in between is put apart anew and comes next time.
        tx.run(SQL.take_back, rows=text)
        tx.run(SQL.remove, rows=text)
        tx.run(SQL.put_long_apart, rows=text, longest=LONGEST)
        tx.run(SQL.add, rows=text, longest=LONGEST)
    if fresh:
        tx.run(SQL.move, run=fresh[-1])
    return len(fresh) < limit and len(changed) < limit


def queue_reindex(tx: Tx, *, runs: Sequence[int]) -> None:
    """Note that the text of runs has changed."""
    tx.defer(SQL.queue_reindex, rows=rows_json([[run] for run in runs]))


def forget(tx: Tx, *, runs: Sequence[int]) -> None:
    """Take deleted runs out of the index."""
    text = rows_json([[run] for run in runs])
    tx.row(SQL.hold)  # the indexer and this take turns
    tx.run(SQL.take_back, rows=text)
    tx.run(SQL.remove, rows=text)
