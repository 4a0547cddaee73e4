"""Queues: their limits, and who waits and who runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from turbine.clock import to_datetime
from turbine.errors import QueueNotFound
from turbine.http.request_context import Operating, RequestContext, Viewing
from turbine.http.schemas import Items, Moment, RequestSchema, Schema, Seconds, given
from turbine.model import queues as model
from turbine.model.queues import RateLimit
from turbine.operations import queues as queueing
from turbine.store import Tx
from turbine.tables import metrics, queues

router = APIRouter(tags=["queues"])


class Rate(Schema):
    """At most `limit` starts in any window of `per` seconds."""

    limit: int
    per: Seconds


class Queue(Schema):
    """A queue as it is now; null means no limit."""

    name: str
    worker_concurrency: int | None
    global_concurrency: int | None
    rate_limit: Rate | None
    priority: bool
    partitioned: bool
    batch_max: int
    release_while_waiting: bool
    paused: bool


class NewRate(RequestSchema):
    """At most `limit` starts in any window of `per` seconds."""

    limit: int = Field(ge=1, le=10**9)
    per: float = Field(gt=0, le=10**8, allow_inf_nan=False)


class Limits(RequestSchema):
    """What is to be changed; what is left out stays, null takes a limit away."""

    worker_concurrency: int | None = Field(default=None, ge=1, le=10**9)
    global_concurrency: int | None = Field(default=None, ge=1, le=10**9)
    rate_limit: NewRate | None = None
    batch_max: int = Field(default=100, ge=1, le=10**6)
    priority: bool = False
    release_while_waiting: bool = False


class Holder(Schema):
    """A run that holds a slot."""

    workflow_id: str
    name: str
    executor_id: str | None
    since: Moment | None


class Partition(Schema):
    """Runs of one key."""

    key: str
    enqueued: int
    running: int


class Numbers(Schema):
    """A queue in numbers."""

    enqueued: int
    running: int
    completed: int
    failed: int
    oldest_age: float | None = Field(description="Seconds that the run waits which waits longest.")
    throughput_per_minute: float = Field(description="Runs that ended, over the last five minutes.")


class Listed(Queue):
    """A queue in a list."""

    stats: Numbers | None = Field(default=None, description="Its numbers, if they were asked for.")


class Stats(Numbers):
    """A queue in numbers, and who is in it."""

    holders: list[Holder]
    partitions: list[Partition]


@router.get("/queues")
async def listing(
    context: Viewing, stats: Annotated[bool, Query(description="With the numbers of each queue.")] = False
) -> Items[Listed]:
    """All queues, by name."""
    found = await context.app.store.read(_listed, now_ms=context.app.clock.now_ms() if stats else None)
    return Items(
        items=[
            Listed.model_validate(known).model_copy(update={"stats": numbers and _numbers(numbers)})
            for known, numbers in found
        ]
    )


def _listed(tx: Tx, *, now_ms: int | None) -> list[tuple[model.Queue, metrics.QueueMetrics | None]]:
    known = queues.listing(tx)
    return [(one, None if now_ms is None else metrics.queue(tx, name=one.name, now_ms=now_ms)) for one in known]


def _numbers(found: metrics.QueueMetrics) -> Numbers:
    return Numbers(
        enqueued=found.enqueued,
        running=found.running,
        completed=found.completed,
        failed=found.failed,
        oldest_age=None if found.oldest_age_ms is None else found.oldest_age_ms / 1000,
        throughput_per_minute=found.per_minute,
    )


@router.get("/queues/{name:key}")
async def one(name: str, context: Viewing) -> Queue:
    """A queue."""
    return Queue.model_validate(await _known(context, name))


async def _known(context: RequestContext, name: str) -> model.Queue:
    found = await context.app.store.read(queues.get, name=name)
    if found is None:
        raise QueueNotFound(name)
    return found


@router.get("/queues/{name:key}/stats")
async def stats(name: str, context: Viewing) -> Stats:
    """Who waits and who runs."""
    await _known(context, name)
    numbers, holders, partitions = await context.app.store.read(_stats, name=name, now_ms=context.app.clock.now_ms())
    return Stats(
        **_numbers(numbers).model_dump(),
        holders=[
            Holder(
                workflow_id=workflow_id,
                name=workflow,
                executor_id=executor,
                since=None if since_ms is None else to_datetime(since_ms),
            )
            for workflow_id, workflow, executor, since_ms in holders
        ],
        partitions=[Partition(key=key, enqueued=waiting, running=running) for key, waiting, running in partitions],
    )


def _stats(tx: Tx, *, name: str, now_ms: int) -> tuple[metrics.QueueMetrics, list[Any], list[Any]]:
    return (
        metrics.queue(tx, name=name, now_ms=now_ms),
        metrics.holders(tx, name=name),
        metrics.partitions(tx, name=name),
    )


@router.patch("/queues/{name:key}")
async def limits(name: str, asked: Limits, context: Operating) -> Queue:
    """Change limits for all processes, from their next claim on."""
    changes = given(asked)
    if asked.rate_limit is not None:
        changes["rate_limit"] = RateLimit(asked.rate_limit.limit, per=timedelta(seconds=asked.rate_limit.per))
    return await _change(context, "queue.limits", name, changes)


@router.post("/queues/{name:key}/pause")
async def pause(name: str, context: Operating) -> Queue:
    """Claim nothing from a queue any more; what runs goes on."""
    return await _change(context, "queue.pause", name, {"paused": True})


@router.post("/queues/{name:key}/resume")
async def resume(name: str, context: Operating) -> Queue:
    """Claim from a queue again."""
    return await _change(context, "queue.resume", name, {"paused": False})


async def _change(context: RequestContext, action: str, name: str, changes: dict[str, Any]) -> Queue:
    told = {field: "none" if value is None else value for field, value in changes.items()}
    app = context.change(action, name, **told)
    return Queue.model_validate(await queueing.change(app, name, **changes))
