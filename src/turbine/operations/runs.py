"""Runs: start, look, cancel, resume, delete."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, cast

from turbine.clock import to_datetime, to_ms
from turbine.codec import plain
from turbine.engine.app import App
from turbine.engine.payloads import Payloads
from turbine.engine.starting import encode_input, first_claim, prepare
from turbine.errors import Deduplicated, NotFound, ShuttingDown, WorkflowNotFound
from turbine.ids import check_id, check_name, check_text
from turbine.model.steps import StepInfo
from turbine.model.workflows import Event, Page, Status, WorkflowStatus
from turbine.operations import products
from turbine.operations.audit_entries import submit_audited
from turbine.operations.pages import after_key, check_limit
from turbine.registry import StartOptions, WorkflowDefinition
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import details, run_search, statuses, steps, workflows
from turbine.tables.run_search import Filter
from turbine.tables.statuses import Found
from turbine.tables.workflows import Start, Started

log = logging.getLogger("turbine")

LENGTH_MAX = 10**9
"""Seconds that a filter may ask for."""


async def start(
    app: App,
    definition: WorkflowDefinition,
    options: StartOptions,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    audit: Audit | None = None,
) -> tuple[Started, Start]:
    """Start a run of a registered workflow, or join the run that has its id. Durable when it returns.

    Raises ShuttingDown, TypeError, SerializationError, ValueError, QueueNotFound, WorkflowConflict,
    Deduplicated; in each of these cases no row was written.
    """
    if app.is_draining():
        raise ShuttingDown(
            f"Workflow {definition.name!r} was not started: this runtime is shutting down; start it in another process"
            " or after the restart",
            origin=app.store,
        )
    inputs = encode_input(app, definition, args, kwargs)
    row = prepare(app, definition, options, inputs, (args, kwargs))
    if definition.fn is None and row.queue is None:
        raise ValueError(f"workflow {definition.name!r} is remote and needs a queue: use options(queue=...)")
    entered = submit_audited(app, audit, workflows.start, row, len(inputs))
    # A caller who goes away takes nothing with him: what he has started is carried out.
    entered.add_done_callback(partial(_take_up, app, definition, row))
    if row.direct:
        app.expect(entered)
    started = cast(Started, await asyncio.shield(entered))
    if not started.is_new and not started.same_input:
        log.warning("Run %s was started before with another input; that one counts, this one is ignored", row.id)
    return started, row


def _take_up(app: App, definition: WorkflowDefinition, row: Start, entered: asyncio.Future[Any]) -> None:
    """Tell of a run that was just started, and carry it out if that is ours to do."""
    if entered.cancelled() or entered.exception() is not None:
        return
    started: Started = entered.result()
    if started.is_new and app.probe.listeners:
        status = WorkflowStatus(row.status)
        app.probe.tell(Event(f"workflow.{status}", row.id, row.name, status, None, to_datetime(row.created_ms)))
    if started.is_held:
        app.adopt(first_claim(row, started), definition)


async def status(app: App, workflow_id: str) -> Status:
    """A run as it is now, payloads included. Raises WorkflowNotFound."""
    found = await app.store.read(statuses.one, workflow_id=workflow_id)
    if found is None:
        raise WorkflowNotFound(workflow_id)
    return _complete(found, app.payloads)


def _complete(found: Found, payloads: Payloads) -> Status:
    output = None if found.output is None else plain(payloads.open(found.output))
    inputs = None if found.inputs is None else plain(payloads.open(found.inputs))
    return replace(found.status, output=output, input=inputs)


async def page(
    app: App,
    *,
    status: str | Sequence[str] | None,
    name: str | Sequence[str] | None,
    executor_id: str | Sequence[str] | None,
    version: str | Sequence[str] | None,
    ids: str | Sequence[str] | None,
    tag: str | Sequence[str] | None,
    queue: str | Sequence[str] | None,
    parent_id: str | Sequence[str] | None,
    created_after: datetime | None,
    created_before: datetime | None,
    search: str | None,
    fingerprint: str | Sequence[str] | None,
    error_class: str | Sequence[str] | None,
    duration_min: float | None,
    duration_max: float | None,
    limit: int,
    cursor: str | None,
    ascending: bool = False,
    load_input: bool = False,
    load_output: bool = True,
) -> Page[Status]:
    """One page of runs. Raises ValueError for a limit, status or cursor that can never be right."""
    check_limit(limit)
    wanted = filter_of(
        status=status,
        name=name,
        executor_id=executor_id,
        version=version,
        ids=ids,
        tag=tag,
        queue=queue,
        parent_id=parent_id,
        created_after=created_after,
        created_before=created_before,
        search=search,
        fingerprint=fingerprint,
        error_class=error_class,
        duration_min=duration_min,
        duration_max=duration_max,
    )
    found = await app.store.read(
        statuses.page,
        wanted=wanted,
        limit=limit + 1,
        after=after_key(cursor),
        ascending=ascending,
        load_input=load_input,
        load_output=load_output,
    )
    items = [_complete(one, app.payloads) for one in found[:limit]]
    return Page(items, str(found[limit - 1].run) if len(found) > limit else None)


def filter_of(
    *,
    status: str | Sequence[str] | None = None,
    name: str | Sequence[str] | None = None,
    executor_id: str | Sequence[str] | None = None,
    version: str | Sequence[str] | None = None,
    ids: str | Sequence[str] | None = None,
    tag: str | Sequence[str] | None = None,
    queue: str | Sequence[str] | None = None,
    parent_id: str | Sequence[str] | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    search: str | None = None,
    fingerprint: str | Sequence[str] | None = None,
    error_class: str | Sequence[str] | None = None,
    duration_min: float | None = None,
    duration_max: float | None = None,
) -> Filter:
    """What a list asks for, checked. Raises ValueError for what can never be right."""
    return Filter(
        status=_several(status, "status", lambda value, _: str(WorkflowStatus(value))),
        name=_several(name, "name"),
        executor_id=_several(executor_id, "executor_id"),
        version=_several(version, "version"),
        ids=_several(ids, "ids"),
        tag=_several(tag, "tag"),
        queue=_several(queue, "queue"),
        parent_id=_several(parent_id, "parent_id"),
        created_after_ms=None if created_after is None else to_ms(created_after, "created_after"),
        created_before_ms=None if created_before is None else to_ms(created_before, "created_before"),
        search=check_name(search, "search text") if search else None,
        fingerprint=_several(fingerprint, "fingerprint"),
        error_class=_several(error_class, "error_class"),
        duration_min_ms=_length(duration_min, "duration_min"),
        duration_max_ms=_length(duration_max, "duration_max"),
    )


async def count(app: App, wanted: Filter, limit: int) -> int:
    """How many runs a filter lets through, counted up to a limit."""
    return await app.store.read(run_search.count, wanted=wanted, limit=limit)


def _length(seconds: float | None, what: str) -> int | None:
    if seconds is None:
        return None
    if not 0 <= seconds <= LENGTH_MAX:
        raise ValueError(f"{what} must be seconds from 0 to {LENGTH_MAX}: {seconds}")
    return round(seconds * 1000)


def _several(value: Any, what: str, check: Callable[[Any, str], str] = check_name) -> list[str] | None:
    if value is None:
        return None
    values = [value] if isinstance(value, str) else list(value)
    try:
        return [check(one, what) for one in values]
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


async def steps_of(app: App, workflow_id: str) -> list[StepInfo]:
    """The recorded steps of a run, in the order of their first recording. Raises WorkflowNotFound."""
    found = await app.store.read(_steps, workflow_id=workflow_id, payloads=app.payloads)
    if found is None:
        raise WorkflowNotFound(workflow_id)
    return found


def _steps(
    tx: Tx, *, workflow_id: str, payloads: Payloads, after: tuple[int, str] = (-1, ""), limit: int = 2**62
) -> list[StepInfo] | None:
    run = workflows.run_of(tx, workflow_id=workflow_id)
    if run is None:
        return None
    return steps.listing(tx, run=run, workflow_id=workflow_id, open=payloads.open, after=after, limit=limit)


async def steps_page(app: App, workflow_id: str, limit: int | None, cursor: str | None) -> Page[StepInfo]:
    """Some steps of a run, or without a limit all. Raises WorkflowNotFound, and ValueError for a cursor of nobody's."""
    number, dash, position = ("-1", "-", "") if cursor is None else cursor.partition("-")
    if cursor is not None and (not number.isascii() or not number.isdecimal() or not dash or len(number) > 18):
        raise ValueError(f"{cursor!r} is no cursor; pass the next_cursor of the page before")
    found = await app.store.read(
        _steps,
        workflow_id=workflow_id,
        payloads=app.payloads,
        after=(int(number), check_text(position, "cursor")),
        limit=2**62 if limit is None else limit + 1,
    )
    if found is None:
        raise WorkflowNotFound(workflow_id)
    if limit is None or len(found) <= limit:
        return Page(found, None)
    last = found[limit - 1]
    return Page(found[:limit], f"{last.function_id}-{last.position}")


async def step_output(app: App, workflow_id: str, position: str) -> Any:
    """The output of one step. Raises WorkflowNotFound, and NotFound where nothing is recorded."""
    run = await key_of(app, workflow_id)
    found = await app.store.read(steps.output, run=run, position=position)
    if found is None:
        raise NotFound(kind="step", id=position)
    return None if found[0] is None else plain(app.payloads.open(found[0]))


async def key_of(app: App, workflow_id: str) -> int:
    """The key of a run. Raises WorkflowNotFound."""
    run = await app.store.read(workflows.run_of, workflow_id=workflow_id)
    if run is None:
        raise WorkflowNotFound(workflow_id)
    return run


async def cancel(app: App, workflow_id: str, reason: str | None) -> bool:
    """Cancel a run and its children; False when it was over already. Raises WorkflowNotFound."""
    run = await key_of(app, workflow_id)
    return await app.store.write(
        workflows.cancel, run=run, reason=reason or "cancelled by request", now_ms=app.clock.now_ms()
    )


async def resume(app: App, workflow_id: str) -> bool:
    """Take a run up again that was cancelled, failed, dead-lettered or set aside; whether anything changed.

    Raises WorkflowNotFound, and Deduplicated when its deduplication id is held by another run by now.
    """
    run = await key_of(app, workflow_id)
    changed: bool | Deduplicated = await app.store.write(workflows.resume, run=run, now_ms=app.clock.now_ms())
    return bool(changed)


async def release(app: App, workflow_id: str) -> bool:
    """End the sleep of a run, the pause before a retry, or the delay of its start, now; whether there was any.

    Raises WorkflowNotFound.
    """
    run = await key_of(app, workflow_id)
    return await app.store.write(details.expedite, run=run, now_ms=app.clock.now_ms())


async def delete(app: App, workflow_ids: Sequence[str]) -> int:
    """Remove runs that are over, with all that belongs to them; open and unknown ones are left. Returns how many."""
    runs = [await key_of(app, check_id(workflow_id)) for workflow_id in workflow_ids]
    count = await app.store.write(workflows.delete, runs=runs)
    await products.collect_bytes(app)
    return count
