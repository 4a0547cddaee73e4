"""Workflows by name, from outside of the code: which there are, and starting one with input that is checked first."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from turbine.clock import span_ms
from turbine.engine.app import App
from turbine.engine.outside import Arguments, accept, accept_elsewhere, encoded, for_anyone
from turbine.engine.starting import prepare
from turbine.errors import NotRegistered, NotTriggerable, ShuttingDown
from turbine.model.workflows import RegisteredWorkflow
from turbine.operations import runs
from turbine.operations.audit_entries import submit_audited
from turbine.registry import StartOptions, WorkflowBase, WorkflowDefinition
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import registry, workflows
from turbine.tables.registry import Mirrored

log = logging.getLogger("turbine")


@dataclass(frozen=True, slots=True)
class Known:
    """A workflow that may be started by name; `parameters` (their schema) is None for one that is registered here.

    `version` is that of the process whose code it is, if this is another one that is there now.
    """

    definition: WorkflowDefinition
    parameters: dict[str, Any] | None
    takes_tick: bool
    version: str | None = None

    def accept(self, value: Any) -> Arguments:
        """The arguments that input from outside stands for. Raises ValidationFailed."""
        if self.parameters is None:
            return accept(self.definition, value)
        return accept_elsewhere(self.definition, self.parameters, value)

    def require_triggerable(self) -> None:
        if not self.definition.triggerable:
            raise NotTriggerable(
                f"Workflow {self.definition.name!r} may not be started from outside; declare it with"
                " @turbine.workflow(triggerable=True)"
            )


async def find(app: App, workflow: str | WorkflowBase[..., Any]) -> Known:
    """A workflow by name or fully qualified name: of this process, else of any other.

    Raises NotRegistered, also for another object than the one that is registered here under its name, and for a fully
    qualified name that several workflows have.
    """
    here = _find_here(app, workflow)
    if here is not None:
        return Known(here, None, here.takes_tick)
    name = workflow.name if isinstance(workflow, WorkflowBase) else workflow
    candidates: list[tuple[Mirrored, str | None]] = await app.store.read(_look, name=name)
    if not candidates:
        raise NotRegistered(
            f"No process has registered a workflow {name!r}; check the name, or start a process that registers it"
        )
    _require_one(name, [mirrored.name for mirrored, _ in candidates])
    elsewhere, version = candidates[0]
    definition = WorkflowDefinition(
        fn=None,
        name=elsewhere.name,
        fqn=elsewhere.fqn,
        max_recoveries=elsewhere.max_recoveries,
        triggerable=bool(elsewhere.triggerable),
        input_schema=_parsed(elsewhere.input_schema),
        tags=tuple(_parsed(elsewhere.tags) or ()),
        queue=elsewhere.queue,
        timeout=None if elsewhere.timeout_ms is None else elsewhere.timeout_ms / 1000,
    )
    return Known(definition, _parsed(elsewhere.parameters) or {}, bool(elsewhere.takes_tick), version)


def _find_here(app: App, workflow: str | WorkflowBase[..., Any]) -> WorkflowDefinition | None:
    if isinstance(workflow, WorkflowBase):
        definition = workflow.definition
        if definition.fn is None:
            return app.registry.get(definition.name)
        registered = app.registry.require(definition, elsewhere=True)
        is_here = registered is not definition or app.registry.get(definition.name) is not None
        return registered if is_here else None
    named = app.registry.get(workflow)
    if named is not None:
        return named
    candidates = app.registry.by_fqn(workflow)
    _require_one(workflow, [candidate.name for candidate in candidates])
    return candidates[0] if candidates else None


def _require_one(fqn: str, names: list[str]) -> None:
    if len(names) > 1:
        raise NotRegistered(
            f"{fqn!r} is the function of several workflows: {', '.join(map(repr, sorted(names)))}; give the name of one"
        )


def _look(tx: Tx, *, name: str) -> list[tuple[Mirrored, str | None]]:
    return [(mirrored, registry.version(tx, name=mirrored.name)) for mirrored in registry.find(tx, name_or_fqn=name)]


async def trigger(
    app: App,
    workflow: str | WorkflowBase[..., Any],
    value: Any,
    *,
    id: str | None = None,
    queue: str | None = None,
    delay: timedelta | float | None = None,
    priority: int = 0,
    tags: Sequence[str] | None = None,
) -> str:
    """Start a workflow with input from outside; its run's id. No row is written unless all is right."""
    known = await find(app, workflow)
    known.require_triggerable()
    arguments = known.accept(value)
    blank = WorkflowBase[..., Any](known.definition)
    given: dict[str, Any] = {"id": id, "queue": queue, "delay": delay, "tags": tags}
    options = blank.options(priority=priority, **{name: one for name, one in given.items() if one is not None})
    return await start(app, known, options.start_options, arguments)


async def start(app: App, known: Known, options: StartOptions, arguments: Arguments, audit: Audit | None = None) -> str:
    """Start a workflow here, or leave it to a process that has its code. Returns the run's id."""
    if known.parameters is None:
        _, row = await runs.start(app, known.definition, options, *arguments, audit=audit)
        return row.id
    if app.is_draining():
        raise ShuttingDown(
            f"Workflow {known.definition.name!r} was not started: this runtime is shutting down", origin=app.store
        )
    inputs = encoded(app, known.definition, arguments)
    of_there = replace(options, application_version=options.application_version or known.version)
    row = for_anyone(prepare(app, known.definition, of_there, inputs, None))
    await submit_audited(app, audit, workflows.start, row, len(inputs))
    return row.id


async def mirror(app: App) -> None:
    """Tell other processes what is registered here."""
    mirrored = [_mirrored(definition) for definition in app.registry]
    await app.store.write(registry.mirror, workflows=mirrored, now_ms=app.clock.now_ms())


async def everywhere(app: App) -> list[RegisteredWorkflow]:
    """The workflows that any process has registered, by name."""
    mirrored: list[Mirrored] = await app.store.read(registry.listing)
    return [_registered(one, app) for one in mirrored]


def registered_here(definition: WorkflowDefinition) -> RegisteredWorkflow:
    """What is told of a workflow that is registered here."""
    parameters = _parsed(_parameters(definition)[0])
    return RegisteredWorkflow(
        name=definition.name,
        fqn=definition.fqn,
        triggerable=definition.triggerable,
        cron_schedule=None if definition.schedule is None else str(definition.schedule),
        input_schema=definition.input_schema or parameters,
        tags=list(definition.tags),
        docstring=inspect.getdoc(definition.fn),
        parameters=parameters,
        signature=_signature(definition),
        source=definition.signature.source,
    )


def _registered(one: Mirrored, app: App) -> RegisteredWorkflow:
    parameters = _parsed(one.parameters)
    return RegisteredWorkflow(
        name=one.name,
        fqn=one.fqn,
        triggerable=bool(one.triggerable),
        cron_schedule=one.cron_schedule,
        input_schema=_parsed(one.input_schema) or parameters,
        tags=_parsed(one.tags) or [],
        docstring=one.docstring,
        parameters=parameters,
        signature=one.signature,
        source=one.source,
        here=app.registry.get(one.name) is not None,
    )


def _parameters(definition: WorkflowDefinition) -> tuple[str | None, bool, Exception | None]:
    """The schema of the parameters, and whether they are a tick; no schema, and why, where the annotations have none.

    Whoever starts such a workflow is told what is wrong with it, and nothing else of the runtime need fail.
    """
    try:
        return json.dumps(definition.signature.json_schema()), definition.takes_tick, None
    except Exception as error:  # noqa: BLE001 - types of the user's own may raise anything
        return None, False, error


def _mirrored(definition: WorkflowDefinition) -> Mirrored:
    parameters, takes_tick, error = _parameters(definition)
    if error is not None:
        log.warning("The parameters of workflow %r have no schema: %s", definition.name, error)
    return Mirrored(
        name=definition.name,
        fqn=definition.fqn,
        triggerable=int(definition.triggerable),
        takes_tick=int(takes_tick),
        cron_schedule=None if definition.schedule is None else str(definition.schedule),
        input_schema=None if definition.input_schema is None else json.dumps(definition.input_schema),
        parameters=parameters,
        signature=_told(_signature(definition)),
        source=_told(definition.signature.source),
        tags=json.dumps(definition.tags, ensure_ascii=False) if definition.tags else None,
        docstring=_told(inspect.getdoc(definition.fn)),
        queue=definition.queue,
        timeout_ms=None if definition.timeout is None else span_ms(definition.timeout),
        max_recoveries=definition.max_recoveries,
    )


def _signature(definition: WorkflowDefinition) -> str:
    return f"{definition.fqn.rpartition(':')[2].rpartition('.')[2]}{definition.signature.text}"


def _told(text: str | None) -> str | None:
    """A text as both databases take it."""
    return (text or "").replace("\0", "").encode(errors="replace").decode() or None


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
