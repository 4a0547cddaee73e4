"""Runs: lists, one run, and what people do to them."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field
from pydantic_core import to_json

from turbine.engine.app import App
from turbine.errors import Conflict, NotFound, StepFailed, TurbineError, ValidationFailed
from turbine.http import schemas
from turbine.http.request_context import Deciding, Operating, RequestContext, Viewing
from turbine.http.schemas import (
    Acted,
    Count,
    Cursor,
    Items,
    Json,
    Limit,
    Moment,
    RequestSchema,
    Run,
    RunRow,
    Schema,
    When,
)
from turbine.ids import check_id, check_name, check_text, new_id
from turbine.model.workflows import TERMINAL, Page, Status, WorkflowStatus
from turbine.operations import forks, runs, talk, triggers
from turbine.operations.approvals import Approvals
from turbine.tables.run_search import RunFilter

router = APIRouter(tags=["runs"])

COUNT_MAX = 10_000
SEARCHED_MAX = 1000
"""Up to here runs with a text are counted: each of them is looked at."""
BULK_AT_ONCE = 100
Texts = list[Annotated[str, Field(max_length=2000)]]
Length = Annotated[float, Field(ge=0, le=runs.LENGTH_MAX, allow_inf_nan=False)]


class Wanted(RequestSchema):
    """Which runs; everything that is given must hold, and of several values of one field any."""

    status: list[Annotated[WorkflowStatus, Field(strict=False)]] | None = None
    name: Texts | None = None
    executor_id: Texts | None = None
    version: Texts | None = None
    tag: Texts | None = None
    queue: Texts | None = None
    parent_id: Texts | None = None
    ids: Texts | None = None
    created_after: When | None = Field(default=None, strict=False)
    created_before: When | None = Field(default=None, strict=False)
    search: str | None = Field(
        default=None, max_length=1000, description="Part of id, name, summary, tags, input or error."
    )
    fingerprint: Texts | None = Field(default=None, description="Kinds of failures, as `GET errors` tells them.")
    error_class: Texts | None = Field(default=None, description="Types of errors, as `GET errors` tells them.")
    duration_min: Length | None = Field(default=None, description="Seconds that a run which is over took at least.")
    duration_max: Length | None = Field(default=None, description="Seconds that a run which is over took at most.")

    def filter(self) -> RunFilter:
        """The same for the database. Raises ValueError."""
        return runs.filter_of(**self.model_dump())


def asked_for(
    status: Annotated[list[WorkflowStatus] | None, Query()] = None,
    name: Annotated[Texts | None, Query()] = None,
    executor_id: Annotated[Texts | None, Query()] = None,
    version: Annotated[Texts | None, Query()] = None,
    tag: Annotated[Texts | None, Query()] = None,
    queue: Annotated[Texts | None, Query()] = None,
    parent_id: Annotated[Texts | None, Query()] = None,
    ids: Annotated[Texts | None, Query()] = None,
    created_after: When | None = None,
    created_before: When | None = None,
    search: Annotated[str | None, Query(max_length=1000)] = None,
    fingerprint: Annotated[Texts | None, Query()] = None,
    error_class: Annotated[Texts | None, Query()] = None,
    duration_min: Length | None = None,
    duration_max: Length | None = None,
) -> Wanted:
    """The filters in a query; each may be given several times."""
    return Wanted(
        status=status,
        name=name,
        executor_id=executor_id,
        version=version,
        tag=tag,
        queue=queue,
        parent_id=parent_id,
        ids=ids,
        created_after=created_after,
        created_before=created_before,
        search=search,
        fingerprint=fingerprint,
        error_class=error_class,
        duration_min=duration_min,
        duration_max=duration_max,
    )


Filtered = Annotated[Wanted, Depends(asked_for)]


class Cancel(RequestSchema):
    """Why; shown with the run."""

    reason: str | None = Field(default=None, max_length=2000)


class Approve(RequestSchema):
    """A decision about a gate; without `approval_id` about the run's only open one."""

    approved: bool
    comment: str = Field(default="", max_length=10_000)
    data: Json = None
    approval_id: str | None = None


class Fork(RequestSchema):
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
        description="Reasons for which recorded steps, by position, shall have failed.",
        examples=[{"3": "the bank has refused it by telephone"}],
    )
    new_id: str | None = None
    queue: str | None = None


class Send(RequestSchema):
    """A message for the run's mailbox."""

    topic: str = ""
    message: Json = None


class Bulk(RequestSchema):
    """One act on many runs; `ids` or `filter` says which."""

    action: Literal["cancel", "resume", "delete"]
    filter: Wanted | None = None
    ids: list[str] | None = Field(default=None, max_length=COUNT_MAX)
    dry_run: bool = Field(default=False, description="Count only; nothing changes.")
    reason: str | None = Field(default=None, max_length=2000)
    limit: int = Field(default=COUNT_MAX, ge=1, le=COUNT_MAX)
    cursor: str | None = Field(
        default=None, max_length=400, description="`next_cursor` of the answer before: go on from there."
    )


class Failed(Schema):
    """A run that could not be acted on."""

    workflow_id: str
    detail: str


class BulkDone(Schema):
    """What became of a bulk act."""

    matched: int
    affected: int = Field(description="Those among them whose status lets the act change something.")
    capped: bool = Field(description="Whether there are more than were acted on; ask again.")
    done: int
    failed: list[Failed]
    next_cursor: str | None = Field(default=None, description="Where to go on, while there are more.")


class Trigger(RequestSchema):
    """Which workflow, and its input: an object by parameter name, or the bare value of the only parameter."""

    name: str | None = None
    workflow_fqn: str | None = None
    input: Json = None
    id: str | None = None
    queue: str | None = None
    delay: float | None = Field(default=None, ge=0, le=10**9, allow_inf_nan=False, description="Seconds.")
    tags: list[str] | None = None
    priority: int = Field(default=0, ge=0, le=2**31)


class Triggered(Schema):
    """The run that was started."""

    workflow_id: str


class CodeLine(Schema):
    """A line of code that a run has reached."""

    file: str = Field(examples=["/srv/shop/orders.py"])
    line: int
    function: str


class Explained(Schema):
    """Why a run is not moving, and what would release it."""

    reason: str
    text: str
    since: Moment | None
    until: Moment | None
    held_by: list[str]
    advice: str | None
    stack: list[CodeLine] = Field(
        description="Where the code stands, the body first, if the process that was asked carries the run out."
    )


@router.get("/workflows")
async def listing(
    context: Viewing, wanted: Filtered, limit: Limit = 50, cursor: Cursor = None, ascending: bool = False
) -> Items[RunRow]:
    """A page of runs, newest first."""
    return schemas.rows_of(await page_of(context, wanted, limit, cursor, ascending=ascending))


async def page_of(
    context: RequestContext, wanted: Wanted, limit: int, cursor: str | None = None, *, ascending: bool = False
) -> Page[Status]:
    """A page of runs without their payloads."""
    return await runs.page(
        context.app, **wanted.model_dump(), limit=limit, cursor=cursor, ascending=ascending, load_output=False
    )


@router.get("/workflows/count")
async def count(context: Viewing, wanted: Filtered) -> Count:
    """How many runs a filter lets through, up to ten thousand; with a searched text up to a thousand."""
    most = SEARCHED_MAX if wanted.search else COUNT_MAX
    return _count(await runs.count(context.app, wanted.filter(), most + 1), most)


def _count(found: int, most: int = COUNT_MAX) -> Count:
    return Count(count=min(found, most), capped=found > most)


@router.post("/workflows/bulk")
async def bulk(asked: Bulk, context: Operating) -> BulkDone:
    """Cancel, resume or delete many runs; with `dry_run` only count them."""
    if (asked.filter is None) == (asked.ids is None):
        raise ValidationFailed("Say which runs: either `ids` or `filter`")
    wanted = asked.filter or Wanted(ids=asked.ids)
    if asked.dry_run:
        found = _count(await runs.count(context.app, wanted.filter(), COUNT_MAX + 1))
        affected = _count(await runs.count(context.app, _affected(asked.action, wanted.filter()), COUNT_MAX + 1))
        return BulkDone(matched=found.count, affected=affected.count, capped=found.capped, done=0, failed=[])
    reason = _reason(asked.reason)
    matched, done, failed = 0, 0, list[Failed]()
    cursor = asked.cursor
    while True:
        size = min(BULK_AT_ONCE, asked.limit - matched)
        page = await page_of(context, wanted, size, cursor)
        answers = await asyncio.gather(*(_act(context, asked.action, one.workflow_id, reason) for one in page.items))
        matched += len(page.items)
        for one, answer in zip(page.items, answers, strict=True):
            if isinstance(answer, TurbineError):
                failed.append(Failed(workflow_id=one.workflow_id, detail=str(answer)))
            else:
                done += answer
        cursor = page.next_cursor
        if cursor is None or matched >= asked.limit:
            return BulkDone(
                matched=matched,
                affected=done,
                capped=cursor is not None,
                done=done,
                failed=failed,
                next_cursor=cursor,
            )


def _affected(action: str, wanted: RunFilter) -> RunFilter:
    """The runs among these that an act can change."""
    can = {
        "cancel": [str(status) for status in WorkflowStatus if not status.is_terminal],
        "resume": [str(status) for status in TERMINAL if status is not WorkflowStatus.SUCCESS],
        "delete": [str(status) for status in TERMINAL],
    }[action]
    return wanted._replace(status=can if wanted.status is None else [one for one in wanted.status if one in can])


async def _act(context: RequestContext, action: str, workflow_id: str, reason: str | None) -> bool | TurbineError:
    app = context.change(f"workflow.{action}", workflow_id, workflow_id=workflow_id, reason=reason, bulk=True)
    try:
        match action:
            case "cancel":
                return await runs.cancel(app, workflow_id, reason)
            case "resume":
                return await runs.resume(app, workflow_id)
            case _:
                return await _delete(app, workflow_id)
    except TurbineError as error:
        return error


@router.post("/trigger", status_code=201)
async def trigger(asked: Trigger, context: Operating) -> Triggered:
    """Start a workflow that is declared triggerable. The input is checked first; no row is written if it is wrong."""
    name = asked.name or asked.workflow_fqn
    if not name:
        raise ValidationFailed(
            errors=[{"path": ["name"], "message": "Say which workflow, by name or workflow_fqn", "type": "missing"}]
        )
    new = new_id() if asked.id is None else check_id(asked.id)
    app = context.change("workflow.trigger", check_name(name, "workflow name"), workflow_id=new)
    workflow_id = await context.in_loop(
        lambda: triggers.trigger(
            app,
            name,
            asked.input,
            id=new,
            queue=asked.queue,
            delay=asked.delay,
            priority=asked.priority,
            tags=asked.tags,
        )
    )
    return Triggered(workflow_id=workflow_id)


@router.get("/workflows/{id:key}")
async def one(
    id: str,
    context: Viewing,
    payload_limit: Annotated[
        int | None, Query(ge=0, description="Bytes of JSON that input and output may have.")
    ] = None,
) -> Run:
    """A run with its input and output."""
    shown = schemas.run(await context.rt.status(id))
    if payload_limit is not None:
        if len(to_json(shown.input, inf_nan_mode="constants")) > payload_limit:
            shown.input, shown.input_truncated = None, True
        if len(to_json(shown.output, inf_nan_mode="constants")) > payload_limit:
            shown.output, shown.output_truncated = None, True
    return shown


@router.get("/workflows/{id:key}/input")
async def whole_input(id: str, context: Viewing) -> Json:
    """The whole input of a run."""
    return Response(_json((await context.rt.status(id)).input), media_type="application/json")


@router.get("/workflows/{id:key}/output")
async def whole_output(id: str, context: Viewing) -> Json:
    """The whole output of a run."""
    return Response(_json((await context.rt.status(id)).output), media_type="application/json")


def _json(value: Any) -> bytes:
    return to_json(value, inf_nan_mode="null")


@router.get("/workflows/{id:key}/explain")
async def explain(id: str, context: Viewing) -> Explained:
    """Why a run is not moving, and what would release it."""
    return Explained.model_validate(await context.rt.explain(id))


@router.get("/workflows/{id:key}/export")
async def export(id: str, context: Viewing) -> Json:
    """The run with everything that was recorded of it, as a file."""
    history = await context.rt.export(id)
    name = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in id)[:100]
    return Response(
        json.dumps(json.loads(history.to_json()), indent=1),
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="run-{name}.json"'},
    )


@router.post("/workflows/{id:key}/cancel")
async def cancel(id: str, context: Operating, asked: Cancel | None = None) -> Acted:
    """Cancel a run and its children; nothing changes when it is over."""
    reason = _reason(asked.reason if asked else None)
    app = context.change("workflow.cancel", check_id(id), workflow_id=id, reason=reason)
    return await _acted(context, id, await runs.cancel(app, id, reason))


def _reason(reason: str | None) -> str | None:
    return check_text(reason, "reason") if reason else None


@router.post("/workflows/{id:key}/resume")
async def resume(id: str, context: Operating) -> Acted:
    """Take up a run that was cancelled, failed, dead-lettered or set aside."""
    app = context.change("workflow.resume", check_id(id), workflow_id=id)
    return await _acted(context, id, await runs.resume(app, id))


@router.post("/workflows/{id:key}/approve")
async def approve(id: str, asked: Approve, context: Deciding) -> Acted:
    """Decide about a gate of a run. Approvers decide what is assigned to them or to nobody."""
    app = context.change("approval.decide", asked.approval_id or check_id(id), workflow_id=id, approved=asked.approved)
    await Approvals(lambda: app).decide(
        id,
        asked.approved,
        asked.comment,
        by=context.principal.name,
        data=asked.data,
        approval_id=asked.approval_id,
        only_as=context.only_as,
    )
    return await _acted(context, id, True)


@router.post("/workflows/{id:key}/fork")
async def fork(id: str, asked: Fork, context: Operating) -> Acted:
    """Start a new run with recorded steps of this one, some of them edited, and the input changed if so wished."""
    args, kwargs = await _arguments(context, id, asked.input)
    edits: dict[Any, Any] = dict(asked.edits or {})
    edits |= {position: StepFailed("Failed by hand", reason) for position, reason in (asked.failures or {}).items()}
    app = context.change(
        "workflow.fork",
        check_id(id),
        workflow_id=id,
        from_step=asked.from_step,
        new_id=asked.new_id,
        edited=sorted(map(str, asked.edits or {})) or None,
        failed=asked.failures or None,
    )
    try:
        new_id = await forks.fork(
            app,
            id,
            asked.from_step,
            args=args,
            kwargs=kwargs,
            new_id=None if asked.new_id is None else check_id(asked.new_id),
            edits=edits or None,
            queue=asked.queue,
        )
    except TypeError as error:  # arguments that the workflow does not take
        raise ValidationFailed(
            str(error), errors=[{"path": ["input"], "message": str(error), "type": "type"}]
        ) from None
    return await _acted(context, new_id, True)


async def _arguments(
    context: RequestContext, workflow_id: str, given: dict[str, Any] | None
) -> tuple[tuple[Any, ...] | None, dict[str, Any] | None]:
    """The typed arguments of another input; None and None where the old one stays."""
    if given is None:
        return None, None
    known = await triggers.find(context.app, (await context.rt.status(workflow_id)).name)
    if set(given) <= {"args", "kwargs"}:
        stored = {"args": given.get("args", []), "kwargs": given.get("kwargs", {})}
        if isinstance(stored["args"], list) and isinstance(stored["kwargs"], dict):
            if known.parameters is None:
                return known.definition.signature.decode(to_json(stored, inf_nan_mode="constants").decode())
            if given:  # the code that could check it is in another process
                return tuple(cast("list[Any]", stored["args"])), cast("dict[str, Any]", stored["kwargs"])
    args, kwargs = known.accept(given)
    return tuple(args), dict(kwargs)


@router.post("/workflows/{id:key}/send")
async def send(id: str, asked: Send, context: Operating) -> Acted:
    """Put a message into a run's mailbox."""
    topic = check_name(asked.topic, "topic") if asked.topic else ""
    app = context.change("workflow.send", check_id(id), workflow_id=id, topic=topic)
    await talk.send(app, id, asked.message, topic)
    return await _acted(context, id, True)


@router.post("/workflows/{id:key}/release")
async def release(id: str, context: Operating) -> Acted:
    """End the sleep of a run, the pause before a retry, or the delay of its start, now; whoever carries it out."""
    app = context.change("workflow.release", check_id(id), workflow_id=id)
    return await _acted(context, id, await runs.release(app, id))


@router.delete("/workflows/{id:key}")
async def delete(id: str, context: Operating) -> Acted:
    """Remove a run that is over, with everything that belongs to it."""
    app = context.change("workflow.delete", check_id(id), workflow_id=id)
    return await _acted(context, id, await _delete(app, id))


async def _delete(app: App, workflow_id: str) -> bool:
    if not await runs.delete(app, [workflow_id]):
        raise Conflict(f"Run {workflow_id!r} is still open; cancel it first", workflow_id=workflow_id)
    return True


async def _acted(context: RequestContext, workflow_id: str, changed: bool) -> Acted:
    try:
        status = (await context.rt.status(workflow_id)).status
    except NotFound:
        status = None  # it was deleted, now or meanwhile
    return Acted(workflow_id=workflow_id, changed=changed, status=status)
