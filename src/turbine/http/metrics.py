"""Routes of metrics: counts and times over many runs, and the calendar."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from turbine.http import schedules
from turbine.http.request_context import RequestContext, Viewing
from turbine.http.runs import Filtered
from turbine.http.schemas import When
from turbine.model.metrics import Calendar, MetricsSummary, StatusCounts, TagCount
from turbine.model.workflows import Page, WorkflowStatus
from turbine.queries import metrics
from turbine.queries.runs import count_by_status

router = APIRouter(tags=["metrics"])

PLANNED_MAX = 5000
_Ms = Annotated[int, Query(ge=0, le=10**14)]


@router.get("/workflows/stats")
async def stats(
    context: Viewing, from_: Annotated[When | None, Query(alias="from")] = None, to: When | None = None
) -> StatusCounts:
    """The number of runs by status, of those created in a span of time."""
    return await count_by_status(context.app, from_, to)


@router.get("/tags")
async def tags(context: Viewing) -> Page[TagCount]:
    """The tags of the newest twenty thousand runs, the most frequent first."""
    return await metrics.list_tags(context.app)


@router.get("/scatter")
async def scatter(context: Viewing, run_filter: Filtered) -> Page[tuple[int, int | None, WorkflowStatus, str]]:
    """The newest thousand runs that match a filter, each as start, duration (in milliseconds), status and id."""
    return await metrics.scatter(context.app, run_filter)


@router.get("/calendar")
async def calendar(
    context: Viewing,
    from_ms: _Ms,
    to_ms: _Ms,
    bucket_mins: Annotated[int, Query(ge=1, le=10**6)],
    name: Annotated[str | None, Query(max_length=2000)] = None,
    status: WorkflowStatus | None = None,
    tag: Annotated[str | None, Query(max_length=2000)] = None,
) -> Calendar:
    """The number of runs that began in each span of time, by their outcome, and of those that are planned."""
    edges = metrics.calendar_edges(from_ms, to_ms, bucket_mins * metrics.MINUTE_MS)
    planned = await _planned(context, edges, name) if status is None and tag is None else []
    return Calendar(
        await metrics.calendar(context.app, edges, name=name or None, status=status, tag=tag or None, planned=planned)
    )


async def _planned(context: RequestContext, edges: list[int], name: str | None) -> list[int]:
    now_ms = context.app.clock.now_ms()
    if edges[-1] <= now_ms:
        return []
    records = (await context.rt.schedules.list(name or None, enabled=True, limit=500)).items
    start_ms = max(now_ms, edges[0] - 1)
    return list(schedules.planned(records, context.rt.config.timezone, start_ms, edges[-1], PLANNED_MAX))


@router.get("/metrics/summary")
async def summary(
    request: Request, context: Viewing, hours: Annotated[int, Query(ge=1, le=24 * 31)] = 24
) -> MetricsSummary:
    """The runs that ended in the last hours, at most ten thousand, and the queues as they are now.

    With 200,000 runs or more, `by_status` may be five seconds old.
    """
    return await metrics.summary(context.app, request.app.state.status_cache, hours)
