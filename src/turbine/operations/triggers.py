"""Triggers: workflows by name, started from outside of the code with input that is validated first."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from turbine.clock import span_ms
from turbine.engine.app import App
from turbine.engine.starting import Arguments, accept, accept_elsewhere, encoded, for_anyone, prepare
from turbine.errors import NotRegistered, NotTriggerable, ShuttingDown
from turbine.ids import new_id
from turbine.model.accounts import Actor
from turbine.operations.audit_entries import audit_of, submit_audited
from turbine.operations.runs import start_run
from turbine.queries.registered import describe, parameters_of, parsed
from turbine.registry import StartOptions, WorkflowBase, WorkflowDefinition
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import registry, run_starts
from turbine.tables.registry import WorkflowRow

log = logging.getLogger("turbine")


@dataclass(frozen=True, slots=True)
class StartableWorkflow:
    """A workflow that can be started by name.

    `parameters` is their JSON Schema, None for a workflow of this process; `version` is the one of the live process
    that has the code, if that is another one.
    """

    definition: WorkflowDefinition
    parameters: dict[str, Any] | None
    takes_tick: bool
    version: str | None = None

    def accept(self, value: Any) -> Arguments:
        """Returns the arguments for input from outside. Raises ValidationFailed."""
        if self.parameters is None:
            return accept(self.definition, value)
        return accept_elsewhere(self.definition, self.parameters, value)

    def require_triggerable(self) -> None:
        if not self.definition.triggerable:
            raise NotTriggerable(
                f"Workflow {self.definition.name!r} may not be started from outside; declare it with"
                " @turbine.workflow(triggerable=True)"
            )


async def find(app: App, workflow: str | WorkflowBase[..., Any]) -> StartableWorkflow:
    """Finds a workflow by name or fully qualified name, in this process or else in any other.

    Raises NotRegistered, also for another object than the one registered here under its name, and for a fully
    qualified name of several workflows.
    """
    local = _find_local(app, workflow)
    if local is not None:
        return StartableWorkflow(local, None, local.takes_tick)
    name = workflow.name if isinstance(workflow, WorkflowBase) else workflow
    candidates: list[tuple[WorkflowRow, str | None]] = await app.store.read(_mirrored_rows, name=name)
    if not candidates:
        raise NotRegistered(
            f"No process has registered a workflow {name!r}; check the name, or start a process that registers it"
        )
    _require_unique(name, [row.name for row, _ in candidates])
    row, version = candidates[0]
    definition = WorkflowDefinition(
        fn=None,
        name=row.name,
        fqn=row.fqn,
        max_recoveries=row.max_recoveries,
        triggerable=bool(row.triggerable),
        input_schema=parsed(row.input_schema),
        tags=tuple(parsed(row.tags) or ()),
        queue=row.queue,
        timeout=None if row.timeout_ms is None else row.timeout_ms / 1000,
    )
    return StartableWorkflow(definition, parsed(row.parameters) or {}, bool(row.takes_tick), version)


def _find_local(app: App, workflow: str | WorkflowBase[..., Any]) -> WorkflowDefinition | None:
    if isinstance(workflow, WorkflowBase):
        definition = workflow.definition
        if definition.fn is None:
            return app.registry.get(definition.name)
        registered = app.registry.require(definition, elsewhere=True)
        is_local = registered is not definition or app.registry.get(definition.name) is not None
        return registered if is_local else None
    by_name = app.registry.get(workflow)
    if by_name is not None:
        return by_name
    candidates = app.registry.by_fqn(workflow)
    _require_unique(workflow, [candidate.name for candidate in candidates])
    return candidates[0] if candidates else None


def _require_unique(fqn: str, names: list[str]) -> None:
    if len(names) > 1:
        raise NotRegistered(
            f"{fqn!r} is the function of several workflows: {', '.join(map(repr, sorted(names)))}; use one of the names"
        )


def _mirrored_rows(tx: Tx, *, name: str) -> list[tuple[WorkflowRow, str | None]]:
    return [(row, registry.version(tx, name=row.name)) for row in registry.find(tx, name_or_fqn=name)]


async def trigger_workflow(
    app: App,
    actor: Actor | None,
    workflow: str | WorkflowBase[..., Any],
    value: Any,
    *,
    id: str | None = None,
    queue: str | None = None,
    delay: timedelta | float | None = None,
    priority: int = 0,
    tags: Sequence[str] | None = None,
) -> str:
    """Starts a workflow with input from outside and returns the id of its run. Writes nothing unless all is valid."""
    startable = await find(app, workflow)
    startable.require_triggerable()
    arguments = startable.accept(value)
    run_id = new_id() if id is None else id
    given: dict[str, Any] = {"queue": queue, "delay": delay, "tags": tags}
    options = WorkflowBase[..., Any](startable.definition).options(
        id=run_id, priority=priority, **{name: option for name, option in given.items() if option is not None}
    )
    name = workflow.name if isinstance(workflow, WorkflowBase) else workflow
    audit = audit_of(app, actor, "workflow.trigger", name, workflow_id=run_id)
    return await start(app, startable, options.start_options, arguments, audit)


async def start(
    app: App,
    startable: StartableWorkflow,
    options: StartOptions,
    arguments: Arguments,
    audit: Audit | None = None,
) -> str:
    """Starts a workflow here, or leaves it to a process that has its code. Returns the id of the run."""
    definition = startable.definition
    if startable.parameters is None:
        _, row = await start_run(app, definition, options, *arguments, audit=audit)
        return row.id
    if app.is_draining():
        raise ShuttingDown(
            f"Workflow {definition.name!r} was not started: this runtime is shutting down", origin=app.store
        )
    inputs = encoded(app, definition, arguments)
    options = replace(options, application_version=options.application_version or startable.version)
    row = for_anyone(prepare(app, definition, options, inputs, None))
    await submit_audited(app, audit, run_starts.start, row, len(inputs))
    return row.id


async def mirror(app: App) -> None:
    """Publishes the workflows of this process to the others."""
    rows = [_mirrored(definition) for definition in app.registry]
    await app.store.write(registry.mirror, workflows=rows, now_ms=app.clock.now_ms())


def _mirrored(definition: WorkflowDefinition) -> WorkflowRow:
    parameters, takes_tick, error = parameters_of(definition)
    if error is not None:
        log.warning("The parameters of workflow %r have no schema: %s", definition.name, error)
    record = describe(definition)
    return WorkflowRow(
        name=record.name,
        fqn=record.fqn,
        triggerable=int(record.triggerable),
        takes_tick=int(takes_tick),
        cron_schedule=record.cron_schedule,
        input_schema=None if definition.input_schema is None else json.dumps(definition.input_schema),
        parameters=parameters,
        signature=_storable(record.signature),
        source=_storable(record.source),
        tags=json.dumps(definition.tags, ensure_ascii=False) if definition.tags else None,
        docstring=_storable(record.docstring),
        queue=definition.queue,
        timeout_ms=None if definition.timeout is None else span_ms(definition.timeout),
        max_recoveries=definition.max_recoveries,
    )


def _storable(text: str | None) -> str | None:
    """Removes what one of the databases does not take."""
    return (text or "").replace("\0", "").encode(errors="replace").decode() or None
