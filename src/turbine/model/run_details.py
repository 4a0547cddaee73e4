"""Records of the page about one run: its steps, their graph, related runs, waits, messages and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from turbine.model.records import DESCRIBED
from turbine.model.steps import StepInfo
from turbine.model.times import Moment
from turbine.model.workflows import WorkflowStatus

KindName = Literal["step", "wait", "child", "mark"]
NodeStatus = Literal["success", "error", "running", "cancelled", "waiting"]


@dataclass(frozen=True, slots=True)
class StepDetail(StepInfo):
    """A step with its kind and the status of its child."""

    kind: KindName = "step"
    output_truncated: bool = False
    """Whether the output is too long for this list; `…/steps/{position}/output` has it."""
    child_status: WorkflowStatus | None = None

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A step, an approval, a child run, or the end of the run."""

    id: str
    name: str
    type: Literal["step", "child-workflow", "approval", "workflow-result"]
    status: NodeStatus
    function_id: int | None = None
    position: str | None = None
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    output: Any = None
    error: str | None = None
    child_workflow_id: str | None = None


@dataclass(frozen=True, slots=True)
class TreeEdge:
    """`target` began after `source` was over."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class StepsTree:
    """The graph of a run; its last node is the result."""

    nodes: list[TreeNode]
    edges: list[TreeEdge]
    workflow_status: WorkflowStatus
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class RelatedRun:
    """A run in the lineage of another one."""

    workflow_id: str
    name: str
    status: WorkflowStatus
    parent_workflow_id: str | None
    position: str | None
    """The position of the parent's step that started it."""
    created_at: Moment
    completed_at: Moment | None

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Lineage:
    """The ancestors and descendants of a run, and the descendants of its ancestors."""

    root: str
    nodes: list[RelatedRun]


@dataclass(frozen=True, slots=True)
class WaitRecord:
    """Something that a run waits for."""

    position: str
    kind: str
    """`sleep`, `retry`, `message`, `approval`, `value` or `result`."""
    subject: str
    since: Moment
    deadline: Moment | None

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message in the mailbox of a run."""

    topic: str
    body: Any
    created_at: Moment
    consumed_position: str | None
    """The position of the `recv` that consumed it."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class ValueRecord:
    """A value that a run has published."""

    key: str
    value: Any
    updated_at: Moment
