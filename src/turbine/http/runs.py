"""Routes of runs: lists, one run, and changes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import ConfigDict, Field

from turbine.errors import ValidationFailed
from turbine.http import schemas
from turbine.http.request_context import Deciding, Operating, Viewing
from turbine.http.schemas import Cursor, Json, Limit, RequestSchema, RunDetailResponse, RunResponse, Schema, When
from turbine.ids import check_id, check_name
from turbine.model.run_filter import DURATION_MAX, RunFilter
from turbine.model.workflows import BulkChange, Count, Explanation, Page, RunChange, WorkflowStatus
from turbine.operations import forks, messages, runs, triggers
from turbine.operations.approvals import approve_run
from turbine.operations.runs import BulkAction
from turbine.queries import runs as queries
from turbine.queries.run_details import exceeds

router = APIRouter(tags=["runs"])

Texts = list[Annotated[str, Field(max_length=2000)]]
Duration = Annotated[float, Field(ge=0, le=DURATION_MAX, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilterRequest(RunFilter):
    """Which runs: all given fields must match; a field with several values matches any of them."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    status: Annotated[list[WorkflowStatus] | None, Query()] = None
    name: Annotated[Texts | None, Query()] = None
    executor_id: Annotated[Texts | None, Query()] = None
    version: Annotated[Texts | None, Query()] = None
    ids: Annotated[Texts | None, Query()] = None
    tag: Annotated[Texts | None, Query()] = None
    queue: Annotated[Texts | None, Query()] = None
    parent_id: Annotated[Texts | None, Query()] = None
    created_after: Annotated[When | None, Query()] = None
    created_before: Annotated[When | None, Query()] = None
    search: Annotated[
        str | None, Query(max_length=1000, description="Part of id, name, summary, tags, input or error.")
    ] = None
    fingerprint: Annotated[Texts | None, Query(description="Groups of failures, as in `GET errors`.")] = None
    error_class: Annotated[Texts | None, Query(description="Types of errors, as in `GET errors`.")] = None
    duration_min: Annotated[
        Duration | None, Query(description="The least number of seconds that a finished run took.")
    ] = None
    duration_max: Annotated[
        Duration | None, Query(description="The greatest number of seconds that a finished run took.")
    ] = None


Filtered = Annotated[RunFilterRequest, Depends()]


class CancelRequest(RequestSchema):
    """The reason for cancelling, shown with the run."""

    reason: str | None = Field(default=None, max_length=2000)


class ApproveRequest(RequestSchema):
    """A decision on an approval; without `approval_id` on the run's only open one."""

    approved: bool
    comment: str = Field(default="", max_length=10_000)
    data: Json = None
    approval_id: str | None = None


class ForkRequest(RequestSchema):
    """A new run that begins with the recorded steps before a position."""

    from_step: int | str = Field(default=0, examples=[3])
    input: dict[str, Any] | None = Field(
        default=None,
        description='Another input: `{"args": [...], "kwargs": {...}}`, or an object by parameter name.',
    )
    edits: dict[str, Any] | None = Field(
        default=None, description="Other outputs of recorded steps, by position; a step under way is over with one."
    )
    failures: dict[str, Annotated[str, Field(min_length=1, max_length=2000)]] | None = Field(
        default=None,
        description="Recorded steps that are to have failed, by position, with the reason.",
        examples=[{"3": "the bank refused it by telephone"}],
    )
    new_id: str | None = None
    queue: str | None = None


class SendRequest(RequestSchema):
    """A message for the run's mailbox."""

    topic: str = ""
    message: Json = None


class BulkRequest(RequestSchema):
    """One change of many runs; `ids` or `filter` says which."""

    action: BulkAction
    filter: RunFilterRequest | None = None
    ids: list[str] | None = Field(default=None, max_length=queries.COUNT_MAX)
    dry_run: bool = Field(default=False, description="Only count; nothing changes.")
    reason: str | None = Field(default=None, max_length=2000)
    limit: int = Field(default=queries.COUNT_MAX, ge=1, le=queries.COUNT_MAX)
    cursor: str | None = Field(
        default=None, max_length=400, description="`next_cursor` of the previous answer: continue there."
    )


class TriggerRequest(RequestSchema):
    """A workflow and its input: an object by parameter name, or the bare value of the only parameter."""

    name: str | None = None
    workflow_fqn: str | None = None
    input: Json = None
    id: str | None = None
    queue: str | None = None
    delay: float | None = Field(default=None, ge=0, le=10**9, allow_inf_nan=False, description="Seconds.")
    tags: list[str] | None = None
    priority: int = Field(default=0, ge=0, le=2**31)


class TriggerResponse(Schema):
    """The run that was started."""

    workflow_id: str


@router.get("/workflows")
async def list_runs(
    context: Viewing, run_filter: Filtered, limit: Limit = 50, cursor: Cursor = None, ascending: bool = False
) -> Page[RunResponse]:
    """A page of runs, newest first."""
    page = await queries.list_runs(
        context.app, run_filter, limit=limit, cursor=cursor, ascending=ascending, load_output=False
    )
    return Page([schemas.run_response(run) for run in page.items], page.next_cursor)


@router.get("/workflows/count")
async def count_runs(context: Viewing, run_filter: Filtered) -> Count:
    """The number of runs that match a filter, up to ten thousand; with a searched text up to a thousand."""
    return await queries.count_runs(context.app, run_filter)


@router.post("/workflows/bulk")
async def change_runs(request: BulkRequest, context: Operating) -> BulkChange:
    """Cancel, resume or delete many runs; with `dry_run` only count them."""
    if (request.filter is None) == (request.ids is None):
        raise ValidationFailed("Say which runs: either `ids` or `filter`")
    run_filter = request.filter or RunFilter(ids=request.ids)
    if request.dry_run:
        return await runs.preview_change(context.app, request.action, run_filter)
    return await runs.change_runs(
        context.app,
        context.principal,
        request.action,
        run_filter,
        reason=request.reason,
        limit=request.limit,
        cursor=request.cursor,
    )


@router.post("/trigger", status_code=201)
async def trigger(request: TriggerRequest, context: Operating) -> TriggerResponse:
    """Start a workflow that is declared triggerable. The input is validated first; invalid input starts nothing."""
    name = request.name or request.workflow_fqn
    if not name:
        raise ValidationFailed(
            errors=[{"path": ["name"], "message": "Give a workflow as name or workflow_fqn", "type": "missing"}]
        )
    workflow_id = await context.in_loop(
        lambda: triggers.trigger_workflow(
            context.app,
            context.principal,
            check_name(name, "workflow name"),
            request.input,
            id=None if request.id is None else check_id(request.id),
            queue=request.queue,
            delay=request.delay,
            priority=request.priority,
            tags=request.tags,
        )
    )
    return TriggerResponse(workflow_id=workflow_id)


@router.get("/workflows/{id:key}")
async def get_run(
    id: str,
    context: Viewing,
    payload_limit: Annotated[
        int | None, Query(ge=0, description="Bytes of JSON that input and output may have.")
    ] = None,
) -> RunDetailResponse:
    """A run with its input and output."""
    run = schemas.run_detail_response(await context.rt.status(id))
    if payload_limit is not None:
        if exceeds(run.input, payload_limit):
            run.input, run.input_truncated = None, True
        if exceeds(run.output, payload_limit):
            run.output, run.output_truncated = None, True
    return run


@router.get("/workflows/{id:key}/input")
async def get_input(id: str, context: Viewing) -> Json:
    """The full input of a run."""
    return schemas.json_response((await context.rt.status(id)).input)


@router.get("/workflows/{id:key}/output")
async def get_output(id: str, context: Viewing) -> Json:
    """The full output of a run."""
    return schemas.json_response((await context.rt.status(id)).output)


@router.get("/workflows/{id:key}/explain")
async def explain(id: str, context: Viewing) -> Explanation:
    """Why a run is not moving, and what would release it."""
    return await context.rt.explain(id)


@router.get("/workflows/{id:key}/export")
async def export(id: str, context: Viewing) -> Json:
    """The run with all its records, as a file."""
    history = await context.rt.export(id)
    name = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in id)[:100]
    return Response(
        json.dumps(json.loads(history.to_json()), indent=1),
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="run-{name}.json"'},
    )


@router.post("/workflows/{id:key}/cancel")
async def cancel(id: str, context: Operating, request: CancelRequest | None = None) -> RunChange:
    """Cancel a run and its children; nothing changes if it is over."""
    return await runs.cancel_run(context.app, context.principal, id, request.reason if request else None)


@router.post("/workflows/{id:key}/resume")
async def resume(id: str, context: Operating) -> RunChange:
    """Resume a run that was cancelled, failed, dead-lettered or set aside."""
    return await runs.resume_run(context.app, context.principal, id)


@router.post("/workflows/{id:key}/approve")
async def approve(id: str, request: ApproveRequest, context: Deciding) -> RunChange:
    """Decide an approval of a run. Approvers decide those that are assigned to them or to no one."""
    return await approve_run(
        context.app,
        context.principal,
        id,
        request.approved,
        request.comment,
        by=context.principal.name,
        data=request.data,
        approval_id=request.approval_id,
        only_as=context.only_as,
    )


@router.post("/workflows/{id:key}/fork")
async def fork(id: str, request: ForkRequest, context: Operating) -> RunChange:
    """Start a new run with recorded steps of this one, optionally with edited steps and another input."""
    try:
        args, kwargs = (
            (None, None) if request.input is None else await forks.parse_input(context.app, id, request.input)
        )
        return await forks.fork_run(
            context.app,
            context.principal,
            id,
            request.from_step,
            args=args,
            kwargs=kwargs,
            new_id=request.new_id,
            edits=request.edits,
            failures=request.failures,
            queue=request.queue,
        )
    except TypeError as error:  # arguments that the workflow does not take
        raise ValidationFailed(
            str(error), errors=[{"path": ["input"], "message": str(error), "type": "type"}]
        ) from None


@router.post("/workflows/{id:key}/send")
async def send(id: str, request: SendRequest, context: Operating) -> RunChange:
    """Put a message into the run's mailbox."""
    await messages.send_message(context.app, context.principal, id, request.message, request.topic)
    return RunChange(id, True, await queries.run_status(context.app, id))


@router.post("/workflows/{id:key}/release")
async def release(id: str, context: Operating) -> RunChange:
    """End the sleep of a run, the pause before a retry, or the delay of its start now, wherever it is executed."""
    return await runs.release_run(context.app, context.principal, id)


@router.delete("/workflows/{id:key}")
async def delete(id: str, context: Operating) -> RunChange:
    """Delete a run that is over, with everything that belongs to it."""
    return await runs.delete_run(context.app, context.principal, id)
