"""The graph of a run: its steps as nodes, and edges for what came after what.

Positions say which steps belong to branches of one `turbine.gather`: those run side by side, whatever the clock says.
Otherwise a step follows another one when that one was over before it began. The engine has recorded whose outcomes the
body had when a step began, so nothing is guessed from how close two times are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from turbine.http.schemas import Json, Schema
from turbine.model.positions import PATCH, order
from turbine.model.steps import Kind, StepInfo
from turbine.model.words import WAIT_FOR_APPROVAL
from turbine.model.workflows import WorkflowStatus

NODES_MAX = 1000
WINDOW = 64
"""How many steps before a step are looked at."""

NodeStatus = Literal["success", "error", "running", "cancelled", "waiting"]


class Node(Schema):
    """A step, a gate, a child, or the end of the run."""

    id: str
    name: str
    type: Literal["step", "child-workflow", "approval", "workflow-result"]
    status: NodeStatus
    function_id: int | None = None
    position: str | None = None
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    output: Json = None
    error: str | None = None
    child_workflow_id: str | None = None


class Edge(Schema):
    """`target` began after `source` was over."""

    source: str
    target: str


class Tree(Schema):
    """The graph of a run."""

    nodes: list[Node]
    edges: list[Edge]
    workflow_status: WorkflowStatus
    truncated: bool = False


def tree(
    status: WorkflowStatus,
    error: str | None,
    steps: Sequence[StepInfo],
    kinds: Mapping[str, int],
    follows: Mapping[str, int] | None = None,
) -> Tree:
    """The graph of a run with these steps; the last node is its result.

    `kinds` and `follows` are by position; `follows` is the last step whose outcome the body had, where that is known.
    """
    shown = sorted(
        (step for step in steps if not step.position.startswith(PATCH)), key=lambda step: order(step.position)
    )[:NODES_MAX]
    nodes = [_node(status, step, kinds.get(step.position, Kind.STEP)) for step in shown]
    edges: list[Edge] = []
    before: list[set[int]] = []
    had = _Had(kinds, follows or {})
    has_next: set[int] = set()
    for place in range(len(shown)):
        direct, all_before = _before(shown, had, before, place)
        before.append(all_before)
        has_next.update(direct)
        edges += [Edge(source=nodes[one].id, target=nodes[place].id) for one in sorted(direct)]
    result = Node(id="result", name=status, type="workflow-result", status=_end(status), error=error)
    edges += [Edge(source=node.id, target="result") for place, node in enumerate(nodes) if place not in has_next]
    return Tree(nodes=[*nodes, result], edges=edges, workflow_status=status, truncated=len(steps) > NODES_MAX)


class _Had(NamedTuple):
    """What is known of whom a step may follow, by position."""

    kinds: Mapping[str, int]
    follows: Mapping[str, int]

    def allows(self, earlier: StepInfo, later: StepInfo) -> bool:
        """Whether the body had the outcome of a step when another one began, or nobody knows."""
        last_step = self.follows.get(later.position)
        is_step = self.kinds.get(earlier.position, Kind.STEP) in (Kind.STEP, Kind.UNCHECKED, Kind.BROKEN_OFF)
        return last_step is None or not is_step or earlier.function_id <= last_step


def _before(steps: Sequence[StepInfo], had: _Had, before: Sequence[set[int]], place: int) -> tuple[set[int], set[int]]:
    """Whom a step follows directly, and everybody within sight whom it follows."""
    direct: set[int] = set()
    known: set[int] = set()
    for earlier in range(place - 1, max(-1, place - 1 - WINDOW), -1):
        if earlier not in known and _follows(steps[earlier], steps[place], had):
            direct.add(earlier)
            known.add(earlier)
            known |= before[earlier]
    return direct, {one for one in known if one >= place - WINDOW}


def _follows(earlier: StepInfo, later: StepInfo, had: _Had) -> bool:
    if _are_branches(earlier.position, later.position) or not had.allows(earlier, later):
        return False
    return earlier.ended_at is not None and earlier.ended_at <= later.started_at


def _are_branches(one: str, other: str) -> bool:
    """Whether two positions stand in different branches of one gather: `3.0.1` and `3.1.0`, or its tasks."""
    for depth, (mine, theirs) in enumerate(zip(one.split("."), other.split("."), strict=False)):
        if mine != theirs:
            # Lines alternate: a place in a line, then the number of a branch made there; a task is a line by itself.
            return _is_branch(one, depth) and _is_branch(other, depth)
    return False


def _is_branch(position: str, depth: int) -> bool:
    parts = position.split(".")
    in_line = True
    for index, part in enumerate(parts):
        if index == depth:
            return not in_line
        # After the place of a task its own line begins; after the place of a gather the number of a branch follows.
        in_line = "t" in part if in_line else True
    return False


def _node(status: WorkflowStatus, step: StepInfo, kind: int) -> Node:
    is_gate = step.function_name == WAIT_FOR_APPROVAL
    state: NodeStatus
    if kind == Kind.BROKEN_OFF:
        state = "cancelled"
    elif step.error is not None:
        state = "error"
    elif step.ended_at is not None:
        state = "success"
    elif status.is_terminal:
        state = "cancelled"
    elif kind in (Kind.WAIT, Kind.CHILD):
        state = "waiting"
    else:
        state = "running"
    return Node(
        id=str(step.function_id),
        name=step.function_name,
        type="approval" if is_gate else "step" if step.child_workflow_id is None else "child-workflow",
        status=state,
        function_id=step.function_id,
        position=step.position,
        started_at_ms=_ms(step.started_at),
        ended_at_ms=_ms(step.ended_at),
        output=step.output,
        error=step.error,
        child_workflow_id=step.child_workflow_id,
    )


def _end(status: WorkflowStatus) -> NodeStatus:
    match status:
        case WorkflowStatus.SUCCESS:
            return "success"
        case WorkflowStatus.ERROR | WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED:
            return "error"
        case WorkflowStatus.CANCELLED:
            return "cancelled"
        case WorkflowStatus.WAITING_FOR_APPROVAL | WorkflowStatus.ENQUEUED:
            return "waiting"
        case WorkflowStatus.PENDING:
            return "running"


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
