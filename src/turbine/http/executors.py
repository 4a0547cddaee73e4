"""Routes of executors."""

from __future__ import annotations

from fastapi import APIRouter

from turbine.http.request_context import Viewing
from turbine.model.executors import ExecutorList
from turbine.queries.executors import list_executors

router = APIRouter(tags=["executors"])


@router.get("/executors")
async def listing(context: Viewing) -> ExecutorList:
    """The registered executors, the oldest first, and the last fifty past ones, the newest first.

    Their numbers are those of the last heartbeat.
    """
    return await list_executors(context.app)
