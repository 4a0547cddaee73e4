"""Routes of failures: runs that failed in the same way, together."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from turbine.http.request_context import Operating, Viewing
from turbine.http.schemas import Cursor, Limit, RequestSchema, When
from turbine.model.failures import FailureGroup
from turbine.model.workflows import Page
from turbine.operations.failures import Failures

router = APIRouter(tags=["errors"])


class MarkRequest(RequestSchema):
    """The new state: a resolved group opens when it is seen again, an ignored one stays ignored."""

    state: Literal["open", "resolved", "ignored"]


@router.get("/errors")
async def list_failures(
    context: Viewing,
    state: Literal["open", "resolved", "ignored", "all"] = "open",
    from_: Annotated[When | None, Query(alias="from")] = None,
    to: When | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[FailureGroup]:
    """A page of groups of failures last seen in a span of time, the latest first."""
    return await context.rt.failures.list(
        state=None if state == "all" else state, after=from_, before=to, limit=limit, cursor=cursor
    )


@router.get("/errors/{fingerprint:key}")
async def get_failure(fingerprint: str, context: Viewing) -> FailureGroup:
    """A group of failures."""
    return await context.rt.failures.get(fingerprint)


@router.put("/errors/{fingerprint:key}/state")
async def mark(fingerprint: str, request: MarkRequest, context: Operating) -> FailureGroup:
    """Resolve, ignore or reopen a group of failures. `POST workflows/bulk` resumes its runs."""
    return await context.acting(Failures).mark(fingerprint, request.state, by=context.principal.name)
