"""One run from the inside: its steps, their graph, its relatives, waits, messages, values, logs and audit."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field
from pydantic_core import to_json

from turbine.clock import to_datetime
from turbine.codec import plain
from turbine.errors import NotFound
from turbine.http import logs
from turbine.http.request_context import Viewing
from turbine.http.schemas import Cursor, Items, Json, Limit, Moment, Schema
from turbine.http.tree import NODES_MAX, Tree, tree
from turbine.ids import check_id, check_text
from turbine.model.audit import AuditRecord
from turbine.model.steps import Kind, StepInfo
from turbine.model.workflows import Page, WorkflowStatus
from turbine.operations import runs
from turbine.tables import details, statuses
from turbine.tables.details import Behind

router = APIRouter(tags=["runs"])

OUTPUT_MAX = 64 * 1024
KindName = Literal["step", "wait", "child", "mark"]
_KINDS: dict[int, KindName] = {
    Kind.STEP: "step",
    Kind.WAIT: "wait",
    Kind.CHILD: "child",
    Kind.UNCHECKED: "step",
    Kind.MARK: "mark",
}


class Process(Schema):
    """Who carried out an attempt."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str


class Attempt(Schema):
    """One execution of a step's body."""

    number: int
    started_at: Moment
    ended_at: Moment | None
    error: str | None
    traceback: str | None = None
    process: Process | None = Field(
        default=None, description="Who carried it out; null when that is forgotten, after ten thousand launches."
    )


class Step(Schema):
    """What is recorded at a position of a run."""

    workflow_id: str
    function_id: int
    function_name: str
    position: str
    kind: KindName = "step"
    output: Json
    output_truncated: bool = Field(
        default=False, description="Too long for this list; `…/steps/{position}/output` has it."
    )
    error: str | None
    started_at: Moment
    ended_at: Moment | None
    attempts: list[Attempt]
    child_workflow_id: str | None
    child_status: WorkflowStatus | None = None


class Member(Schema):
    """A run among its relatives."""

    workflow_id: str
    name: str
    status: WorkflowStatus
    parent_workflow_id: str | None
    position: str | None = Field(description="The position of the parent's step that started it.")
    created_at: Moment
    completed_at: Moment | None


class Lineage(Schema):
    """The runs that a run belongs with."""

    root: str
    nodes: list[Member]


class Wait(Schema):
    """Something that a run waits for."""

    position: str
    kind: str = Field(examples=["sleep", "message", "approval", "result"])
    subject: str
    since: Moment
    deadline: Moment | None


class Message(Schema):
    """A message in a run's mailbox."""

    topic: str
    body: Json
    created_at: Moment
    consumed_position: str | None = Field(description="The position of the receive that took it.")


class Value(Schema):
    """A value that a run has published."""

    key: str
    value: Json
    updated_at: Moment


@router.get("/workflows/{id:key}/steps")
async def steps(
    id: str,
    context: Viewing,
    payload_limit: Annotated[int, Query(ge=0, description="Bytes of JSON that an output may have.")] = OUTPUT_MAX,
    limit: Annotated[int | None, Query(ge=1, le=500, description="How many items; without it all.")] = None,
    cursor: Cursor = None,
) -> Items[Step]:
    """The recorded steps of a run with all their attempts, in the order of their first recording."""
    page = await runs.steps_page(context.app, check_id(id), limit, cursor)
    run = await runs.key_of(context.app, id)
    children = [step.child_workflow_id for step in page.items if step.child_workflow_id is not None]
    positions = [step.position for step in page.items]
    behind = await context.app.store.read(details.behind, run=run, positions=positions, children=children)
    return Items(items=[_step(one, behind, payload_limit) for one in page.items], next_cursor=page.next_cursor)


def _step(step: StepInfo, behind: Behind, limit: int) -> Step:
    shown = Step.model_validate(step)
    shown.kind = _KINDS.get(behind.kinds.get(step.position, Kind.STEP), "step")
    if step.output is not None and len(to_json(step.output, inf_nan_mode="constants")) > limit:
        shown.output, shown.output_truncated = None, True
    if step.child_workflow_id in behind.child_statuses:
        shown.child_status = WorkflowStatus(behind.child_statuses[step.child_workflow_id])
    for attempt in shown.attempts:
        is_last = attempt is shown.attempts[-1]
        attempt.traceback = behind.traceback(step.position, attempt.number, is_last=is_last)
        incarnation = behind.incarnation(step.position, attempt.number, is_last=is_last)
        attempt.process = None if incarnation is None else Process.model_validate(incarnation)
    return shown


@router.get("/workflows/{id:key}/steps/{position}/output")
async def output(id: str, position: str, context: Viewing) -> Json:
    """The whole output of a step."""
    found = await runs.step_output(context.app, check_id(id), check_text(position, "position"))
    return Response(to_json(found, inf_nan_mode="null"), media_type="application/json")


@router.get("/workflows/{id:key}/steps-tree")
async def steps_tree(id: str, context: Viewing) -> Tree:
    """The steps of a run as a graph; the last node is its result."""
    status = await context.rt.status(id)
    found = (await runs.steps_page(context.app, id, NODES_MAX + 1, None)).items
    run = await runs.key_of(context.app, id)
    positions = [step.position for step in found]
    behind = await context.app.store.read(details.behind, run=run, positions=positions, children=[])
    shown = tree(status.status, status.error, found, behind.kinds, behind.follows)
    for node in shown.nodes:
        if node.output is not None and len(to_json(node.output, inf_nan_mode="constants")) > OUTPUT_MAX:
            node.output = None
    return shown


@router.get("/workflows/{id:key}/family")
async def lineage(id: str, context: Viewing) -> Lineage:
    """The ancestors, brothers, sisters and descendants of a run."""
    run = await runs.key_of(context.app, check_id(id))
    members = await context.app.store.read(details.lineage, run=run)
    if not members:
        raise NotFound(kind="workflow", id=id)  # deleted between two looks
    return Lineage(
        root=members[0].id,
        nodes=[
            Member(
                workflow_id=one.id,
                name=one.name,
                status=WorkflowStatus(one.status),
                parent_workflow_id=one.parent_id,
                position=one.position,
                created_at=to_datetime(one.created_ms),
                completed_at=None if one.completed_ms is None else to_datetime(one.completed_ms),
            )
            for one in members
        ],
    )


@router.get("/workflows/{id:key}/waits")
async def waits(id: str, context: Viewing) -> Items[Wait]:
    """What a run waits for now."""
    run = await runs.key_of(context.app, check_id(id))
    found = await context.app.store.read(statuses.open_waits, run=run)
    return Items(
        items=[
            Wait(
                position=position,
                kind=kind,
                subject=subject,
                since=to_datetime(since_ms),
                deadline=None if deadline_ms is None else to_datetime(deadline_ms),
            )
            for position, kind, subject, since_ms, deadline_ms in found
        ]
    )


@router.get("/workflows/{id:key}/messages")
async def messages(
    id: str,
    context: Viewing,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=0, le=10**18, description="`next_cursor` of the page before.")] = None,
) -> Items[Message]:
    """The mailbox of a run, in the order in which messages were sent."""
    run = await runs.key_of(context.app, check_id(id))
    found = await context.app.store.read(details.messages, run=run, after=cursor or 0, limit=limit + 1)
    return Items(
        items=[
            Message(
                topic=topic,
                body=plain(context.app.payloads.open(body)),
                created_at=to_datetime(created_ms),
                consumed_position=position,
            )
            for _, topic, body, created_ms, position in found[:limit]
        ],
        next_cursor=str(found[limit - 1][0]) if len(found) > limit else None,
    )


@router.get("/workflows/{id:key}/values")
async def values(id: str, context: Viewing) -> Items[Value]:
    """What a run has published."""
    run = await runs.key_of(context.app, check_id(id))
    found = await context.app.store.read(details.values, run=run)
    return Items(
        items=[
            Value(key=key, value=plain(context.app.payloads.open(value)), updated_at=to_datetime(updated_ms))
            for key, value, updated_ms in found
        ]
    )


@router.get("/workflows/{id:key}/logs")
async def logs_of(
    id: str, context: Viewing, asked: logs.RequestSchema, limit: Limit = 50, cursor: Cursor = None
) -> Items[logs.Log]:
    """What a run has logged."""
    await runs.key_of(context.app, check_id(id))
    return await logs.page(context, asked, id, limit, cursor)


@router.get("/workflows/{id:key}/audit")
async def audit_of(id: str, context: Viewing, limit: Limit = 50, cursor: Cursor = None) -> Page[AuditRecord]:
    """Who did what to a run."""
    return await context.rt.audit.list(workflow_id=check_id(id), limit=limit, cursor=cursor)
