"""Routes of log records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from turbine.http.request_context import RequestContext, Viewing
from turbine.http.schemas import Cursor, Limit, When
from turbine.model.logs import LogRecord
from turbine.model.workflows import Page

router = APIRouter(tags=["logs"])


@dataclass(frozen=True, slots=True)
class LogFilterRequest:
    """Which records."""

    step: Annotated[str | None, Query(max_length=2000, description="Position of a step.")] = None
    level: Annotated[str | None, Query(max_length=20, description="The lowest level shown.")] = None
    search: Annotated[str | None, Query(max_length=1000)] = None
    after: When | None = None
    before: When | None = None
    ascending: bool = False


Filtered = Annotated[LogFilterRequest, Depends()]


@router.get("/logs")
async def list_logs(
    context: Viewing,
    log_filter: Filtered,
    workflow_id: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[LogRecord]:
    """A page of records, newest first; with a searched text it may be short or empty although there are more."""
    return await page(context, log_filter, workflow_id, limit, cursor)


async def page(
    context: RequestContext, log_filter: LogFilterRequest, workflow_id: str | None, limit: int, cursor: str | None
) -> Page[LogRecord]:
    """Returns a page of the records of one run, or of all."""
    return await context.rt.logs.look(
        workflow_id=workflow_id,
        step=log_filter.step,
        level=log_filter.level,
        search=log_filter.search,
        after=log_filter.after,
        before=log_filter.before,
        ascending=log_filter.ascending,
        limit=limit,
        cursor=cursor,
    )
