"""Routes of registered workflows: how they are declared, and how their runs perform."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import APIRouter

from turbine.http import schemas
from turbine.http.request_context import Viewing
from turbine.http.schemas import Json, RunResponse
from turbine.model.records import DESCRIBED, extended
from turbine.model.schedules import ScheduleRecord
from turbine.model.workflows import OpenVersion, Page, RegisteredWorkflow, WorkflowStatus
from turbine.queries.registered import get_registered, list_registered, workflow_metrics

router = APIRouter(tags=["workflows"])


@dataclass(frozen=True, slots=True)
class RegisteredResponse(RegisteredWorkflow):
    """A registered workflow with the metrics of its newest thousand runs."""

    success_rate: float | None = None
    p50: float | None = None
    """Seconds."""
    p95: float | None = None
    """Seconds."""
    counts: dict[WorkflowStatus, int] = field(default_factory=dict[WorkflowStatus, int])
    last_errors: list[RunResponse] = field(default_factory=list[RunResponse])
    versions: list[OpenVersion] = field(default_factory=list[OpenVersion])
    schedules: list[ScheduleRecord] = field(default_factory=list[ScheduleRecord])
    last_input: Json = None
    """The input of the newest run, as `POST trigger` takes it."""

    __pydantic_config__ = DESCRIBED


@router.get("/registered")
async def listing(context: Viewing) -> Page[RegisteredWorkflow]:
    """All workflows that any process has registered, by name."""
    return Page(await list_registered(context.app))


@router.get("/registered/{name:key}")
async def get_workflow(name: str, context: Viewing) -> RegisteredResponse:
    """A registered workflow with its metrics."""
    workflow = await get_registered(context.app, name)
    metrics = await workflow_metrics(context.app, workflow)
    schedules = await context.rt.schedules.list(name)
    return extended(
        RegisteredResponse,
        workflow,
        success_rate=metrics.success_rate,
        p50=metrics.p50,
        p95=metrics.p95,
        counts=metrics.counts,
        last_errors=[schemas.run_response(run) for run in metrics.last_errors],
        versions=metrics.versions,
        schedules=schedules.items,
        last_input=metrics.last_input,
    )
