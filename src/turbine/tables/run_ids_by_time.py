"""Times as keys: keys of runs are given out in the order of time, so a moment's key is found like a name in a book.

The first look is at keys that are spread evenly; then at where the time of its neighbours lets a moment expect, a bit
before and a bit behind it. What little is left in between is read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isqrt
from pathlib import Path

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))

NEAR = 64
"""So few keys are read one after the other."""


def last_run(tx: Tx) -> int:
    """The key of the newest run; 0 when there is none."""
    _, most = tx.row(SQL.bounds) or (None, None)
    return most or 0


def first_runs(tx: Tx, *, moments: Sequence[int]) -> list[int]:
    """For each time the key of the first run that was made then or later."""
    if not moments:
        return []
    least, most = tx.row(SQL.bounds) or (None, None)
    if least is None or most is None:
        return [0] * len(moments)
    sought = [_Sought(moment, least, most + 1) for moment in moments]
    _spread(tx, sought, least, most)
    number = 0
    while far := [one for one in sought if one.high - one.low > NEAR]:
        number += 1
        # Every third time in the middle: however unevenly runs were made, it comes to an end soon.
        asked = [one.middle() if number % 3 == 0 else one.expected() for one in far]
        made = _made(tx, {key for keys in asked for key in keys})
        for one, keys in zip(far, asked, strict=True):
            for key in keys:
                one.learn(key, made[key])
    rows = [[place, one.moment, one.low, one.high] for place, one in enumerate(sought) if one.low < one.high]
    found: dict[int, int | None] = dict(tx.rows(SQL.first_made, rows=rows_json(rows))) if rows else {}
    for place, run in found.items():
        sought[place].low = sought[place].high if run is None else run
    return [one.low for one in sought]


@dataclass(slots=True)
class _Sought:
    """A moment whose key is sought: it is one of `low` to `high`."""

    moment: int
    low: int
    high: int
    before_ms: int | None = None
    """When the run before `low` was made, once it is known."""
    after_ms: int | None = None
    """When the run at `high` was made."""

    def middle(self) -> list[int]:
        return [(self.low + self.high) // 2]

    def expected(self) -> list[int]:
        if self.before_ms is None or self.after_ms is None or self.after_ms <= self.before_ms:
            return self.middle()
        width = self.high - self.low
        key = self.low + width * (self.moment - self.before_ms) // (self.after_ms - self.before_ms)
        reach = 3 * isqrt(width) // 4
        return [min(max(key + side, self.low), self.high - 1) for side in (-reach, reach)]

    def learn(self, key: int, made_ms: int | None) -> None:
        """The run at `key`, or the first one behind it, was made then."""
        if not self.low <= key < self.high:
            return
        if made_ms is not None and made_ms < self.moment:
            self.low, self.before_ms = key + 1, made_ms
        else:
            self.high, self.after_ms = key, made_ms


def _spread(tx: Tx, sought: Sequence[_Sought], least: int, most: int) -> None:
    """Look at keys that are spread evenly, and tell each moment of its neighbours."""
    count = len(sought) + 3
    keys = sorted({least + (most - least) * place // (count - 1) for place in range(count)})
    made = _made(tx, keys)
    reached = list(accumulate((made[key] or 0 for key in keys), max))
    for one in sought:
        place = bisect_left(reached, one.moment)
        for key in keys[max(0, place - 1) : place + 1]:
            one.learn(key, made[key])


def _made(tx: Tx, keys: Iterable[int]) -> dict[int, int | None]:
    """When the runs at some keys, or the first ones behind them, were made."""
    return dict(tx.rows(SQL.made_at, rows=rows_json([[key] for key in sorted(keys)])))
