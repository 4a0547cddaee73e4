"""The graph of a run: steps as nodes, and an edge for each step that waited for another one.

Positions say which steps belong to branches of one `turbine.gather`; those run side by side, whatever their times say.
Otherwise a step follows an earlier one that was over before it began. The engine records which outcomes the body had
when a step began, so nothing is guessed from times that lie close together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from turbine.model.positions import PATCH, order
from turbine.model.run_details import NodeStatus, StepsTree, TreeEdge, TreeNode
from turbine.model.steps import Kind, StepInfo
from turbine.model.words import WAIT_FOR_APPROVAL
from turbine.model.workflows import WorkflowStatus

NODES_MAX = 1000
WINDOW = 64
"""Earlier steps that are compared with a step."""


def build_tree(
    status: WorkflowStatus,
    error: str | None,
    steps: Sequence[StepInfo],
    kinds: Mapping[str, int],
    follows: Mapping[str, int] | None = None,
) -> StepsTree:
    """Builds the graph of a run from its steps; the last node is its result.

    `kinds` and `follows` are by position. `follows` is the last step whose outcome the body had, where it is recorded.
    """
    shown = sorted(
        (step for step in steps if not step.position.startswith(PATCH)), key=lambda step: order(step.position)
    )[:NODES_MAX]
    nodes = [_node(status, step, kinds.get(step.position, Kind.STEP)) for step in shown]
    edges: list[TreeEdge] = []
    ancestors: list[set[int]] = []
    order_known = _RecordedOrder(kinds, follows or {})
    has_successor: set[int] = set()
    for index in range(len(shown)):
        parents, above = _predecessors(shown, order_known, ancestors, index)
        ancestors.append(above)
        has_successor.update(parents)
        edges += [TreeEdge(nodes[parent].id, nodes[index].id) for parent in sorted(parents)]
    result = TreeNode(id="result", name=status, type="workflow-result", status=_result_status(status), error=error)
    edges += [TreeEdge(node.id, result.id) for index, node in enumerate(nodes) if index not in has_successor]
    return StepsTree([*nodes, result], edges, status, truncated=len(steps) > NODES_MAX)


class _RecordedOrder(NamedTuple):
    """The recorded order of steps, by position."""

    kinds: Mapping[str, int]
    follows: Mapping[str, int]

    def allows(self, earlier: StepInfo, step: StepInfo) -> bool:
        """Whether the body may have had the outcome of `earlier` when `step` began."""
        last_step = self.follows.get(step.position)
        is_step = self.kinds.get(earlier.position, Kind.STEP) in (Kind.STEP, Kind.UNCHECKED, Kind.BROKEN_OFF)
        return last_step is None or not is_step or earlier.function_id <= last_step


def _predecessors(
    steps: Sequence[StepInfo], order_known: _RecordedOrder, ancestors: Sequence[set[int]], index: int
) -> tuple[set[int], set[int]]:
    """Returns the direct predecessors of a step, and all of its ancestors within the window."""
    parents: set[int] = set()
    above: set[int] = set()
    for earlier in range(index - 1, max(-1, index - 1 - WINDOW), -1):
        if earlier not in above and _follows(steps[earlier], steps[index], order_known):
            parents.add(earlier)
            above |= {earlier, *ancestors[earlier]}
    return parents, {step for step in above if step >= index - WINDOW}


def _follows(earlier: StepInfo, step: StepInfo, order_known: _RecordedOrder) -> bool:
    if _are_branches(earlier.position, step.position) or not order_known.allows(earlier, step):
        return False
    return earlier.ended_at is not None and earlier.ended_at <= step.started_at


def _are_branches(first: str, second: str) -> bool:
    """Whether two positions are in different branches of one gather, such as `3.0.1` and `3.1.0`, or in its tasks."""
    for depth, (left, right) in enumerate(zip(first.split("."), second.split("."), strict=False)):
        if left != right:
            return _is_branch(first, depth) and _is_branch(second, depth)
    return False


def _is_branch(position: str, depth: int) -> bool:
    """Whether the part of a position at this depth is the number of a branch rather than a place in one.

    The two alternate, except that the place of a task is followed by a place within that task.
    """
    is_place = True
    for part in position.split(".")[:depth]:
        is_place = "t" in part if is_place else True
    return not is_place


def _node(status: WorkflowStatus, step: StepInfo, kind: int) -> TreeNode:
    node_status: NodeStatus
    if kind == Kind.BROKEN_OFF:
        node_status = "cancelled"
    elif step.error is not None:
        node_status = "error"
    elif step.ended_at is not None:
        node_status = "success"
    elif status.is_terminal:
        node_status = "cancelled"
    elif kind in (Kind.WAIT, Kind.CHILD):
        node_status = "waiting"
    else:
        node_status = "running"
    is_approval = step.function_name == WAIT_FOR_APPROVAL
    return TreeNode(
        id=str(step.function_id),
        name=step.function_name,
        type="approval" if is_approval else "step" if step.child_workflow_id is None else "child-workflow",
        status=node_status,
        function_id=step.function_id,
        position=step.position,
        started_at_ms=_ms(step.started_at),
        ended_at_ms=_ms(step.ended_at),
        output=step.output,
        error=step.error,
        child_workflow_id=step.child_workflow_id,
    )


def _result_status(status: WorkflowStatus) -> NodeStatus:
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
