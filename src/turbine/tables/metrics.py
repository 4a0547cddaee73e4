"""Metrics: counts and times over many runs.

No statement here scans a table that grows. Keys of runs are assigned in the order of time, so a span of time becomes a
range of keys by a search, and the runs in a range are counted in an index.
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
from turbine.store import Statement, Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import queues, run_search
from turbine.tables.queues import QueueCounts
from turbine.tables.run_ids_by_time import first_runs, last_run

SQL = Statements(Path(__file__))

ENDED_MAX = 10_000
"""The ended runs that `ended_since` returns, at most."""
SAMPLE_MAX = 20_000
"""The runs that are read one by one, at most."""
TAGS_MAX = 500
THROUGHPUT_MS = 5 * 60 * 1000


class QueueMetrics(NamedTuple):
    """The metrics of a queue."""

    name: str
    enqueued: int
    running: int
    completed: int
    failed: int
    oldest_age_ms: int | None
    per_minute: float


class Gauges(NamedTuple):
    """Metrics for a monitoring system, beside the number of runs of each status."""

    queues: list[QueueMetrics]
    """Without ended runs: `completed` and `failed` are 0."""
    deliveries: dict[str, int]
    open_approvals: int
    executors: int
    last_log: int


def ping(tx: Tx) -> bool:
    """Whether the database answers."""
    return tx.row(SQL.ping) is not None


def by_status(tx: Tx, *, from_ms: int | None, to_ms: int | None) -> dict[str, int]:
    """The number of runs of each status that were created in a span of time."""
    edges = iter(first_runs(tx, times_ms=[edge for edge in (from_ms, to_ms) if edge is not None]))
    first = 0 if from_ms is None else next(edges)
    last = 2**62 if to_ms is None else next(edges)
    (counts,) = _counts(tx, [(first, last)])
    return counts


def _counts(tx: Tx, spans: Sequence[tuple[int, int]], name: str | None = None) -> list[dict[str, int]]:
    """The number of runs of each status in ranges of keys, counted in an index.

    The runs of a status that has fewer runs than there are ranges are listed, which is cheaper than one count a range.
    """
    counts: list[dict[str, int]] = [dict.fromkeys(WorkflowStatus, 0) for _ in spans]
    first, last = spans[0][0], spans[-1][1]
    starts = [start for start, _ in spans]
    frequent: list[WorkflowStatus] = []
    for status in WorkflowStatus:
        span = {"status": status, "first": first, "last": last, "limit": len(spans)}
        runs = tx.rows(SQL.of_status, **span) if name is None else tx.rows(SQL.of_status_and_name, name=name, **span)
        if len(runs) == len(spans):
            frequent.append(status)
            continue
        for (run,) in runs:
            counts[bisect_right(starts, run) - 1][status] += 1
    ranges = rows_json([[index, status, *span] for index, span in enumerate(spans) for status in frequent])
    if name is None:
        rows = tx.rows(SQL.by_status, rows=ranges)
    else:
        rows = tx.rows(SQL.by_status_of_name, rows=ranges, name=name)
    for index, status, count in rows:
        counts[index][status] = count
    return counts


def calendar(
    tx: Tx, *, edges: Sequence[int], name: str | None, status: str | None, tag: str | None
) -> list[dict[str, int]]:
    """The number of runs of each status that were created between each pair of neighbouring times.

    With a tag, only the newest twenty thousand runs are counted.
    """
    spans = list(pairwise(first_runs(tx, times_ms=edges)))
    counts = _counts(tx, spans, name) if tag is None else _counts_of_tag(tx, spans, tag, name)
    if status is not None:
        counts = [{status: by_status.get(status, 0)} for by_status in counts]
    return counts


def _counts_of_tag(tx: Tx, spans: Sequence[tuple[int, int]], tag: str, name: str | None) -> list[dict[str, int]]:
    counts: list[Counter[str]] = [Counter() for _ in spans]
    starts = [start for start, _ in spans]
    rows = tx.rows(SQL.by_status_of_tag, tag=tag, first=spans[0][0], last=spans[-1][1], limit=SAMPLE_MAX)
    for run, status, workflow in rows:
        if name is None or workflow == name:
            counts[bisect_right(starts, run) - 1][status] += 1
    return [dict(counter) for counter in counts]


def ended_since(tx: Tx, *, since_ms: int) -> list[tuple[int, int | None, str]]:
    """Runs that ended since a time, newest first: (ended, started, status)."""
    return [
        (ended, started, status) for ended, started, status in tx.rows(SQL.ended_since, since=since_ms, limit=ENDED_MAX)
    ]


def tags(tx: Tx) -> list[tuple[str, int]]:
    """The tags of the newest runs with their counts, the most frequent first."""
    return [(tag, count) for tag, count in tx.rows(SQL.tags, first=last_run(tx) - SAMPLE_MAX, limit=TAGS_MAX)]


def of_workflow(tx: Tx, *, name: str) -> tuple[list[tuple[str, int | None, int | None]], list[tuple[str, int, int]]]:
    """The newest thousand runs of a workflow, (status, started, ended), and its open runs by code version.

    The latter are (version, open runs, those of them that are set aside).
    """
    keys = run_search.keys(tx, filter=RunFilter(name=[name]), limit=1000)
    rows = tx.rows(SQL.run_times, rows=rows_json([[key] for key in keys]))
    newest = [(status, started, ended) for status, started, ended in rows]
    versions = tx.rows(SQL.versions_open, name=name, first=last_run(tx) - 10 * SAMPLE_MAX)
    return newest, [(version, count, set_aside) for version, count, set_aside in versions]


def queue(tx: Tx, *, name: str, now_ms: int) -> QueueMetrics:
    """The metrics of a queue."""
    return _queue(tx, name, queues.counts(tx, name=name), now_ms)


def _queue(tx: Tx, name: str, counts: QueueCounts, now_ms: int) -> QueueMetrics:
    oldest = tx.row(SQL.oldest_enqueued, queue=name)
    ended = tx.row(SQL.ended_of_queue, queue=name, since=now_ms - THROUGHPUT_MS) or (0,)
    return QueueMetrics(
        name,
        *counts,
        oldest_age_ms=None if oldest is None else max(0, now_ms - oldest[0]),
        per_minute=ended[0] * 60_000 / THROUGHPUT_MS,
    )


def open_queues(tx: Tx, *, now_ms: int) -> list[QueueMetrics]:
    """The metrics of all queues without ended runs: `completed` and `failed` are 0."""
    return [_queue(tx, queue.name, queues.counts_open(tx, name=queue.name), now_ms) for queue in queues.listing(tx)]


def holders(tx: Tx, *, name: str) -> list[tuple[str, str, str | None, int | None]]:
    """The runs that hold slots of a queue, the longest first: (run, workflow, executor, since)."""
    return [
        (id_, workflow, executor, since)
        for id_, workflow, executor, since in tx.rows(SQL.holders, queue=name, limit=200)
    ]


def partitions(tx: Tx, *, name: str) -> list[tuple[str, int, int]]:
    """The partition keys of a queue with the most runs: (key, enqueued, running)."""
    waiting: dict[str, int] = dict(tx.rows(SQL.partitions_waiting, queue=name, limit=100))
    running: dict[str, int] = dict(tx.rows(SQL.partitions_running, queue=name, limit=100))
    counts = [(key, waiting.get(key, 0), running.get(key, 0)) for key in {**waiting, **running}]
    return sorted(counts, key=lambda row: (-row[1] - row[2], row[0]))


def held_runs(tx: Tx, *, executors: Sequence[str]) -> dict[str, int]:
    """The number of open runs that each executor holds."""
    return {executor: _number(tx, SQL.held_runs, executor=executor) for executor in executors}


def gauges(tx: Tx, *, now_ms: int) -> Gauges:
    """Metrics for a monitoring system, beside the number of runs of each status."""
    statuses = rows_json([[status] for status in ("pending", "delivered", "dead")])
    return Gauges(
        queues=open_queues(tx, now_ms=now_ms),
        deliveries=dict(tx.rows(SQL.deliveries, rows=statuses)),
        open_approvals=_number(tx, SQL.open_approvals),
        executors=_number(tx, SQL.live_executors),
        last_log=_number(tx, SQL.last_log),
    )


def _number(tx: Tx, statement: Statement, **parameters: str) -> int:
    row = tx.row(statement, **parameters)
    return 0 if row is None or row[0] is None else row[0]
