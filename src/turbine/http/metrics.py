"""Overviews over many runs: counts, times, and the calendar."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from turbine.clock import to_datetime
from turbine.engine.app import App
from turbine.http import schedules
from turbine.http.registered import quantile
from turbine.http.request_context import Viewing
from turbine.http.runs import Filtered, page_of
from turbine.http.schemas import Items, Moment, Schema, When
from turbine.model.workflows import WorkflowStatus
from turbine.tables import metrics

router = APIRouter(tags=["figures"])

SCATTER_MAX = 1000
BUCKETS_MAX = 1000
PLANNED_MAX = 5000
MANY = 200_000
"""Runs from which on their counts are told again."""
COUNTED_MS = 5000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
_MS = Annotated[int, Query(ge=0, le=10**14)]
_MISSES = frozenset({WorkflowStatus.ERROR, WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED})


class Stats(Schema):
    """How many runs there are of each status."""

    by_status: dict[WorkflowStatus, int]


class Tag(Schema):
    """A tag and how many of the newest runs have it."""

    tag: str
    count: int


class Day(Schema):
    """What began in a span of time, and what will."""

    time: Moment
    success: int = 0
    error: int = 0
    cancelled: int = 0
    open: int = 0
    planned: int = 0


class Calendar(Schema):
    """Spans of time, the earliest first."""

    days: list[Day]


class Throughput(Schema):
    """What ended in a span of time; p50 and p95 in seconds."""

    time: Moment
    finished: int = 0
    failed: int = 0
    p50: float | None = None
    p95: float | None = None


class QueueAge(Schema):
    """How long the first in a queue has waited."""

    queue: str
    enqueued: int
    running: int
    oldest_age: float | None


class Summary(Schema):
    """The last hours in figures."""

    throughput: list[Throughput]
    queue_age: list[QueueAge]
    by_status: dict[WorkflowStatus, int]
    since: Moment = Field(description="From when on all that ended is counted; the figures are of this time.")
    finished: int
    failed: int
    p50: float | None
    p95: float | None
    sampled: bool = Field(default=False, description="Whether more ended than is counted: then `since` is later.")


class Counted:
    """How many runs there are of each status; among many the counts are told again for some seconds.

    Overviews ask for them all the time, and counting goes through the whole index.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._at_ms: int | None = None

    async def by_status(self, app: App) -> dict[str, int]:
        now_ms = app.clock.now_ms()
        if self._at_ms is None or not self._at_ms <= now_ms < self._at_ms + COUNTED_MS:
            self._counts = await app.store.read(metrics.by_status, from_ms=None, to_ms=None)
            self._at_ms = now_ms if sum(self._counts.values()) >= MANY else None
        return self._counts


@router.get("/workflows/stats")
async def stats(
    context: Viewing, from_: Annotated[When | None, Query(alias="from")] = None, to: When | None = None
) -> Stats:
    """How many runs there are of each status, of those made in a span of time."""
    found = await context.app.store.read(
        metrics.by_status,
        from_ms=None if from_ is None else round(from_.timestamp() * 1000),
        to_ms=None if to is None else round(to.timestamp() * 1000),
    )
    return Stats(by_status={WorkflowStatus(status): count for status, count in found.items()})


@router.get("/tags")
async def tags(context: Viewing) -> Items[Tag]:
    """The tags of the newest twenty thousand runs, the most frequent first."""
    found = await context.app.store.read(metrics.tags)
    return Items(items=[Tag(tag=tag, count=count) for tag, count in found])


@router.get("/scatter")
async def scatter(context: Viewing, wanted: Filtered) -> Items[tuple[int, int | None, WorkflowStatus, str]]:
    """The newest thousand runs of a filter, each as start, duration (both in milliseconds), status and id."""
    page = await page_of(context, wanted, SCATTER_MAX)
    points: list[tuple[int, int | None, WorkflowStatus, str]] = []
    for run in page.items:
        span = None
        if run.completed_at is not None and run.started_at is not None:
            span = round((run.completed_at - run.started_at).total_seconds() * 1000)
        points.append((round(run.created_at.timestamp() * 1000), span, run.status, run.workflow_id))
    return Items(items=points)


@router.get("/calendar")
async def calendar(
    context: Viewing,
    from_ms: _MS,
    to_ms: _MS,
    bucket_mins: Annotated[int, Query(ge=1, le=10**6)],
    name: Annotated[str | None, Query(max_length=2000)] = None,
    status: WorkflowStatus | None = None,
    tag: Annotated[str | None, Query(max_length=2000)] = None,
) -> Calendar:
    """How many runs began in each span of time, by how they ended, and how many are planned."""
    size = bucket_mins * MINUTE_MS
    count = -(-(to_ms - from_ms) // size)
    if not 1 <= count <= BUCKETS_MAX:
        raise ValueError(f"from_ms, to_ms and bucket_mins must make 1 to {BUCKETS_MAX} spans, not {count}")
    edges = [from_ms + place * size for place in range(count + 1)]
    found = await context.app.store.read(
        metrics.calendar, edges=edges, name=name or None, status=status, tag=tag or None
    )
    days = [_day(start, counts) for start, counts in zip(edges, found, strict=False)]
    now_ms = context.app.clock.now_ms()
    if edges[-1] > now_ms and status is None and tag is None:
        records = (await context.rt.schedules.list(name or None, enabled=True, limit=500)).items
        start_ms = max(now_ms, edges[0] - 1)
        for tick in schedules.planned(records, context.rt.config.timezone, start_ms, edges[-1], PLANNED_MAX):
            days[(tick - from_ms) // size].planned += 1
    return Calendar(days=days)


def _day(start_ms: int, counts: dict[str, int]) -> Day:
    day = Day(time=to_datetime(start_ms))
    for name, count in counts.items():
        if not count:
            continue
        status = WorkflowStatus(name)
        if status is WorkflowStatus.SUCCESS:
            day.success += count
        elif status in _MISSES:
            day.error += count
        elif status is WorkflowStatus.CANCELLED:
            day.cancelled += count
        else:
            day.open += count
    return day


@router.get("/metrics/summary")
async def summary(request: Request, context: Viewing, hours: Annotated[int, Query(ge=1, le=24 * 31)] = 24) -> Summary:
    """What ended in the last hours, at most the last ten thousand ends, and how queues stand now.

    Among 200,000 runs or more, `by_status` may be five seconds old.
    """
    app = context.app
    now_ms = app.clock.now_ms()
    size = max(5 * MINUTE_MS, hours * HOUR_MS // 96 // MINUTE_MS * MINUTE_MS)
    since_ms = (now_ms - hours * HOUR_MS) // size * size
    counted: Counted = request.app.state.counted
    ended, queues, by_status = await asyncio.gather(
        app.store.read(metrics.ended_since, since_ms=since_ms),
        app.store.read(metrics.open_queues, now_ms=now_ms),
        counted.by_status(app),
    )
    finished: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    spans: defaultdict[int, list[int]] = defaultdict(list)
    for ended_ms, started_ms, status in ended:
        place = (ended_ms - since_ms) // size
        finished[place] += 1
        failed[place] += status in _MISSES
        if started_ms is not None:
            spans[place].append(ended_ms - started_ms)
    # Where not all were looked at, the span of the oldest one that was is not whole; what is shown begins behind it.
    last = (now_ms - since_ms) // size
    is_cut = len(ended) >= metrics.ENDED_MAX
    first = (ended[-1][0] - since_ms) // size + 1 if is_cut else 0
    # So many that even the newest span is not whole: it is shown for as much of it as was looked at.
    began_ms = since_ms + first * size if first <= last else ended[-1][0]
    first = min(first, last)
    shown = range(first, last + 1)
    every = sorted(span for place in shown for span in spans[place])
    throughput = [
        Throughput(
            time=to_datetime(since_ms + place * size),
            finished=finished[place],
            failed=failed[place],
            p50=quantile(sorted(spans[place]), 0.5),
            p95=quantile(sorted(spans[place]), 0.95),
        )
        for place in shown
    ]
    return Summary(
        throughput=throughput,
        queue_age=[
            QueueAge(
                queue=one.name,
                enqueued=one.enqueued,
                running=one.running,
                oldest_age=None if one.oldest_age_ms is None else one.oldest_age_ms / 1000,
            )
            for one in queues
        ],
        by_status={WorkflowStatus(status): count for status, count in by_status.items()},
        since=to_datetime(began_ms),
        finished=sum(finished[place] for place in shown),
        failed=sum(failed[place] for place in shown),
        p50=quantile(every, 0.5),
        p95=quantile(every, 0.95),
        sampled=is_cut,
    )
