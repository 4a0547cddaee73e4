"""Workflows that live processes know: what they take, and how their runs fare."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from turbine.errors import NotFound
from turbine.http import schemas
from turbine.http.request_context import Viewing
from turbine.http.schemas import Items, Json, RunRow, Schema
from turbine.model.schedules import ScheduleRecord
from turbine.model.workflows import RegisteredWorkflow, WorkflowStatus
from turbine.store import Tx
from turbine.tables import executors, metrics

router = APIRouter(tags=["workflows"])


class Registered(Schema):
    """A workflow that a live process knows."""

    name: str
    fqn: str
    triggerable: bool
    cron_schedule: str | None
    input_schema: dict[str, Any] | None
    tags: list[str]
    docstring: str | None
    parameters: dict[str, Any] | None = Field(description="The JSON Schema of its parameters by name.")
    signature: str | None = Field(
        description="As Python writes it.", examples=["place_order(order: Order, dry_run: bool = False) -> str"]
    )
    source: str | None = Field(description="Where its code begins.", examples=["/srv/shop/orders.py:42"])
    here: bool = Field(description="Whether the process that answers has its code.")


class Version(Schema):
    """Open runs that began under one version of the code."""

    version: str
    open: int
    set_aside: int = Field(description="Those whose history does not fit the code that tried to go on with them.")
    live: bool = Field(description="Whether a live process that knows the workflow has this version.")


class RegisteredDetail(Registered):
    """A workflow with the figures of its newest thousand runs."""

    success_rate: float | None = None
    p50: float | None = Field(default=None, description="Seconds.")
    p95: float | None = Field(default=None, description="Seconds.")
    counts: dict[WorkflowStatus, int] = Field(default_factory=dict[WorkflowStatus, int])
    last_errors: list[RunRow] = Field(default_factory=list[RunRow])
    versions: list[Version] = Field(default_factory=list[Version])
    schedules: list[ScheduleRecord] = Field(default_factory=list[ScheduleRecord])
    last_input: Json = Field(default=None, description="What the newest run was given, as `POST trigger` takes it.")


@router.get("/registered")
async def listing(context: Viewing) -> Items[Registered]:
    """All workflows that live processes know, by name."""
    return Items(items=[Registered.model_validate(one) for one in await context.rt.workflows_everywhere()])


@router.get("/registered/{name:key}")
async def one(name: str, context: Viewing) -> RegisteredDetail:
    """A workflow with its figures."""
    known = {found.name: found for found in await context.rt.workflows_everywhere()}
    if name not in known:
        raise NotFound(kind="registered workflow", id=name)
    shown = RegisteredDetail.model_validate(known[name])
    newest, versions, live = await context.app.store.read(_figures, name=name)
    counts = Counter(status for status, _, _ in newest)
    shown.counts = {WorkflowStatus(status): count for status, count in counts.items()}
    ended = sum(counts[status] for status in WorkflowStatus if status.is_terminal)
    shown.success_rate = counts[WorkflowStatus.SUCCESS] / ended if ended else None
    spans = sorted(
        ended_ms - started_ms for _, started_ms, ended_ms in newest if started_ms is not None and ended_ms is not None
    )
    shown.p50, shown.p95 = quantile(spans, 0.5), quantile(spans, 0.95)
    errors = await context.rt.list(name=name, status=["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"], limit=5)
    shown.last_errors = [schemas.run_row(found) for found in errors.items]
    shown.versions = [
        Version(version=version, open=count, set_aside=set_aside, live=version in live)
        for version, count, set_aside in versions
    ]
    shown.schedules = (await context.rt.schedules.list(name)).items
    last = await context.rt.list(name=name, limit=1, load_input=True)
    shown.last_input = _given(known[name], last.items[0].input) if last.items else None
    return shown


def _given(workflow: RegisteredWorkflow, stored: dict[str, Any] | None) -> Any:
    """Stored arguments by the names of their parameters; the bare value where the schema is that of the only one."""
    if stored is None:
        return None
    names = list((workflow.parameters or {}).get("properties", {}))
    by_name = {**dict(zip(names, stored.get("args", []), strict=False)), **stored.get("kwargs", {})}
    is_bare = len(names) == 1 and list(by_name) == names and workflow.input_schema != workflow.parameters
    return by_name[names[0]] if is_bare else by_name


def _figures(tx: Tx, *, name: str) -> tuple[list[Any], list[tuple[str, int, int]], set[str]]:
    newest, versions = metrics.of_name(tx, name=name)
    alive = [row for row in executors.live(tx) if row.lease_left_ms > 0]
    return newest, versions, {row.application_version for row in alive if name in json.loads(row.names)}


def quantile(spans_ms: list[int], part: float) -> float | None:
    """A quantile of sorted milliseconds, in seconds; None of nothing."""
    if not spans_ms:
        return None
    return spans_ms[min(len(spans_ms) - 1, int(len(spans_ms) * part))] / 1000
