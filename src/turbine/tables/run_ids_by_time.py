"""Keys of runs by time: keys are assigned in the order of time, so the first key of a time is found by a search.

The first probes are spread evenly over all keys. Further ones are placed by interpolation, a little before and a little
after the expected key. The last few keys are read one after the other.
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

READ_MAX = 64
"""Ranges of up to so many keys are read instead of probed."""


def last_run(tx: Tx) -> int:
    """The key of the newest run; 0 when there are no runs."""
    _, last = tx.row(SQL.bounds) or (None, None)
    return last or 0


def first_runs(tx: Tx, *, times_ms: Sequence[int]) -> list[int]:
    """For each time the key of the first run that was created then or later."""
    if not times_ms:
        return []
    first, last = tx.row(SQL.bounds) or (None, None)
    if first is None or last is None:
        return [0] * len(times_ms)
    searches = [_Search(time_ms, first, last + 1) for time_ms in times_ms]
    _probe_evenly(tx, searches, first, last)
    number = 0
    while wide := [search for search in searches if search.high - search.low > READ_MAX]:
        number += 1
        # Every third probe halves the range, so the search ends soon however unevenly runs were created.
        probes = [search.middle() if number % 3 == 0 else search.interpolated() for search in wide]
        created = _created_at(tx, {key for keys in probes for key in keys})
        for search, keys in zip(wide, probes, strict=True):
            for key in keys:
                search.narrow(key, created[key])
    rows = [
        [index, search.time_ms, search.low, search.high]
        for index, search in enumerate(searches)
        if search.low < search.high
    ]
    first_created: dict[int, int | None] = dict(tx.rows(SQL.first_created, rows=rows_json(rows))) if rows else {}
    for index, run in first_created.items():
        searches[index].low = searches[index].high if run is None else run
    return [search.low for search in searches]


@dataclass(slots=True)
class _Search:
    """The search for the key of a time, which is one of `low` to `high`."""

    time_ms: int
    low: int
    high: int
    before_ms: int | None = None
    """When the run before `low` was created, if it was probed."""
    after_ms: int | None = None
    """When the run at `high` was created, if it was probed."""

    def middle(self) -> list[int]:
        return [(self.low + self.high) // 2]

    def interpolated(self) -> list[int]:
        if self.before_ms is None or self.after_ms is None or self.after_ms <= self.before_ms:
            return self.middle()
        width = self.high - self.low
        key = self.low + width * (self.time_ms - self.before_ms) // (self.after_ms - self.before_ms)
        reach = 3 * isqrt(width) // 4
        return [min(max(key + side, self.low), self.high - 1) for side in (-reach, reach)]

    def narrow(self, key: int, created_ms: int | None) -> None:
        """Narrow the range by the time at which the run at `key`, or the first one after it, was created."""
        if not self.low <= key < self.high:
            return
        if created_ms is not None and created_ms < self.time_ms:
            self.low, self.before_ms = key + 1, created_ms
        else:
            self.high, self.after_ms = key, created_ms


def _probe_evenly(tx: Tx, searches: Sequence[_Search], first: int, last: int) -> None:
    """Probe keys that are spread evenly, and narrow each search by the neighbours of its time."""
    count = len(searches) + 3
    keys = sorted({first + (last - first) * index // (count - 1) for index in range(count)})
    created = _created_at(tx, keys)
    latest = list(accumulate((created[key] or 0 for key in keys), max))
    for search in searches:
        index = bisect_left(latest, search.time_ms)
        for key in keys[max(0, index - 1) : index + 1]:
            search.narrow(key, created[key])


def _created_at(tx: Tx, keys: Iterable[int]) -> dict[int, int | None]:
    """When the runs at these keys, or the first ones after them, were created."""
    return dict(tx.rows(SQL.created_at, rows=rows_json([[key] for key in sorted(keys)])))
