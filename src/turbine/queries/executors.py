"""Executors, registered and past."""

from __future__ import annotations

import json

from turbine.clock import span_ms, to_datetime
from turbine.engine.app import App
from turbine.model.executors import ExecutorList, ExecutorRecord, PastExecutorRecord
from turbine.store import Tx
from turbine.tables import executors, metrics
from turbine.tables.executors import ExecutorRow, PastExecutorRow

PAST_MAX = 50
"""Past executors that are listed."""


async def list_executors(app: App) -> ExecutorList:
    """Lists the registered executors and the last fifty past ones; their numbers are those of the last heartbeat."""
    rows, held, past = await app.store.read(_read)
    lease_ms = span_ms(app.config.lease)
    return ExecutorList(
        [
            ExecutorRecord(
                executor_id=row.executor_id,
                hostname=row.hostname,
                process_id=row.process_id,
                application_version=row.application_version,
                started_at=to_datetime(row.started_ms),
                lease_age=max(0, lease_ms - row.lease_left_ms) / 1000,
                alive=row.lease_left_ms > 0,
                runs_held=held.get(row.executor_id, 0),
                names=json.loads(row.names),
                threads=row.threads,
                threads_max=row.threads_max,
                loop_delay=None if row.loop_delay_ms is None else row.loop_delay_ms / 1000,
                memory_bytes=row.memory_bytes,
                here=row.executor_id == app.executor_id,
            )
            for row in rows
        ],
        [
            PastExecutorRecord(
                executor_id=row.executor_id,
                hostname=row.hostname,
                process_id=row.process_id,
                application_version=row.application_version,
                started_at=to_datetime(row.started_ms),
                left_at=to_datetime(row.left_ms),
                taken_by=row.taken_by,
                runs=row.runs,
            )
            for row in past
        ],
    )


def _read(tx: Tx) -> tuple[list[ExecutorRow], dict[str, int], list[PastExecutorRow]]:
    rows = executors.registered(tx)
    held = metrics.held_runs(tx, executors=[row.executor_id for row in rows])
    return rows, held, executors.past_executors(tx, limit=PAST_MAX)
