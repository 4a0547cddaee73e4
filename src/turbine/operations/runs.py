"""Changes of runs: start, cancel, resume, release, delete; one by one and in bulk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from turbine.clock import to_datetime
from turbine.engine.app import App
from turbine.engine.starting import encode_input, first_claim, prepare
from turbine.errors import Conflict, Deduplicated, ShuttingDown, TurbineError, WorkflowNotFound
from turbine.ids import check_id, check_text
from turbine.model.accounts import Actor
from turbine.model.run_filter import RunFilter
from turbine.model.workflows import TERMINAL, BulkChange, Event, FailedChange, RunChange, WorkflowStatus
from turbine.operations import products
from turbine.operations.audit_entries import audit_of, submit_audited
from turbine.queries.runs import COUNT_MAX, count_runs, list_runs, run_key
from turbine.registry import StartOptions, WorkflowDefinition
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import run_details, run_records, run_starts
from turbine.tables import runs as run_table
from turbine.tables.run_starts import Start, StartedRun

log = logging.getLogger("turbine")

BulkAction = Literal["cancel", "resume", "delete"]
CONCURRENCY = 100
"""Runs of a bulk change that are changed at once."""
_CHANGEABLE: dict[BulkAction, frozenset[WorkflowStatus]] = {
    "cancel": frozenset(WorkflowStatus) - TERMINAL,
    "resume": TERMINAL - {WorkflowStatus.SUCCESS},
    "delete": TERMINAL,
}


async def start_run(
    app: App,
    definition: WorkflowDefinition,
    options: StartOptions,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    audit: Audit | None = None,
) -> tuple[StartedRun, Start]:
    """Starts a run of a registered workflow, or joins the run with its id. Durable when it returns.

    Raises ShuttingDown, TypeError, SerializationError, ValueError, QueueNotFound, WorkflowConflict, Deduplicated;
    in each of these cases no row was written.
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
    write: asyncio.Future[StartedRun] = submit_audited(app, audit, run_starts.start, row, len(inputs))
    # A callback, because a run that was started is executed even if the caller is cancelled meanwhile.
    write.add_done_callback(partial(_execute, app, definition, row))
    if row.direct:
        app.expect(write)
    started = await asyncio.shield(write)
    if not started.is_new and not started.same_input:
        log.warning("Run %s was started before with another input; this input is ignored", row.id)
    return started, row


def _execute(app: App, definition: WorkflowDefinition, row: Start, write: asyncio.Future[StartedRun]) -> None:
    if write.cancelled() or write.exception() is not None:
        return
    started = write.result()
    if started.is_new and app.probe.listeners:
        status = WorkflowStatus(row.status)
        app.probe.tell(Event(f"workflow.{status}", row.id, row.name, status, None, to_datetime(row.created_ms)))
    if started.is_held:
        app.adopt(first_claim(row, started), definition)


async def cancel_run(
    app: App, actor: Actor | None, workflow_id: str, reason: str | None = None, **detail: Any
) -> RunChange:
    """Cancels a run and its children; nothing changes if it is over. `detail` goes into the audit entry.

    Raises WorkflowNotFound.
    """
    reason = check_text(reason, "reason") if reason else None
    return await _change(
        app,
        audit_of(app, actor, "workflow.cancel", workflow_id, workflow_id=workflow_id, reason=reason, **detail),
        workflow_id,
        partial(run_table.cancel, reason=reason or "cancelled by request"),
    )


async def resume_run(app: App, actor: Actor | None, workflow_id: str, **detail: Any) -> RunChange:
    """Resumes a run that was cancelled, failed, dead-lettered or set aside; otherwise nothing changes.

    Raises WorkflowNotFound, and Deduplicated if another run holds its deduplication id by now.
    """
    audit = audit_of(app, actor, "workflow.resume", workflow_id, workflow_id=workflow_id, **detail)
    return await _change(app, audit, workflow_id, run_table.resume)


async def release_run(app: App, actor: Actor | None, workflow_id: str) -> RunChange:
    """Ends the sleep of a run, the pause before a retry, or the delay of its start now. Raises WorkflowNotFound."""
    audit = audit_of(app, actor, "workflow.release", workflow_id, workflow_id=workflow_id)
    return await _change(app, audit, workflow_id, run_details.expedite)


async def _change(
    app: App, audit: Audit | None, workflow_id: str, function: Callable[..., bool | Deduplicated]
) -> RunChange:
    return await app.store.write(
        _write_change,
        workflow_id=check_id(workflow_id),
        change=partial(function, now_ms=app.clock.now_ms()),
        audit=audit,
    )


def _write_change(tx: Tx, *, workflow_id: str, change: Callable[..., bool | Deduplicated], audit: Audit | None) -> Any:
    run = run_table.run_of(tx, workflow_id=workflow_id)
    if run is None:
        return WorkflowNotFound(workflow_id)
    changed = change(tx, run=run)
    if isinstance(changed, Deduplicated):
        return changed
    if changed and audit is not None:
        audit(tx)
    facts = run_records.facts(tx, workflow_id=workflow_id)
    assert facts is not None  # none of these changes deletes it
    return RunChange(workflow_id, changed, WorkflowStatus(facts.status))


async def delete_run(app: App, actor: Actor | None, workflow_id: str, **detail: Any) -> RunChange:
    """Deletes a run that is over, with all that belongs to it. Raises WorkflowNotFound, Conflict for an open run."""
    run = await run_key(app, check_id(workflow_id))
    audit = audit_of(app, actor, "workflow.delete", workflow_id, workflow_id=workflow_id, **detail)
    if not await app.store.write_audited(audit, run_table.delete, runs=[run]):
        raise Conflict(f"Run {workflow_id!r} is still open; cancel it first", workflow_id=workflow_id)
    await products.collect_bytes(app)
    return RunChange(workflow_id, True, None)


async def delete_runs(app: App, workflow_ids: Sequence[str]) -> int:
    """Deletes the runs among these that are over, and returns their number. Raises WorkflowNotFound."""
    runs = [await run_key(app, check_id(workflow_id)) for workflow_id in workflow_ids]
    count = await app.store.write(run_table.delete, runs=runs)
    await products.collect_bytes(app)
    return count


async def change_runs(
    app: App,
    actor: Actor | None,
    action: BulkAction,
    run_filter: RunFilter,
    *,
    reason: str | None = None,
    limit: int = COUNT_MAX,
    cursor: str | None = None,
) -> BulkChange:
    """Cancels, resumes or deletes up to `limit` runs of a filter, beginning at a cursor."""
    matched, done, failed = 0, 0, list[FailedChange]()
    while True:
        size = min(CONCURRENCY, limit - matched)
        page = await list_runs(app, run_filter, limit=size, cursor=cursor, load_output=False)
        changes = await asyncio.gather(
            *(_change_one(app, actor, action, run.workflow_id, reason) for run in page.items)
        )
        matched += len(page.items)
        done += sum(change.changed for change in changes if isinstance(change, RunChange))
        failed += [change for change in changes if isinstance(change, FailedChange)]
        cursor = page.next_cursor
        if cursor is None or matched >= limit:
            return BulkChange(matched, done, cursor is not None, done, failed, cursor)


async def preview_change(app: App, action: BulkAction, run_filter: RunFilter) -> BulkChange:
    """Counts the runs that a bulk change would find, and those among them that it would change."""
    changeable = _CHANGEABLE[action]
    statuses_wanted = list(WorkflowStatus) if run_filter.status is None else run_filter.status
    allowed = [status for status in statuses_wanted if WorkflowStatus(status) in changeable]
    matched = await count_runs(app, run_filter, COUNT_MAX)
    affected = await count_runs(app, replace(run_filter, status=allowed), COUNT_MAX)
    return BulkChange(matched.count, affected.count, matched.capped, done=0)


async def _change_one(
    app: App, actor: Actor | None, action: BulkAction, workflow_id: str, reason: str | None
) -> RunChange | FailedChange:
    try:
        match action:
            case "cancel":
                return await cancel_run(app, actor, workflow_id, reason, bulk=True)
            case "resume":
                return await resume_run(app, actor, workflow_id, bulk=True)
            case "delete":
                return await delete_run(app, actor, workflow_id, bulk=True)
    except TurbineError as error:
        return FailedChange(workflow_id, str(error))
