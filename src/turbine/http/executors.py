"""Processes that carry out runs."""

from __future__ import annotations

import json

from fastapi import APIRouter
from pydantic import Field

from turbine.clock import span_ms, to_datetime
from turbine.http.request_context import Viewing
from turbine.http.schemas import Items, Moment, Schema
from turbine.store import Tx
from turbine.tables import executors, metrics
from turbine.tables.executors import ExecutorRow as Row
from turbine.tables.executors import PastExecutorRow as Gone

router = APIRouter(tags=["executors"])
DEPARTURES_SHOWN = 50


class Executor(Schema):
    """A process that carries out runs."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str
    started_at: Moment
    lease_age: float = Field(description="Seconds since it last said that it lives.")
    alive: bool
    runs_held: int
    names: list[str] = Field(description="The workflows that it knows.")
    threads: int | None = Field(
        description="Threads that carry something out; more than `threads_max` where blocking steps outlast their time."
    )
    threads_max: int | None
    loop_delay: float | None = Field(
        description="Seconds by which its event loop was late, at worst, since the beat before."
    )
    memory_bytes: int | None
    here: bool = Field(description="Whether it is the one that answers.")


class PastExecutor(Schema):
    """An executor that is gone."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str
    started_at: Moment
    left_at: Moment
    taken_by: str | None = Field(description="Who found it dead and set its runs free; null when it left by itself.")
    runs: int = Field(description="How many of its runs went on elsewhere.")


class ExecutorList(Items[Executor]):
    """The processes that are there, and those that went last."""

    past_executors: list[PastExecutor]


@router.get("/executors")
async def listing(context: Viewing) -> ExecutorList:
    """The processes on the roll, the oldest first, and the last fifty that are gone, the newest first.

    Their figures are of the last renewal of their lease.
    """
    app = context.app
    rows, held, gone = await app.store.read(_executor_list)
    lease_ms = span_ms(app.config.lease)
    return ExecutorList(
        items=[
            Executor(
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
        past_executors=[
            PastExecutor(
                executor_id=row.executor_id,
                hostname=row.hostname,
                process_id=row.process_id,
                application_version=row.application_version,
                started_at=to_datetime(row.started_ms),
                left_at=to_datetime(row.left_ms),
                taken_by=row.taken_by,
                runs=row.runs,
            )
            for row in gone
        ],
    )


def _executor_list(tx: Tx) -> tuple[list[Row], dict[str, int], list[Gone]]:
    rows = executors.registered(tx)
    held = metrics.held_runs(tx, executors=[row.executor_id for row in rows])
    return rows, held, executors.past_executors(tx, limit=DEPARTURES_SHOWN)
