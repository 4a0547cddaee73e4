"""One run from the inside: steps, their graph, related runs, waits, messages and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from turbine.clock import to_datetime
from turbine.codec import json_value
from turbine.engine.app import App
from turbine.engine.payloads import Payloads
from turbine.errors import NotFound, WorkflowNotFound
from turbine.ids import check_text
from turbine.model.pages import cut_page, invalid_cursor
from turbine.model.records import extended
from turbine.model.run_details import (
    KindName,
    Lineage,
    MessageRecord,
    RelatedRun,
    StepDetail,
    StepsTree,
    ValueRecord,
    WaitRecord,
)
from turbine.model.steps import Kind, ProcessRecord, StepAttempt, StepInfo
from turbine.model.workflows import Page, WorkflowStatus
from turbine.queries.steps_tree import NODES_MAX, build_tree
from turbine.store import Tx
from turbine.tables import messages, run_details, run_records, runs, steps, waits
from turbine.tables.run_details import StepDetails

OUTPUT_MAX = 64 * 1024
"""Bytes of JSON that an output in a list of steps may have."""
_FIRST = (-1, "")
_ALL = 2**62
_KINDS: dict[int, KindName] = {
    Kind.STEP: "step",
    Kind.WAIT: "wait",
    Kind.CHILD: "child",
    Kind.UNCHECKED: "step",
    Kind.MARK: "mark",
}

R = TypeVar("R")


async def list_steps(app: App, workflow_id: str) -> list[StepInfo]:
    """Returns the recorded steps of a run in the order of their first recording. Raises WorkflowNotFound."""
    return await _read_run(app, workflow_id, _steps, workflow_id=workflow_id, payloads=app.payloads)


async def page_steps(
    app: App, workflow_id: str, *, limit: int | None = None, cursor: str | None = None, output_max: int = OUTPUT_MAX
) -> Page[StepDetail]:
    """Returns a page of the steps of a run with all their attempts, without a limit all of them.

    Raises WorkflowNotFound, ValueError for a wrong cursor.
    """
    size = _ALL if limit is None else limit
    rows, facts = await _read_run(
        app,
        workflow_id,
        _steps_with_details,
        workflow_id=workflow_id,
        payloads=app.payloads,
        after=_step_cursor(cursor),
        limit=size + 1,
    )
    return cut_page(
        rows,
        size,
        lambda step: f"{step.function_id}-{step.position}",
        lambda step: _step_detail(step, facts, output_max),
    )


async def steps_tree(app: App, workflow_id: str) -> StepsTree:
    """Returns the steps of a run as a graph. Raises WorkflowNotFound."""
    status, error, rows, facts = await _read_run(
        app, workflow_id, _tree_rows, workflow_id=workflow_id, payloads=app.payloads
    )
    shown = [replace(step, output=None) if exceeds(step.output, OUTPUT_MAX) else step for step in rows]
    return build_tree(status, error, shown, facts.kinds, facts.follows)


async def step_output(app: App, workflow_id: str, position: str) -> Any:
    """Returns the output of a step. Raises WorkflowNotFound, NotFound for a position without a record."""
    row = await _read_run(app, workflow_id, steps.output, position=check_text(position, "position"))
    if row is None:
        raise NotFound(kind="step", id=position)
    return None if row[0] is None else json_value(app.payloads.open(row[0]))


async def lineage(app: App, workflow_id: str) -> Lineage:
    """Returns the ancestors of a run and all their descendants. Raises WorkflowNotFound."""
    members = await _read_run(app, workflow_id, run_details.lineage)
    return Lineage(
        members[0].id,
        [
            RelatedRun(
                workflow_id=member.id,
                name=member.name,
                status=WorkflowStatus(member.status),
                parent_workflow_id=member.parent_id,
                position=member.position,
                created_at=to_datetime(member.created_ms),
                completed_at=None if member.completed_ms is None else to_datetime(member.completed_ms),
            )
            for member in members
        ],
    )


async def list_waits(app: App, workflow_id: str) -> Page[WaitRecord]:
    """Returns the open waits of a run. Raises WorkflowNotFound."""
    rows = await _read_run(app, workflow_id, waits.open_waits)
    return Page(
        [
            WaitRecord(
                position,
                kind,
                subject,
                to_datetime(since_ms),
                None if deadline_ms is None else to_datetime(deadline_ms),
            )
            for position, kind, subject, since_ms, deadline_ms in rows
        ]
    )


async def list_messages(app: App, workflow_id: str, *, limit: int, after: int) -> Page[MessageRecord]:
    """Returns a page of the mailbox of a run, in the order of sending. Raises WorkflowNotFound."""
    rows = await _read_run(app, workflow_id, run_details.messages, after=after, limit=limit + 1)
    return cut_page(
        rows,
        limit,
        lambda row: row[0],
        lambda row: MessageRecord(row[1], json_value(app.payloads.open(row[2])), to_datetime(row[3]), row[4]),
    )


async def list_values(app: App, workflow_id: str) -> Page[ValueRecord]:
    """Returns the values that a run has published. Raises WorkflowNotFound."""
    rows = await _read_run(app, workflow_id, run_details.values)
    return Page(
        [
            ValueRecord(key, json_value(app.payloads.open(text)), to_datetime(updated_ms))
            for key, text, updated_ms in rows
        ]
    )


async def get_values(app: App, workflow_id: str) -> dict[str, Any]:
    """Returns the values that a run has published, by key. Raises WorkflowNotFound."""
    texts = await _read_run(app, workflow_id, messages.values)
    return {key: json_value(app.payloads.open(text)) for key, text in texts.items()}


async def _read_run(app: App, workflow_id: str, function: Callable[..., R], /, **arguments: Any) -> R:
    """Calls a function with the key of a run, in the snapshot in which the key was found."""

    def read(tx: Tx) -> tuple[R] | None:
        run = runs.run_of(tx, workflow_id=workflow_id)
        return None if run is None else (function(tx, run=run, **arguments),)

    rows = await app.store.read(read)
    if rows is None:
        raise WorkflowNotFound(workflow_id)
    return rows[0]


def _steps(
    tx: Tx,
    *,
    run: int,
    workflow_id: str,
    payloads: Payloads,
    after: tuple[int, str] = _FIRST,
    limit: int = _ALL,
) -> list[StepInfo]:
    return steps.listing(tx, run=run, workflow_id=workflow_id, open=payloads.open, after=after, limit=limit)


def _steps_with_details(tx: Tx, *, run: int, **arguments: Any) -> tuple[list[StepInfo], StepDetails]:
    rows = _steps(tx, run=run, **arguments)
    return rows, _step_facts(tx, run, rows)


def _step_facts(tx: Tx, run: int, rows: Sequence[StepInfo]) -> StepDetails:
    children = [step.child_workflow_id for step in rows if step.child_workflow_id is not None]
    return run_details.step_details(tx, run=run, positions=[step.position for step in rows], children=children)


def _tree_rows(
    tx: Tx, *, run: int, workflow_id: str, payloads: Payloads
) -> tuple[WorkflowStatus, str | None, list[StepInfo], StepDetails]:
    stored = run_records.get(tx, workflow_id=workflow_id)
    assert stored is not None  # its key was found in this snapshot
    rows = _steps(tx, run=run, workflow_id=workflow_id, payloads=payloads, limit=NODES_MAX + 1)
    return stored.status.status, stored.status.error, rows, _step_facts(tx, run, rows)


def _step_cursor(cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return _FIRST
    number, dash, position = cursor.partition("-")
    if not number.isascii() or not number.isdecimal() or not dash or len(number) > 18:
        raise invalid_cursor(cursor)
    return int(number), check_text(position, "cursor")


def _step_detail(step: StepInfo, facts: StepDetails, output_max: int) -> StepDetail:
    is_long = exceeds(step.output, output_max)
    child_status = facts.child_statuses.get(step.child_workflow_id or "")
    return extended(
        StepDetail,
        replace(
            step,
            output=None if is_long else step.output,
            attempts=[_with_process(step, attempt, facts) for attempt in step.attempts],
        ),
        kind=_KINDS.get(facts.kinds.get(step.position, Kind.STEP), "step"),
        output_truncated=is_long,
        child_status=None if child_status is None else WorkflowStatus(child_status),
    )


def _with_process(step: StepInfo, attempt: StepAttempt, facts: StepDetails) -> StepAttempt:
    is_last = attempt is step.attempts[-1]
    incarnation = facts.incarnation(step.position, attempt.number, is_last=is_last)
    return replace(
        attempt,
        traceback=facts.traceback(step.position, attempt.number, is_last=is_last),
        process=None if incarnation is None else ProcessRecord(**incarnation._asdict()),
    )


def exceeds(value: Any, size: int) -> bool:
    """Whether a payload is longer than so many bytes of JSON."""
    from pydantic_core import to_json  # `import turbine` does not wait for pydantic

    return value is not None and len(to_json(value, inf_nan_mode="constants")) > size
