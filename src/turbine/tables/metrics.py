"""Figures: counts and times over many runs, for overviews.

Nothing here goes through a table that grows. Keys of runs are given out in the order of time, so the keys of a span of
time are found by halving, and what lies between two keys is counted in an index.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from turbine.model.run_filter import RunFilter
from turbine.model.workflows import WorkflowStatus
from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import queues, run_search
from turbine.tables.queues import Counts
from turbine.tables.run_ids_by_time import first_runs, last_run

SQL = Statements(Path(__file__))

ENDED_MAX = 10_000
"""Ends that the figures of the last hours are made of, at most."""
SAMPLE_MAX = 20_000
"""Runs that are looked at one by one, at most."""
TAGS_MAX = 500
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
    """What a monitoring system wants to know at every look, beside how many runs there are of each status."""

    queues: list[QueueFigures]
    """Without what they did before: `completed` and `failed` are 0."""
    deliveries: dict[str, int]
    open_approvals: int
    executors: int
    last_log: int


def ping(tx: Tx) -> bool:
    """Whether the database answers."""
    return tx.row(SQL.ping) is not None


def by_status(tx: Tx, *, from_ms: int | None, to_ms: int | None) -> dict[str, int]:
    """How many runs there are of each status, of those made in a span of time."""
    first, last = _keys(tx, from_ms, to_ms)
    (counts,) = _counts(tx, [(first, last)])
    return counts


def _keys(tx: Tx, from_ms: int | None, to_ms: int | None) -> tuple[int, int]:
    found = iter(first_runs(tx, moments=[moment for moment in (from_ms, to_ms) if moment is not None]))
    return 0 if from_ms is None else next(found), 2**62 if to_ms is None else next(found)


def _counts(tx: Tx, spans: Sequence[tuple[int, int]], name: str | None = None) -> list[dict[str, int]]:
    """How many runs of each status lie in spans of keys, counted in an index.

    Of what there are fewer runs than spans, these are listed: that is less work than a count for each span.
    """
    counts: list[dict[str, int]] = [dict.fromkeys(WorkflowStatus, 0) for _ in spans]
    first, last = spans[0][0], spans[-1][1]
    starts = [start for start, _ in spans]
    frequent: list[WorkflowStatus] = []
    for status in WorkflowStatus:
        span = {"status": status, "first": first, "last": last, "limit": len(spans)}
        few = tx.rows(SQL.of_status, **span) if name is None else tx.rows(SQL.of_status_and_name, name=name, **span)
        if len(few) == len(spans):
            frequent.append(status)
            continue
        for (run,) in few:
            counts[bisect_right(starts, run) - 1][status] += 1
    rows = rows_json([[place, status, *span] for place, span in enumerate(spans) for status in frequent])
    found = tx.rows(SQL.by_status, rows=rows) if name is None else tx.rows(SQL.by_status_of_name, rows=rows, name=name)
    for place, status, count in found:
        counts[place][status] = count
    return counts


def calendar(
    tx: Tx, *, edges: Sequence[int], name: str | None, status: str | None, tag: str | None
) -> list[dict[str, int]]:
    """How many runs of each status were made between each pair of neighbouring times.

    With one tag, the newest twenty thousand are counted.
    """
    spans = list(pairwise(first_runs(tx, moments=edges)))
    counts = _counts(tx, spans, name) if tag is None else _counts_of_tag(tx, spans, tag, name)
    if status is not None:
        counts = [{status: one.get(status, 0)} for one in counts]
    return counts


def _counts_of_tag(tx: Tx, spans: Sequence[tuple[int, int]], tag: str, name: str | None) -> list[dict[str, int]]:
    counts: list[Counter[str]] = [Counter() for _ in spans]
    starts = [start for start, _ in spans]
    rows = tx.rows(SQL.by_status_of_tag, tag=tag, first=spans[0][0], last=spans[-1][1], limit=SAMPLE_MAX)
    for run, found, workflow in rows:
        if name is None or workflow == name:
            counts[bisect_right(starts, run) - 1][found] += 1
    return [dict(one) for one in counts]


def ended_since(tx: Tx, *, since_ms: int) -> list[tuple[int, int | None, str]]:
    """Runs that ended since a time, newest first: (ended, started, status)."""
    return [
        (ended, started, status) for ended, started, status in tx.rows(SQL.ended_since, since=since_ms, limit=ENDED_MAX)
    ]


def tags(tx: Tx) -> list[tuple[str, int]]:
    """The tags of the newest runs and how often each was given, the most frequent first."""
    return [(tag, count) for tag, count in tx.rows(SQL.tags, first=last_run(tx) - SAMPLE_MAX, limit=TAGS_MAX)]


def of_name(tx: Tx, *, name: str) -> tuple[list[tuple[str, int | None, int | None]], list[tuple[str, int, int]]]:
    """The newest thousand runs of a workflow, (status, started, ended), and how many are open by code version.

    Of those also how many were set aside, because their history does not fit the code.
    """
    runs = run_search.keys(tx, wanted=RunFilter(name=[name]), limit=1000)
    rows = tx.rows(SQL.spans, rows=rows_json([[run] for run in runs]))
    newest = [(status, started, ended) for status, started, ended in rows]
    versions = tx.rows(SQL.versions_open, name=name, first=last_run(tx) - 10 * SAMPLE_MAX)
    return newest, [(version, count, set_aside) for version, count, set_aside in versions]


def queue(tx: Tx, *, name: str, now_ms: int) -> QueueFigures:
    """A queue in numbers."""
    counts = queues.counts(tx, name=name)
    return _queue(tx, name, counts, now_ms)


def _queue(tx: Tx, name: str, counts: Counts, now_ms: int) -> QueueFigures:
    oldest = tx.row(SQL.oldest_enqueued, queue=name)
    ended = tx.row(SQL.ended_of_queue, queue=name, since=now_ms - THROUGHPUT_MS) or (0,)
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
        for id_, workflow, executor, since in tx.rows(SQL.holders, queue=name, limit=200)
    ]


def partitions(tx: Tx, *, name: str) -> list[tuple[str, int, int]]:
    """The keys of a queue with most runs: (key, enqueued, running)."""
    waiting: dict[str, int] = dict(tx.rows(SQL.partitions_waiting, queue=name, limit=100))
    running: dict[str, int] = dict(tx.rows(SQL.partitions_running, queue=name, limit=100))
    found = [(key, waiting.get(key, 0), running.get(key, 0)) for key in {**waiting, **running}]
    return sorted(found, key=lambda one: (-one[1] - one[2], one[0]))


def held(tx: Tx, *, executors: Sequence[str]) -> dict[str, int]:
    """How many open runs each executor holds."""
    return {executor: (tx.row(SQL.held, executor=executor) or (0,))[0] for executor in executors}


def queued(tx: Tx, *, now_ms: int) -> list[QueueFigures]:
    """How all queues stand now; without what they did before: `completed` and `failed` are 0."""
    return [_queue(tx, one.name, queues.counts_open(tx, name=one.name), now_ms) for one in queues.listing(tx)]


def gauges(tx: Tx, *, now_ms: int) -> Gauges:
    """What a monitoring system wants to know at every look, beside how many runs there are of each status."""
    statuses = rows_json([[status] for status in ("pending", "delivered", "dead")])
    return Gauges(
        queues=queued(tx, now_ms=now_ms),
        deliveries=dict(tx.rows(SQL.deliveries, rows=statuses)),
        open_approvals=(tx.row(SQL.open_approvals) or (0,))[0],
        executors=(tx.row(SQL.live_executors) or (0,))[0],
        last_log=(tx.row(SQL.last_log) or (0,))[0] or 0,
    )
