"""Metrics: counts and times over many runs."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from turbine.clock import to_datetime
from turbine.engine.app import App
from turbine.model.metrics import CalendarSpan, MetricsSummary, QueueAge, TagCount, Throughput
from turbine.model.run_filter import RunFilter
from turbine.model.workflows import Page, WorkflowStatus
from turbine.queries.runs import list_runs
from turbine.tables import metrics
from turbine.tables.metrics import Gauges

SCATTER_MAX = 1000
SPANS_MAX = 1000
STATUS_CACHE_MIN = 200_000
"""Runs from which their counts by status are cached."""
STATUS_CACHE_MS = 5000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
_FAILED = frozenset({WorkflowStatus.ERROR, WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED})

Point = tuple[int, int | None, WorkflowStatus, str]
"""The start and the duration of a run in milliseconds, its status and its id."""


class StatusCache:
    """Counts the runs by status, and caches the counts of a large database for some seconds.

    Overviews ask for them all the time, and counting reads the whole index.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._at_ms: int | None = None

    async def by_status(self, app: App) -> dict[str, int]:
        now_ms = app.clock.now_ms()
        if self._at_ms is None or not self._at_ms <= now_ms < self._at_ms + STATUS_CACHE_MS:
            self._counts = await app.store.read(metrics.by_status, from_ms=None, to_ms=None)
            self._at_ms = now_ms if sum(self._counts.values()) >= STATUS_CACHE_MIN else None
        return self._counts


async def check_database(app: App) -> bool:
    """Whether the database answers and this process may write to it. Raises StoreUnavailable."""
    return await app.store.read(metrics.ping) and app.holds_lease() and app.store.obstacle is None


async def gauges(app: App, cache: StatusCache) -> tuple[Gauges, dict[str, int]]:
    """Returns the gauges of a monitoring system, and the number of runs by status."""
    return await asyncio.gather(
        app.store.read(metrics.gauges, now_ms=app.clock.now_ms()),
        cache.by_status(app),
    )


async def list_tags(app: App) -> Page[TagCount]:
    """Lists the tags of the newest twenty thousand runs, the most frequent first."""
    return Page([TagCount(tag, count) for tag, count in await app.store.read(metrics.tags)])


async def scatter(app: App, run_filter: RunFilter) -> Page[Point]:
    """Returns the newest thousand runs of a filter as points."""
    page = await list_runs(app, run_filter, limit=SCATTER_MAX, load_output=False)
    points: list[Point] = []
    for run in page.items:
        duration = None
        if run.completed_at is not None and run.started_at is not None:
            duration = round((run.completed_at - run.started_at).total_seconds() * 1000)
        points.append((round(run.created_at.timestamp() * 1000), duration, run.status, run.workflow_id))
    return Page(points)


def calendar_edges(from_ms: int, to_ms: int, span_ms: int) -> list[int]:
    """Returns the limits of the spans of a calendar. Raises ValueError for too many spans."""
    count = -(-(to_ms - from_ms) // span_ms)
    if not 1 <= count <= SPANS_MAX:
        raise ValueError(f"from_ms, to_ms and bucket_mins must make 1 to {SPANS_MAX} spans, not {count}")
    return [from_ms + index * span_ms for index in range(count + 1)]


async def calendar(
    app: App,
    edges: Sequence[int],
    *,
    name: str | None,
    status: WorkflowStatus | None,
    tag: str | None,
    planned: Iterable[int] = (),
) -> list[CalendarSpan]:
    """Counts the runs that began in each span of time, and the planned ticks (epoch milliseconds) in it."""
    rows = await app.store.read(metrics.calendar, edges=edges, name=name, status=status, tag=tag)
    spans = [_calendar_span(start, counts) for start, counts in zip(edges, rows, strict=False)]
    for tick in planned:
        spans[(tick - edges[0]) // (edges[1] - edges[0])].planned += 1
    return spans


def _calendar_span(start_ms: int, counts: dict[str, int]) -> CalendarSpan:
    span = CalendarSpan(to_datetime(start_ms))
    for name, count in counts.items():
        status = WorkflowStatus(name)
        if status is WorkflowStatus.SUCCESS:
            span.success += count
        elif status in _FAILED:
            span.error += count
        elif status is WorkflowStatus.CANCELLED:
            span.cancelled += count
        else:
            span.open += count
    return span


async def summary(app: App, cache: StatusCache, hours: int) -> MetricsSummary:
    """Sums up the runs that ended in the last hours, at most ten thousand, and the queues as they are now."""
    now_ms = app.clock.now_ms()
    size = max(5 * MINUTE_MS, hours * HOUR_MS // 96 // MINUTE_MS * MINUTE_MS)
    since_ms = (now_ms - hours * HOUR_MS) // size * size
    ended, queues, by_status = await asyncio.gather(
        app.store.read(metrics.ended_since, since_ms=since_ms),
        app.store.read(metrics.open_queues, now_ms=now_ms),
        cache.by_status(app),
    )
    finished: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    durations: defaultdict[int, list[int]] = defaultdict(list)
    for ended_ms, started_ms, status in ended:
        index = (ended_ms - since_ms) // size
        finished[index] += 1
        failed[index] += status in _FAILED
        if started_ms is not None:
            durations[index].append(ended_ms - started_ms)
    last = (now_ms - since_ms) // size
    is_cut = len(ended) >= metrics.ENDED_MAX
    # The oldest counted run lies in a span that is incomplete, so the first span shown is the next one.
    first = (ended[-1][0] - since_ms) // size + 1 if is_cut else 0
    # With so many runs that even the newest span is incomplete, the counted part of that span is shown.
    began_ms = since_ms + first * size if first <= last else ended[-1][0]
    shown = range(min(first, last), last + 1)
    total = sorted(duration for index in shown for duration in durations[index])
    return MetricsSummary(
        throughput=[
            Throughput(
                to_datetime(since_ms + index * size),
                finished[index],
                failed[index],
                quantile(sorted(durations[index]), 0.5),
                quantile(sorted(durations[index]), 0.95),
            )
            for index in shown
        ],
        queue_age=[
            QueueAge(
                queue.name,
                queue.enqueued,
                queue.running,
                None if queue.oldest_age_ms is None else queue.oldest_age_ms / 1000,
            )
            for queue in queues
        ],
        by_status={WorkflowStatus(status): count for status, count in by_status.items()},
        since=to_datetime(began_ms),
        finished=sum(finished[index] for index in shown),
        failed=sum(failed[index] for index in shown),
        p50=quantile(total, 0.5),
        p95=quantile(total, 0.95),
        sampled=is_cut,
    )


def quantile(durations_ms: Sequence[int], part: float) -> float | None:
    """Returns a quantile of sorted milliseconds in seconds; None of an empty list."""
    if not durations_ms:
        return None
    return durations_ms[min(len(durations_ms) - 1, int(len(durations_ms) * part))] / 1000
