"""Is it alive, and how does it go: for load balancers and Prometheus."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from turbine.errors import TurbineError
from turbine.http.metrics import Counted
from turbine.http.request_context import Viewing, app_of, runtime_of
from turbine.http.schemas import Schema
from turbine.tables import metrics

router = APIRouter(tags=["health"])
PATIENCE = 2.0
"""Seconds that the database has to answer."""


class Health(Schema):
    """Whether this process can do its work."""

    status: Literal["ok", "degraded"]
    database: Literal["ok", "away"]
    executor: Literal["running", "draining", "stopped"]
    version: str = Field(examples=["0.1.0"])


@router.get("/health", responses={503: {"model": Health, "description": "Something is missing."}})
async def health(request: Request, response: Response) -> Health:
    """200 when runs can go on here, 503 when the database is away or the process is ending."""
    rt = runtime_of(request)
    executor: Literal["running", "draining", "stopped"] = "running"
    if not rt.is_launched:
        executor = "draining" if rt.is_draining else "stopped"
    database: Literal["ok", "away"] = "away"
    try:
        async with asyncio.timeout(PATIENCE):
            app = app_of(rt)
            await app.store.read(metrics.ping)
        database = "ok" if app.holds_lease() and app.store.obstacle is None else "away"
    except (TurbineError, TimeoutError):
        database = "away"  # which is the answer
    is_well = database == "ok" and executor == "running"
    if not is_well:
        response.status_code = 503
    return Health(
        status="ok" if is_well else "degraded",
        database=database,
        executor=executor,
        version=version("turbine-workflows"),
    )


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def prometheus(request: Request, context: Viewing) -> Response:
    """Figures in the text format of Prometheus. Among 200,000 runs or more, `turbine_runs` may be five seconds old."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    app = context.app
    counted: Counted = request.app.state.counted
    found, by_status = await asyncio.gather(
        app.store.read(metrics.gauges, now_ms=app.clock.now_ms()), counted.by_status(app)
    )
    registry = CollectorRegistry()
    runs = Gauge("turbine_runs", "Runs in the database by status", ["status"], registry=registry)
    for status, count in by_status.items():
        runs.labels(status).set(count)
    waiting = Gauge("turbine_queue_enqueued", "Runs that wait in a queue", ["queue"], registry=registry)
    running = Gauge("turbine_queue_running", "Runs that hold a slot of a queue", ["queue"], registry=registry)
    oldest = Gauge(
        "turbine_queue_oldest_age_seconds", "Age of the run that waits longest", ["queue"], registry=registry
    )
    for queue in found.queues:
        waiting.labels(queue.name).set(queue.enqueued)
        running.labels(queue.name).set(queue.running)
        oldest.labels(queue.name).set((queue.oldest_age_ms or 0) / 1000)
    deliveries = Gauge("turbine_deliveries", "Deliveries by status", ["status"], registry=registry)
    for status, count in found.deliveries.items():
        deliveries.labels(status).set(count)
    Gauge("turbine_approvals_open", "Gates that wait for a person", registry=registry).set(found.open_approvals)
    Gauge("turbine_executors", "Live processes", registry=registry).set(found.executors)
    Gauge("turbine_writer_depth", "Writes that wait in this process", registry=registry).set(app.store.writer.depth)
    Gauge("turbine_logs_last", "Key of the newest log record", registry=registry).set(found.last_log)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
