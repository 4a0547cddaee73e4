"""Exports: a run with all its records, as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from turbine.clock import to_ms
from turbine.codec import LOOSE
from turbine.engine.app import App
from turbine.engine.payloads import Payloads
from turbine.errors import WorkflowNotFound
from turbine.model import history
from turbine.model.exports import ExportedFailure, ExportedStep, ExportedWait, History
from turbine.model.positions import order
from turbine.store import Tx
from turbine.tables import run_records, steps
from turbine.tables.run_records import StoredRun


async def export(app: App, workflow_id: str) -> History:
    """A run as it is now, all of it from one moment. Raises WorkflowNotFound."""
    read = await app.store.read(_read, workflow_id=workflow_id)
    if read is None:
        raise WorkflowNotFound(workflow_id)
    found, stored_error, recorded = read
    payloads = app.payloads
    status = found.status
    assert found.inputs is not None
    return History(
        workflow_id=workflow_id,
        name=status.name,
        status=str(status.status),
        attempts=status.attempts,
        input=json.loads(payloads.open(found.inputs)),
        output=_value(payloads, found.output),
        error=None if stored_error is None else json.loads(stored_error),
        exported_ms=app.clock.now_ms(),
        steps=tuple(
            _step(payloads, record)
            for record in sorted(recorded.recorded.values(), key=lambda one: order(one.position))
        ),
        waits=tuple(ExportedWait(position, *waiting) for position, waiting in recorded.waits.items()),
        failures=tuple(
            ExportedFailure(position, failure.number, json.loads(failure.error))
            for position, failures in recorded.failures.items()
            for failure in failures
        ),
        created_ms=to_ms(status.created_at),
        started_ms=None if status.started_at is None else to_ms(status.started_at),
        completed_ms=None if status.completed_at is None else to_ms(status.completed_at),
        application_version=status.application_version,
        summary=status.summary,
        loose=tuple(_loose(payloads, found.inputs, recorded)),
    )


def _loose(payloads: Payloads, inputs: str, recorded: history.RunRecords) -> Iterator[str]:
    outputs = {record.position: record.output for record in recorded.recorded.values()}
    for place, stored in {"input": inputs, **outputs}.items():
        if stored is not None and payloads.open(stored).startswith(LOOSE):
            yield place


def _read(tx: Tx, *, workflow_id: str) -> tuple[StoredRun, str | None, history.RunRecords] | None:
    found = run_records.get(tx, workflow_id=workflow_id)
    known = run_records.result(tx, workflow_id=workflow_id)
    if found is None or known is None:
        return None
    _, (_, _, error, _) = known
    return found, error, steps.histories(tx, runs=[found.run])[found.run]


def _step(payloads: Payloads, record: history.Recorded) -> ExportedStep:
    return ExportedStep(
        position=record.position,
        function_id=record.function_id,
        name=record.name,
        kind=int(record.kind),
        output=_value(payloads, record.output),
        error=None if record.error is None else json.loads(record.error),
        child_workflow_id=record.child,
        started_ms=record.started_ms,
        ended_ms=record.ended_ms,
    )


def _value(payloads: Payloads, stored: str | None) -> Any:
    return None if stored is None else json.loads(payloads.open(stored))
