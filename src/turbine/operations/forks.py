"""Forks: a new run that begins where another one was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from turbine.codec import encode_error, loose, payload_type
from turbine.engine.app import App
from turbine.engine.starting import encode_input, prepare
from turbine.errors import WorkflowConflict, WorkflowNotFound
from turbine.model.positions import NOTE, READING, check_position, is_before
from turbine.operations import triggers
from turbine.registry import StartOptions, WorkflowDefinition
from turbine.store import Tx
from turbine.tables import run_forks, run_records, run_starts
from turbine.tables.run_starts import Start, StartedRun


async def fork(
    app: App,
    workflow_id: str,
    from_step: int | str,
    *,
    args: tuple[Any, ...] | None,
    kwargs: dict[str, Any] | None,
    new_id: str | None,
    edits: Mapping[int | str, Any] | None,
    queue: str | None,
) -> str:
    """Start a new run with the recorded steps before `from_step`, some of them edited. Returns its id.

    An edit is another output, or the error that the step shall have failed with; a step that is still under way may get
    one too, and is over then. Values are rebuilt, messages and approvals are not copied, timeouts start anew. Raises
    WorkflowNotFound, ValueError for a negative position or an edit at or after `from_step` (or of a step that is not
    recorded), QueueNotFound, and NotRegistered for other input of a workflow that no process has registered.
    """
    limit = check_position(from_step)
    found = await app.store.read(run_records.get, workflow_id=workflow_id)
    if found is None:
        raise WorkflowNotFound(workflow_id)
    assert found.inputs is not None
    recorded = await app.store.read(run_forks.positions_of, run=found.run)
    before = [
        (position, is_done)
        for position, is_done in recorded
        if _is_copied(position) and is_before(position.removeprefix(READING), limit)
    ]
    edited = _edited(app, edits or {}, limit, {position for position, _ in before})
    changed = {position for position, _, _ in edited}
    kept = [position for position, is_done in before if is_done or position in changed]
    inputs = await _inputs(app, found.status.name, found.inputs, args, kwargs)
    old = found.status
    options = StartOptions(
        id=new_id,
        queue=queue,
        priority=old.priority if queue is not None else 0,
        timeout=old.timeout.total_seconds() if old.timeout is not None else None,
        tags=tuple(old.tags),
    )
    definition = app.registry.get(old.name)
    if definition is None:
        definition = WorkflowDefinition(fn=None, name=old.name, fqn=old.name)
    row = prepare(app, replace(definition, queue=None, tags=()), options, inputs, None)
    # Not carried out by the forking process itself: whoever claims it loads the copied history.
    row = row._replace(
        direct=0,
        attempts=0,
        owed=1,
        started_ms=None,
        status="PENDING" if queue is None else "ENQUEUED",
        deadline_ms=None,
        wake_ms=row.created_ms,
        forked_from=workflow_id,
        summary=old.summary,
    )
    started = await app.store.write(_fork, row=row, source=found.run, positions=kept, edits=edited)
    if not started.is_new:
        await _expect_fork(app, row.id, workflow_id)
    return row.id


def _is_copied(position: str) -> bool:
    # An app status is set anew, as everything that is shown: what it said belongs to the other run.
    return not position.startswith(NOTE) or position.startswith(READING)


async def _expect_fork(app: App, new_id: str, source_id: str) -> None:
    """A second fork under one id joins the first; any other run of that id is in the way."""
    there = await app.store.read(run_records.get, workflow_id=new_id)
    if there is None or there.status.forked_from != source_id:
        raise WorkflowConflict(
            f"The workflow id {new_id!r} is taken by a run that is no fork of {source_id!r}. Use another new_id.",
            workflow_id=new_id,
        )


def _edited(
    app: App, edits: Mapping[int | str, Any], limit: str, recorded: set[str]
) -> list[tuple[str, str | None, str | None]]:
    """The edits as they are stored: (position, output, error)."""
    texts: list[tuple[str, str | None, str | None]] = []
    for key, value in edits.items():
        position = check_position(key)
        if not is_before(position, limit):
            raise ValueError(f"The edit at {position} is not before the first step that runs again ({limit})")
        if position not in recorded:
            raise ValueError(f"There is no recorded step at {position} that could be edited")
        if isinstance(value, Exception):
            texts.append((position, None, encode_error(value)))
            continue
        what = f"the edit at {position}"
        texts.append((position, app.payloads.seal(loose(payload_type(Any).encode(value, what)), what), None))
    return texts


async def _inputs(app: App, name: str, stored: str, args: tuple[Any, ...] | None, kwargs: dict[str, Any] | None) -> str:
    if args is None and kwargs is None:
        return stored
    known = await triggers.find(app, name)
    return encode_input(app, known.definition, tuple(args or ()), dict(kwargs or {}))


def _fork(
    tx: Tx, *, row: Start, source: int, positions: list[str], edits: list[tuple[str, str | None, str | None]]
) -> Any:
    (answer,) = run_starts.start(tx, [row])
    if isinstance(answer, StartedRun) and answer.is_new:
        run_forks.copy_history(
            tx, source=source, target=answer.run, positions=positions, edits=edits, now_ms=row.created_ms
        )
    return answer
