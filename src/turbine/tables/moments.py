"""Times as keys: keys of runs are given out in the order of time, so the key of a moment is found by halving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))


def last_run(tx: Tx) -> int:
    """The key of the newest run; 0 when there is none."""
    _, most = tx.one(SQL.bounds) or (None, None)
    return most or 0


def first_runs(tx: Tx, *, moments: Sequence[int]) -> list[int]:
    """For each time the key of the first run that was made then or later."""
    least, most = tx.one(SQL.bounds) or (None, None)
    if least is None or most is None:
        return [0] * len(moments)
    lows = [least] * len(moments)
    highs = [most + 1] * len(moments)
    while open_ := [place for place in range(len(moments)) if lows[place] < highs[place]]:
        mids = [[place, (lows[place] + highs[place]) // 2] for place in open_]
        for place, made_ms in tx.all(SQL.made_at, rows=rows_json(mids)):
            middle = (lows[place] + highs[place]) // 2
            if made_ms is not None and made_ms < moments[place]:
                lows[place] = middle + 1
            else:
                highs[place] = middle
    return lows
