"""The SQL console of administrators: one read-only statement at a time."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from turbine.http.request_context import Administering
from turbine.http.schemas import Json, RequestSchema, Schema
from turbine.operations.console import ROWS_MAX, TABLES, TEXT_MAX, run_query

router = APIRouter(tags=["sql"])


class QueryRequest(RequestSchema):
    """One read-only statement; it has five seconds."""

    query: str = Field(max_length=TEXT_MAX, examples=["select status, count(*) from pt_runs group by status"])
    limit: int = Field(default=ROWS_MAX, ge=1, le=ROWS_MAX, description="How many rows are read at most.")


class QueryResponse(Schema):
    """The rows of a statement; long values are cut, bytes are only counted."""

    columns: list[str]
    rows: list[list[Json]]
    truncated: bool = Field(description="Whether there are more rows.")
    seconds: float


class TablesResponse(Schema):
    """The tables that may be read."""

    tables: list[str]


@router.get("/sql/tables")
async def list_tables(context: Administering) -> TablesResponse:
    """The tables that a statement may read: all but those that hold secrets."""
    return TablesResponse(tables=sorted(TABLES))


@router.post("/sql")
async def query(request: QueryRequest, context: Administering) -> QueryResponse:
    """Run one read-only statement; 422 for one that is not allowed or takes too long. Each one is in the audit log."""
    result = await run_query(context.app, request.query, request.limit, actor=context.principal)
    return QueryResponse(columns=result.columns, rows=result.rows, truncated=result.is_cut, seconds=result.seconds)
