"""Queues: their limits, and the runs in them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from turbine.http.request_context import Operating, RequestContext, Viewing
from turbine.http.schemas import RequestSchema, given
from turbine.model.queues import ListedQueue, Queue, QueueStats, RateLimit
from turbine.model.workflows import Page
from turbine.operations import queues as operations
from turbine.queries import queues as queries

router = APIRouter(tags=["queues"])


class RateLimitRequest(RequestSchema):
    """At most `limit` starts in any window of `per` seconds."""

    limit: int = Field(ge=1, le=10**9)
    per: float = Field(gt=0, le=10**8, allow_inf_nan=False)


class QueueLimitsRequest(RequestSchema):
    """The limits to change; null removes a limit."""

    worker_concurrency: int | None = Field(default=None, ge=1, le=10**9)
    global_concurrency: int | None = Field(default=None, ge=1, le=10**9)
    rate_limit: RateLimitRequest | None = None
    batch_max: int = Field(default=100, ge=1, le=10**6)
    priority: bool = False
    release_while_waiting: bool = False


@router.get("/queues")
async def list_queues(
    context: Viewing, stats: Annotated[bool, Query(description="With the numbers of each queue.")] = False
) -> Page[ListedQueue]:
    """All queues, by name."""
    return Page(await queries.list_queues(context.app, with_stats=stats))


@router.get("/queues/{name:key}")
async def get_queue(name: str, context: Viewing) -> Queue:
    """A queue."""
    return await queries.get_queue(context.app, name)


@router.get("/queues/{name:key}/stats")
async def get_stats(name: str, context: Viewing) -> QueueStats:
    """The numbers of a queue, the runs that hold its slots, and its partitions."""
    return await queries.queue_stats(context.app, name)


@router.patch("/queues/{name:key}")
async def update_limits(name: str, request: QueueLimitsRequest, context: Operating) -> Queue:
    """Change limits for all processes, from their next claim on."""
    changes = given(request)
    if request.rate_limit is not None:
        changes["rate_limit"] = RateLimit(request.rate_limit.limit, per=timedelta(seconds=request.rate_limit.per))
    return await _change(context, "queue.limits", name, changes)


@router.post("/queues/{name:key}/pause")
async def pause_queue(name: str, context: Operating) -> Queue:
    """Claim no more runs from a queue; runs in progress continue."""
    return await _change(context, "queue.pause", name, {"paused": True})


@router.post("/queues/{name:key}/resume")
async def resume_queue(name: str, context: Operating) -> Queue:
    """Claim runs from a queue again."""
    return await _change(context, "queue.resume", name, {"paused": False})


async def _change(context: RequestContext, action: str, name: str, changes: dict[str, Any]) -> Queue:
    return await operations.change(context.app, name, context.principal, action, **changes)
