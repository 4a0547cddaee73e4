"""Registered workflows: how they are declared, and how their runs perform."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from typing import Any

from turbine.engine.app import App
from turbine.errors import NotFound
from turbine.model.run_filter import RunFilter
from turbine.model.workflows import OpenVersion, RegisteredWorkflow, Status, WorkflowMetrics, WorkflowStatus
from turbine.queries.metrics import quantile
from turbine.queries.runs import list_runs
from turbine.registry import WorkflowDefinition
from turbine.store import Tx
from turbine.tables import executors, metrics, registry
from turbine.tables.registry import WorkflowRow

ERRORS_MAX = 5


async def list_registered(app: App) -> list[RegisteredWorkflow]:
    """Lists the workflows that any process has registered, by name."""
    return [_record(row, app) for row in await app.store.read(registry.listing)]


async def get_registered(app: App, name: str) -> RegisteredWorkflow:
    """Returns a workflow that any process has registered. Raises NotFound."""
    for workflow in await list_registered(app):
        if workflow.name == name:
            return workflow
    raise NotFound(kind="registered workflow", id=name)


async def workflow_metrics(app: App, workflow: RegisteredWorkflow) -> WorkflowMetrics:
    """Sums up the newest thousand runs of a workflow."""
    newest, versions, live = await app.store.read(_metrics_rows, name=workflow.name)
    counts = Counter(status for status, _, _ in newest)
    ended = sum(counts[status] for status in WorkflowStatus if status.is_terminal)
    durations = sorted(
        ended_ms - started_ms for _, started_ms, ended_ms in newest if started_ms is not None and ended_ms is not None
    )
    failed = [WorkflowStatus.ERROR, WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED]
    errors = await list_runs(app, RunFilter(name=workflow.name, status=failed), limit=ERRORS_MAX)
    last = await list_runs(app, RunFilter(name=workflow.name), limit=1, load_input=True)
    return WorkflowMetrics(
        success_rate=counts[WorkflowStatus.SUCCESS] / ended if ended else None,
        p50=quantile(durations, 0.5),
        p95=quantile(durations, 0.95),
        counts={WorkflowStatus(status): count for status, count in counts.items()},
        last_errors=errors.items,
        versions=[OpenVersion(version, count, set_aside, version in live) for version, count, set_aside in versions],
        last_input=_trigger_input(workflow, last.items[0]) if last.items else None,
    )


def describe(definition: WorkflowDefinition) -> RegisteredWorkflow:
    """Describes a workflow that is registered in this process."""
    text, _, _ = parameters_of(definition)
    parameters = None if text is None else json.loads(text)
    return RegisteredWorkflow(
        name=definition.name,
        fqn=definition.fqn,
        triggerable=definition.triggerable,
        cron_schedule=None if definition.schedule is None else str(definition.schedule),
        input_schema=definition.input_schema or parameters,
        tags=list(definition.tags),
        docstring=inspect.getdoc(definition.fn),
        parameters=parameters,
        signature=f"{definition.fqn.rpartition(':')[2].rpartition('.')[2]}{definition.signature.text}",
        source=definition.signature.source,
    )


def parameters_of(definition: WorkflowDefinition) -> tuple[str | None, bool, Exception | None]:
    """Returns the JSON Schema of the parameters, whether they take a tick, and why there is no schema.

    A workflow without a schema can be registered: only starting it by name fails.
    """
    try:
        return json.dumps(definition.signature.json_schema()), definition.takes_tick, None
    except Exception as error:  # noqa: BLE001 - types of users may raise anything
        return None, False, error


def parsed(text: str | None) -> Any:
    """Parses stored JSON; None stays None."""
    return None if text is None else json.loads(text)


def _record(row: WorkflowRow, app: App) -> RegisteredWorkflow:
    parameters = parsed(row.parameters)
    return RegisteredWorkflow(
        name=row.name,
        fqn=row.fqn,
        triggerable=bool(row.triggerable),
        cron_schedule=row.cron_schedule,
        input_schema=parsed(row.input_schema) or parameters,
        tags=parsed(row.tags) or [],
        docstring=row.docstring,
        parameters=parameters,
        signature=row.signature,
        source=row.source,
        here=app.registry.get(row.name) is not None,
    )


def _metrics_rows(
    tx: Tx, *, name: str
) -> tuple[list[tuple[str, int | None, int | None]], list[tuple[str, int, int]], set[str]]:
    newest, versions = metrics.of_workflow(tx, name=name)
    live = [row for row in executors.registered(tx) if row.lease_left_ms > 0 and name in json.loads(row.names)]
    return newest, versions, {row.application_version for row in live}


def _trigger_input(workflow: RegisteredWorkflow, run: Status) -> Any:
    """Returns the input of a run as `trigger` takes it: by parameter name, or bare if the workflow takes it bare."""
    if run.input is None:
        return None
    names = list((workflow.parameters or {}).get("properties", {}))
    by_name = {**dict(zip(names, run.input.get("args", []), strict=False)), **run.input.get("kwargs", {})}
    is_bare = len(names) == 1 and list(by_name) == names and workflow.input_schema != workflow.parameters
    return by_name[names[0]] if is_bare else by_name
