"""Processes that carry out runs."""

from __future__ import annotations

import json

from fastapi import APIRouter
from pydantic import Field

from turbine.clock import span_ms, to_datetime
from turbine.http.desk import Viewing
from turbine.http.shapes import Items, Moment, Shape
from turbine.store import Tx
from turbine.tables import executors, figures
from turbine.tables.executors import Executor as Row

router = APIRouter(tags=["executors"])


class Executor(Shape):
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
    here: bool = Field(description="Whether it is the one that answers.")


@router.get("/executors")
async def listing(desk: Viewing) -> Items[Executor]:
    """The processes on the roll, the oldest first."""
    port = desk.port
    rows, held = await port.store.read(_roll)
    lease_ms = span_ms(port.config.lease)
    return Items(
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
                here=row.executor_id == port.executor_id,
            )
            for row in rows
        ]
    )


def _roll(tx: Tx) -> tuple[list[Row], dict[str, int]]:
    rows = executors.roll(tx)
    return rows, figures.held(tx, executors=[row.executor_id for row in rows])
