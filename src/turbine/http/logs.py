"""Routes of log records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from turbine.http.request_context import Viewing
from turbine.http.schemas import Cursor, Limit, When
from turbine.model.logs import LogQuery, LogRecord
from turbine.model.workflows import Page

router = APIRouter(tags=["logs"])


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilterRequest(LogQuery):
    """Which records: all given fields must match."""

    step: Annotated[str | None, Query(max_length=2000, description="Position of a step.")] = None
    level: Annotated[str | None, Query(max_length=20, description="The lowest level shown.")] = None
    search: Annotated[str | None, Query(max_length=1000)] = None
    after: When | None = None
    before: When | None = None


Filtered = Annotated[LogFilterRequest, Depends()]


@router.get("/logs")
async def list_logs(
    context: Viewing,
    log_filter: Filtered,
    workflow_id: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    ascending: bool = False,
) -> Page[LogRecord]:
    """A page of records, newest first; with a searched text it may be short or empty although there are more."""
    return await context.rt.logs.look(log_filter, workflow_id, limit=limit, cursor=cursor, ascending=ascending)
