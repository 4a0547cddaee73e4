"""Routes of one run: steps, their graph, related runs, waits, messages, values, logs and audit entries."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from turbine.http import logs
from turbine.http.request_context import Viewing
from turbine.http.schemas import Cursor, Json, Limit, json_response
from turbine.ids import check_id
from turbine.model.audit import AuditRecord
from turbine.model.logs import LogRecord
from turbine.model.run_details import Lineage, MessageRecord, StepDetail, StepsTree, ValueRecord, WaitRecord
from turbine.model.workflows import Page
from turbine.queries import run_details
from turbine.queries.run_details import OUTPUT_MAX
from turbine.queries.runs import run_key

router = APIRouter(tags=["runs"])


@router.get("/workflows/{id:key}/steps")
async def list_steps(
    id: str,
    context: Viewing,
    payload_limit: Annotated[int, Query(ge=0, description="Bytes of JSON that an output may have.")] = OUTPUT_MAX,
    limit: Annotated[int | None, Query(ge=1, le=500, description="The most items; without it all.")] = None,
    cursor: Cursor = None,
) -> Page[StepDetail]:
    """The recorded steps of a run with all their attempts, in the order of their first recording."""
    return await run_details.page_steps(context.app, check_id(id), limit=limit, cursor=cursor, output_max=payload_limit)


@router.get("/workflows/{id:key}/steps/{position}/output")
async def get_output(id: str, position: str, context: Viewing) -> Json:
    """The full output of a step."""
    return json_response(await run_details.step_output(context.app, check_id(id), position))


@router.get("/workflows/{id:key}/steps-tree")
async def steps_tree(id: str, context: Viewing) -> StepsTree:
    """The steps of a run as a graph; the last node is its result."""
    return await run_details.steps_tree(context.app, check_id(id))


@router.get("/workflows/{id:key}/family")
async def lineage(id: str, context: Viewing) -> Lineage:
    """The ancestors of a run, and all their descendants."""
    return await run_details.lineage(context.app, check_id(id))


@router.get("/workflows/{id:key}/waits")
async def list_waits(id: str, context: Viewing) -> Page[WaitRecord]:
    """The open waits of a run."""
    return await run_details.list_waits(context.app, check_id(id))


@router.get("/workflows/{id:key}/messages")
async def list_messages(
    id: str,
    context: Viewing,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=0, le=10**18, description="`next_cursor` of the previous page.")] = None,
) -> Page[MessageRecord]:
    """The mailbox of a run, in the order of sending."""
    return await run_details.list_messages(context.app, check_id(id), limit=limit, after=cursor or 0)


@router.get("/workflows/{id:key}/values")
async def list_values(id: str, context: Viewing) -> Page[ValueRecord]:
    """The values that a run has published."""
    return await run_details.list_values(context.app, check_id(id))


@router.get("/workflows/{id:key}/logs")
async def list_logs(
    id: str,
    context: Viewing,
    log_filter: logs.Filtered,
    limit: Limit = 50,
    cursor: Cursor = None,
    ascending: bool = False,
) -> Page[LogRecord]:
    """The log records of a run."""
    await run_key(context.app, check_id(id))
    return await context.rt.logs.look(log_filter, id, limit=limit, cursor=cursor, ascending=ascending)


@router.get("/workflows/{id:key}/audit")
async def list_audit(id: str, context: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Page[AuditRecord]:
    """The audit entries of a run."""
    return await context.rt.audit.list(workflow_id=check_id(id), limit=limit, cursor=cursor)
