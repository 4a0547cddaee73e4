"""Forks: a new run with recorded steps of another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from turbine.codec import encode_error, loose, payload_type
from turbine.engine.app import App
from turbine.engine.starting import encode_input, prepare
from turbine.errors import StepFailed, WorkflowConflict, WorkflowNotFound
from turbine.ids import check_id
from turbine.model.accounts import Actor
from turbine.model.positions import NOTE, READING, check_position, is_before
from turbine.model.workflows import RunChange, WorkflowStatus
from turbine.operations import triggers
from turbine.operations.audit_entries import audit_of
from turbine.queries.runs import get_run
from turbine.registry import StartOptions, WorkflowDefinition
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import run_forks, run_records, run_starts
from turbine.tables.run_records import StoredRun as StoredStatus
from turbine.tables.run_starts import Start, StartedRun

Edit = tuple[str, str | None, str | None]
"""A position, and the output or the error that replaces the record there, as they are stored."""


async def fork_run(
    app: App,
    actor: Actor | None,
    workflow_id: str,
    from_step: int | str,
    *,
    args: tuple[Any, ...] | None = None,
    kwargs: dict[str, Any] | None = None,
    new_id: str | None = None,
    edits: Mapping[Any, Any] | None = None,
    failures: Mapping[str, str] | None = None,
    queue: str | None = None,
) -> RunChange:
    """Starts a new run with the recorded steps before `from_step`, some of them edited, or joins the fork with its id.

    An edit is another output, or an error; `failures` are reasons for which steps have failed. A step under way may be
    edited, too, and is over then. Values are rebuilt, messages and approvals are not copied, timeouts start anew.
    Raises WorkflowNotFound, ValueError for a negative position or an edit at or after `from_step` (or of a step without
    a record), QueueNotFound, and NotRegistered for other input of a workflow that no process has registered.
    """
    until = check_position(from_step)
    stored = await app.store.read(run_records.get, workflow_id=check_id(workflow_id))
    if stored is None:
        raise WorkflowNotFound(workflow_id)
    assert stored.inputs is not None
    failed = {position: StepFailed("Failed by hand", reason) for position, reason in (failures or {}).items()}
    stored_edits, positions = await _edited_steps(app, stored.run, until, {**(edits or {}), **failed})
    inputs = await _inputs(app, stored.status.name, stored.inputs, args, kwargs)
    row = _start_row(app, stored, inputs, None if new_id is None else check_id(new_id), queue)
    started = await app.store.write(
        _write_fork,
        row=row,
        source=stored.run,
        positions=positions,
        edits=stored_edits,
        audit=audit_of(
            app,
            actor,
            "workflow.fork",
            workflow_id,
            workflow_id=workflow_id,
            from_step=from_step,
            new_id=new_id,
            edited=sorted(map(str, edits or {})) or None,
            failed=failures or None,
        ),
    )
    if started.is_new:
        return RunChange(row.id, True, WorkflowStatus(row.status))
    return RunChange(row.id, False, await _status_of_fork(app, row.id, workflow_id))


async def parse_input(app: App, workflow_id: str, value: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments for the input of a fork: `{"args": [...], "kwargs": {...}}`, or by parameter name.

    Raises WorkflowNotFound, NotRegistered, ValidationFailed.
    """
    workflow = await triggers.find(app, (await get_run(app, workflow_id)).name)
    if set(value) <= {"args", "kwargs"}:
        args, kwargs = value.get("args", []), value.get("kwargs", {})
        if isinstance(args, list) and isinstance(kwargs, dict):
            if workflow.parameters is None:
                from pydantic_core import to_json  # `import turbine` does not wait for pydantic

                stored = to_json({"args": args, "kwargs": kwargs}, inf_nan_mode="constants")
                return workflow.definition.signature.decode(stored.decode())
            if value:  # the code that could check it is in another process
                return tuple(cast("list[Any]", args)), cast("dict[str, Any]", kwargs)
    args, kwargs = workflow.accept(value)
    return tuple(args), dict(kwargs)


async def _edited_steps(app: App, run: int, until: str, edits: Mapping[Any, Any]) -> tuple[list[Edit], list[str]]:
    """Returns the edits as they are stored, and the positions that are copied."""
    recorded = {
        position: is_done
        for position, is_done in await app.store.read(run_forks.positions_of, run=run)
        if _is_copied(position) and is_before(position.removeprefix(READING), until)
    }
    stored: list[Edit] = []
    for key, value in edits.items():
        position = check_position(key)
        if not is_before(position, until):
            raise ValueError(f"The edit at {position} is not before the first step that runs again ({until})")
        if position not in recorded:
            raise ValueError(f"There is no recorded step at {position} that could be edited")
        if isinstance(value, Exception):
            stored.append((position, None, encode_error(value)))
            continue
        what = f"the edit at {position}"
        stored.append((position, app.payloads.seal(loose(payload_type(Any).encode(value, what)), what), None))
    edited = {position for position, _, _ in stored}
    return stored, [position for position, is_done in recorded.items() if is_done or position in edited]


def _is_copied(position: str) -> bool:
    # The app status of the other run is not copied: the new run sets its own.
    return not position.startswith(NOTE) or position.startswith(READING)


async def _inputs(app: App, name: str, inputs: str, args: tuple[Any, ...] | None, kwargs: dict[str, Any] | None) -> str:
    if args is None and kwargs is None:
        return inputs
    workflow = await triggers.find(app, name)
    return encode_input(app, workflow.definition, tuple(args or ()), dict(kwargs or {}))


def _start_row(app: App, source: StoredStatus, inputs: str, new_id: str | None, queue: str | None) -> Start:
    old = source.status
    options = StartOptions(
        id=new_id,
        queue=queue,
        priority=old.priority if queue is not None else 0,
        timeout=None if old.timeout is None else old.timeout.total_seconds(),
        tags=tuple(old.tags),
    )
    definition = app.registry.get(old.name) or WorkflowDefinition(fn=None, name=old.name, fqn=old.name)
    row = prepare(app, replace(definition, queue=None, tags=()), options, inputs, None)
    # This process does not execute it directly: the executor that claims it loads the copied history.
    return row._replace(
        direct=0,
        attempts=0,
        owed=1,
        started_ms=None,
        status="PENDING" if queue is None else "ENQUEUED",
        deadline_ms=None,
        wake_ms=row.created_ms,
        forked_from=old.workflow_id,
        summary=old.summary,
    )


def _write_fork(
    tx: Tx, *, row: Start, source: int, positions: list[str], edits: list[Edit], audit: Audit | None
) -> Any:
    (answer,) = run_starts.start(tx, [row])
    if isinstance(answer, StartedRun) and answer.is_new:
        run_forks.copy_history(
            tx, source=source, target=answer.run, positions=positions, edits=edits, now_ms=row.created_ms
        )
        if audit is not None:
            audit(tx)
    return answer


async def _status_of_fork(app: App, new_id: str, source_id: str) -> WorkflowStatus | None:
    """Returns the status of a fork with this id. Raises WorkflowConflict for any other run with it."""
    stored = await app.store.read(run_records.get, workflow_id=new_id)
    if stored is None or stored.status.forked_from != source_id:
        raise WorkflowConflict(
            f"The workflow id {new_id!r} is taken by a run that is not a fork of {source_id!r}. Use another new_id.",
            workflow_id=new_id,
        )
    return stored.status.status
