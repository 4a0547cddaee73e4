"""Exports: a run with all its records, as plain data."""

from __future__ import annotations

import json
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
from turbine.tables.run_records import StoredRun as StoredStatus


async def export_run(app: App, workflow_id: str) -> History:
    """Exports a run with all records of one moment. Raises WorkflowNotFound."""
    rows = await app.store.read(_read, workflow_id=workflow_id)
    if rows is None:
        raise WorkflowNotFound(workflow_id)
    stored, error, records = rows
    payloads = app.payloads
    status = stored.status
    assert stored.inputs is not None
    steps_recorded = sorted(records.recorded.values(), key=lambda record: order(record.position))
    texts = {"input": stored.inputs, **{record.position: record.output for record in records.recorded.values()}}
    return History(
        workflow_id=workflow_id,
        name=status.name,
        status=str(status.status),
        attempts=status.attempts,
        input=json.loads(payloads.open(stored.inputs)),
        output=_value(payloads, stored.output),
        error=None if error is None else json.loads(error),
        exported_ms=app.clock.now_ms(),
        steps=tuple(_step(payloads, record) for record in steps_recorded),
        waits=tuple(ExportedWait(position, *wait) for position, wait in records.waits.items()),
        failures=tuple(
            ExportedFailure(position, failure.number, json.loads(failure.error))
            for position, failures in records.failures.items()
            for failure in failures
        ),
        created_ms=to_ms(status.created_at),
        started_ms=None if status.started_at is None else to_ms(status.started_at),
        completed_ms=None if status.completed_at is None else to_ms(status.completed_at),
        application_version=status.application_version,
        summary=status.summary,
        loose=tuple(
            place for place, text in texts.items() if text is not None and payloads.open(text).startswith(LOOSE)
        ),
    )


def _read(tx: Tx, *, workflow_id: str) -> tuple[StoredStatus, str | None, history.RunRecords] | None:
    stored = run_records.get(tx, workflow_id=workflow_id)
    outcome = run_records.result(tx, workflow_id=workflow_id)
    if stored is None or outcome is None:
        return None
    _, (_, _, error, _) = outcome
    return stored, error, steps.histories(tx, runs=[stored.run])[stored.run]


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


def _value(payloads: Payloads, text: str | None) -> Any:
    return None if text is None else json.loads(payloads.open(text))
