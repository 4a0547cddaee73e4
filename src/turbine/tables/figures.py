"""Figures: counts and times over many runs, for overviews.

Nothing here goes through a table that grows. Keys of runs are given out in the order of time, so the keys of a span of
time are found by halving, and what lies between two keys is counted in an index.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from turbine.model.workflows import WorkflowStatus
from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import queues

SQL = Statements(Path(__file__))

SAMPLE_MAX = 20_000
"""Runs that are looked at one by one, at most."""
FAILURES_MAX = 2_000
THROUGHPUT_MS = 5 * 60 * 1000


class QueueFigures(NamedTuple):
    """A queue in numbers."""

    name: str
    enqueued: int
    running: int
    completed: int
    failed: int
    oldest_age_ms: int | None
    per_minute: float


class Gauges(NamedTuple):
    """What a monitoring system wants to know at every look."""

    by_status: dict[str, int]
    queues: list[QueueFigures]
    deliveries: dict[str, int]
    open_approvals: int
    executors: int
    last_log: int


class Failure(NamedTuple):
    """A run that ended in an error; `error` is as it is stored, None for a dead letter."""

    id: str
    name: str
    error: str | None
    status: str
    at_ms: int
    step: str | None


def ping(tx: Tx) -> bool:
    """Whether the database answers."""
    return tx.one(SQL.ping) is not None


def first_runs(tx: Tx, *, moments: Sequence[int]) -> list[int]:
    """For each time the key of the first run that was made then or later."""
    least, most = tx.one(SQL.last_run) or (None, None)
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


def by_status(tx: Tx, *, from_ms: int | None, to_ms: int | None) -> dict[str, int]:
    """How many runs there are of each status, of those made in a span of time."""
    first, last = _keys(tx, from_ms, to_ms)
    (counts,) = _counts(tx, [(first, last)])
    return counts


def _keys(tx: Tx, from_ms: int | None, to_ms: int | None) -> tuple[int, int]:
    found = iter(first_runs(tx, moments=[moment for moment in (from_ms, to_ms) if moment is not None]))
    return 0 if from_ms is None else next(found), 2**62 if to_ms is None else next(found)


def _counts(tx: Tx, spans: Sequence[tuple[int, int]]) -> list[dict[str, int]]:
    rows = [[place, status, *span] for place, span in enumerate(spans) for status in WorkflowStatus]
    counts: list[dict[str, int]] = [{} for _ in spans]
    for place, status, count in tx.all(SQL.by_status, rows=rows_json(rows)):
        counts[place][status] = count
    return counts


def calendar(
    tx: Tx, *, edges: Sequence[int], name: str | None, status: str | None, tag: str | None
) -> list[dict[str, int]]:
    """How many runs of each status were made between each pair of neighbouring times.

    Of one workflow, or with one tag, the newest twenty thousand are counted.
    """
    keys = first_runs(tx, moments=edges)
    if name is None and tag is None:
        counts = _counts(tx, list(pairwise(keys)))
    else:
        counts = _counts_of(tx, edges, keys, name, tag)
    if status is not None:
        counts = [{status: one.get(status, 0)} for one in counts]
    return counts


def _counts_of(
    tx: Tx, edges: Sequence[int], keys: Sequence[int], name: str | None, tag: str | None
) -> list[dict[str, int]]:
    from bisect import bisect_right

    span = {"first": keys[0], "last": keys[-1], "limit": SAMPLE_MAX}
    named = {} if name is None else {"name": name}
    rows = tx.all(SQL.by_status_of_tag if name is None else SQL.by_status_of_name, **span, **named)
    counts: list[Counter[str]] = [Counter() for _ in edges[1:]]
    for made_ms, found, tags in rows:
        if tag is not None and (tags is None or tag not in json.loads(tags)):
            continue
        place = bisect_right(edges, made_ms) - 1
        if 0 <= place < len(counts):
            counts[place][found] += 1
    return [dict(one) for one in counts]


def failures(tx: Tx, *, from_ms: int | None, to_ms: int | None) -> list[Failure]:
    """The newest runs that ended in an error, of those made in a span of time."""
    first, last = _keys(tx, from_ms, to_ms)
    found = [
        Failure(id_, name, error, status, at_ms, step)
        for kind in (WorkflowStatus.ERROR, WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED)
        for id_, name, error, status, at_ms, step in tx.all(
            SQL.failures, status=kind, first=first, last=last, limit=FAILURES_MAX
        )
    ]
    return sorted(found, key=lambda one: one.at_ms, reverse=True)


def ended_since(tx: Tx, *, since_ms: int) -> list[tuple[int, int | None, str]]:
    """Runs that ended since a time, newest first: (ended, started, status)."""
    return [
        (ended, started, status) for ended, started, status in tx.all(SQL.ended_since, since=since_ms, limit=SAMPLE_MAX)
    ]


def tags(tx: Tx) -> list[tuple[str, int]]:
    """The tags of the newest runs and how often each was given, the most frequent first."""
    _, last = tx.one(SQL.last_run) or (None, None)
    counts: Counter[str] = Counter()
    for (text,) in tx.all(SQL.tags, first=(last or 0) - SAMPLE_MAX):
        counts.update(json.loads(text))
    return counts.most_common(500)


def of_name(tx: Tx, *, name: str) -> tuple[list[tuple[str, int | None, int | None]], list[tuple[str, int, int]]]:
    """The newest thousand runs of a workflow, (status, started, ended), and how many are open by code version.

    Of those also how many were set aside, because their history does not fit the code.
    """
    newest = [(status, started, ended) for status, started, ended in tx.all(SQL.newest_of_name, name=name, limit=1000)]
    _, last = tx.one(SQL.last_run) or (None, None)
    versions = tx.all(SQL.versions_open, name=name, first=(last or 0) - 10 * SAMPLE_MAX)
    return newest, [(version, count, set_aside) for version, count, set_aside in versions]


def queue(tx: Tx, *, name: str, now_ms: int) -> QueueFigures:
    """A queue in numbers."""
    counts = queues.counts(tx, name=name)
    oldest = tx.one(SQL.oldest_enqueued, queue=name)
    ended = tx.one(SQL.ended_of_queue, queue=name, since=now_ms - THROUGHPUT_MS) or (0,)
    return QueueFigures(
        name,
        counts.enqueued,
        counts.running,
        counts.completed,
        counts.failed,
        None if oldest is None else max(0, now_ms - oldest[0]),
        ended[0] * 60_000 / THROUGHPUT_MS,
    )


def holders(tx: Tx, *, name: str) -> list[tuple[str, str, str | None, int | None]]:
    """Who holds the slots of a queue: (run, workflow, executor, since), the longest first."""
    return [
        (id_, workflow, executor, since)
        for id_, workflow, executor, since in tx.all(SQL.holders, queue=name, limit=200)
    ]


def partitions(tx: Tx, *, name: str) -> list[tuple[str, int, int]]:
    """The keys of a queue with most runs: (key, enqueued, running)."""
    waiting: dict[str, int] = dict(tx.all(SQL.partitions_waiting, queue=name, limit=100))
    running: dict[str, int] = dict(tx.all(SQL.partitions_running, queue=name, limit=100))
    found = [(key, waiting.get(key, 0), running.get(key, 0)) for key in {**waiting, **running}]
    return sorted(found, key=lambda one: (-one[1] - one[2], one[0]))


def held(tx: Tx, *, executors: Sequence[str]) -> dict[str, int]:
    """How many open runs each executor holds."""
    return {executor: (tx.one(SQL.held, executor=executor) or (0,))[0] for executor in executors}


def gauges(tx: Tx, *, now_ms: int) -> Gauges:
    """What a monitoring system wants to know at every look."""
    statuses = rows_json([[status] for status in ("pending", "delivered", "dead")])
    return Gauges(
        by_status=by_status(tx, from_ms=None, to_ms=None),
        queues=[queue(tx, name=one.name, now_ms=now_ms) for one in queues.listing(tx)],
        deliveries=dict(tx.all(SQL.deliveries, rows=statuses)),
        open_approvals=(tx.one(SQL.open_approvals) or (0,))[0],
        executors=(tx.one(SQL.live_executors) or (0,))[0],
        last_log=(tx.one(SQL.last_log) or (0,))[0] or 0,
    )
