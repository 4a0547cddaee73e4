"""Routes for load balancers and Prometheus."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from turbine.errors import TurbineError
from turbine.http.request_context import Viewing, app_of, runtime_of
from turbine.http.schemas import Schema
from turbine.queries import metrics

router = APIRouter(tags=["health"])
PATIENCE = 2.0
"""Seconds that the database has to answer."""


class HealthResponse(Schema):
    """Whether this process can do its work."""

    status: Literal["ok", "degraded"]
    database: Literal["ok", "away"]
    executor: Literal["running", "draining", "stopped"]
    version: str = Field(examples=["0.1.0"])


@router.get(
    "/health", responses={503: {"model": HealthResponse, "description": "The database or the executor is unavailable."}}
)
async def health(request: Request, response: Response) -> HealthResponse:
    """200 when runs can be executed here, 503 when the database is away or the process is ending."""
    rt = runtime_of(request)
    executor: Literal["running", "draining", "stopped"] = "running"
    if not rt.is_launched:
        executor = "draining" if rt.is_draining else "stopped"
    try:
        async with asyncio.timeout(PATIENCE):
            is_writable = await metrics.check_database(app_of(rt))
    except (TurbineError, TimeoutError):
        is_writable = False  # which is the answer
    is_healthy = is_writable and executor == "running"
    if not is_healthy:
        response.status_code = 503
    return HealthResponse(
        status="ok" if is_healthy else "degraded",
        database="ok" if is_writable else "away",
        executor=executor,
        version=version("turbine-workflows"),
    )


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def prometheus(request: Request, context: Viewing) -> Response:
    """Metrics in the text format of Prometheus. With 200,000 runs or more, `turbine_runs` may be five seconds old."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    app = context.app
    gauges, by_status = await metrics.gauges(app, request.app.state.status_cache)
    registry = CollectorRegistry()

    def gauge(name: str, description: str, *labels: str) -> Gauge:
        return Gauge(name, description, labels, registry=registry)

    runs = gauge("turbine_runs", "Runs in the database by status", "status")
    for status, count in by_status.items():
        runs.labels(status).set(count)
    enqueued = gauge("turbine_queue_enqueued", "Runs that wait in a queue", "queue")
    running = gauge("turbine_queue_running", "Runs that hold a slot of a queue", "queue")
    oldest = gauge("turbine_queue_oldest_age_seconds", "Age of the oldest queued run", "queue")
    for queue in gauges.queues:
        enqueued.labels(queue.name).set(queue.enqueued)
        running.labels(queue.name).set(queue.running)
        oldest.labels(queue.name).set((queue.oldest_age_ms or 0) / 1000)
    deliveries = gauge("turbine_deliveries", "Deliveries by status", "status")
    for status, count in gauges.deliveries.items():
        deliveries.labels(status).set(count)
    gauge("turbine_approvals_open", "Open approvals").set(gauges.open_approvals)
    gauge("turbine_executors", "Live executors").set(gauges.executors)
    gauge("turbine_writer_depth", "Writes that wait in this process").set(app.store.writer.depth)
    gauge("turbine_logs_last", "Key of the newest log record").set(gauges.last_log)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
