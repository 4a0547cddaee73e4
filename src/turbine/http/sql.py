"""The console of those who administer: one reading statement at a time."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from turbine.actions import console
from turbine.actions.audit import line_of
from turbine.actions.console import ROWS_MAX, TABLES
from turbine.http.desk import Administering
from turbine.http.shapes import Asked, Json, Shape
from turbine.store.console import TEXT_MAX
from turbine.tables import audit

router = APIRouter(tags=["sql"])


class Statement(Asked):
    """One statement that reads; it has five seconds."""

    query: str = Field(
        max_length=TEXT_MAX, examples=["select status, count(*) from pt_workflow_status group by status"]
    )
    limit: int = Field(default=ROWS_MAX, ge=1, le=ROWS_MAX, description="How many rows are read at most.")


class Rows(Shape):
    """What was found; long values are cut, bytes are only counted."""

    columns: list[str]
    rows: list[list[Json]]
    truncated: bool = Field(description="Whether there are more rows.")
    seconds: float


class Tables(Shape):
    """What may be looked at."""

    tables: list[str]


@router.get("/sql/tables")
async def tables(desk: Administering) -> Tables:
    """The tables that a statement may look at: all but those that hold secrets."""
    return Tables(tables=sorted(TABLES))


@router.post("/sql")
async def ask(asked: Statement, desk: Administering) -> Rows:
    """Run one reading statement; 422 for what may not be asked or takes too long. Each one is noted in the audit."""
    port = desk.port
    # Before it runs: what was tried is noted too.
    text = asked.query.replace("\0", "")
    line = line_of(port.clock.now_ms(), desk.caller, "sql.query", "database", detail={"query": text[:2000]})
    await port.store.write(audit.add, line=line)
    found = await console.ask(port, asked.query, asked.limit)
    return Rows(columns=found.columns, rows=found.rows, truncated=found.is_cut, seconds=found.seconds)
