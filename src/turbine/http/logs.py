"""What bodies and steps have logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from turbine.http.request_context import RequestContext, Viewing
from turbine.http.schemas import Cursor, Items, Limit, Moment, Schema, When

router = APIRouter(tags=["logs"])


class Log(Schema):
    """A log record."""

    id: str
    at: Moment
    level: str
    logger: str
    message: str
    workflow_id: str | None
    step: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Filters:
    """Which records."""

    step: Annotated[str | None, Query(max_length=2000, description="Position of a step.")] = None
    level: Annotated[str | None, Query(max_length=20, description="The lowest level shown.")] = None
    search: Annotated[str | None, Query(max_length=1000)] = None
    after: When | None = None
    before: When | None = None
    ascending: bool = False


RequestSchema = Annotated[Filters, Depends()]


@router.get("/logs")
async def listing(
    context: Viewing,
    asked: RequestSchema,
    workflow_id: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Log]:
    """A page of records, newest first. One of a search over all runs may be short, or empty, though there are more."""
    return await page(context, asked, workflow_id, limit, cursor)


async def page(
    context: RequestContext, asked: Filters, workflow_id: str | None, limit: int, cursor: str | None
) -> Items[Log]:
    """The same for one run, or all."""
    found = await context.rt.logs.look(
        workflow_id=workflow_id,
        step=asked.step,
        level=asked.level,
        search=asked.search,
        after=asked.after,
        before=asked.before,
        ascending=asked.ascending,
        limit=limit,
        cursor=cursor,
    )
    return Items[Log].model_validate(found)
