"""The console of those who administer: one reading statement at a time."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from turbine.http.request_context import Administering
from turbine.http.schemas import Json, RequestSchema, Schema
from turbine.operations import console
from turbine.operations.audit import line_of
from turbine.operations.console import ROWS_MAX, TABLES
from turbine.store.console import TEXT_MAX
from turbine.tables import audit

router = APIRouter(tags=["sql"])


class Statement(RequestSchema):
    """One statement that reads; it has five seconds."""

    query: str = Field(max_length=TEXT_MAX, examples=["select status, count(*) from pt_runs group by status"])
    limit: int = Field(default=ROWS_MAX, ge=1, le=ROWS_MAX, description="How many rows are read at most.")


class Rows(Schema):
    """What was found; long values are cut, bytes are only counted."""

    columns: list[str]
    rows: list[list[Json]]
    truncated: bool = Field(description="Whether there are more rows.")
    seconds: float


class Tables(Schema):
    """What may be looked at."""

    tables: list[str]


@router.get("/sql/tables")
async def tables(context: Administering) -> Tables:
    """The tables that a statement may look at: all but those that hold secrets."""
    return Tables(tables=sorted(TABLES))


@router.post("/sql")
async def ask(asked: Statement, context: Administering) -> Rows:
    """Run one reading statement; 422 for what may not be asked or takes too long. Each one is noted in the audit."""
    app = context.app
    # Before it runs: what was tried is noted too.
    text = asked.query.replace("\0", "")
    line = line_of(app.clock.now_ms(), context.principal, "sql.query", "database", detail={"query": text[:2000]})
    await app.store.write(audit.add, line=line)
    found = await console.ask(app, asked.query, asked.limit)
    return Rows(columns=found.columns, rows=found.rows, truncated=found.is_cut, seconds=found.seconds)
