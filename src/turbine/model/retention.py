"""Rules for how long finished runs are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment, Seconds
from turbine.model.workflows import WorkflowStatus


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long the runs of a workflow, of a status, or of both are kept; None means any.

    The most specific rule applies: one for workflow and status, then one for the workflow, then one for the status.
    """

    workflow: str | None
    status: WorkflowStatus | None
    keep: Seconds | None
    """Counted from the end of the run; None keeps it forever."""
    updated: Moment

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many runs a retention rule lets go."""

    workflow: str | None
    status: WorkflowStatus | None
    keep: Seconds | None
    runs: int

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class GarbagePreview:
    """Counts, each up to 10,000, of the rows that garbage collection would remove now."""

    runs: int
    partial: bool
    """Whether there may be more runs than that."""
    by_rule: list[RuleCount]
    """Of these runs, the ones that a retention rule lets go."""
    deliveries: int
    logs: int
    older_than: float | None
    """Seconds; null where runs are kept forever."""

    __pydantic_config__ = DESCRIBED


def scope_of(workflow: str | None, status: str | None) -> str:
    """Describes the runs of a rule: `place_order ERROR`, `* ERROR`, `place_order *`."""
    return f"{workflow or '*'} {status or '*'}"


def rule_for(rules: Iterable[RetentionRule], workflow: str, status: str) -> RetentionRule | None:
    """Returns the rule that applies to a run, if there is one."""
    by_scope = {(rule.workflow, rule.status): rule for rule in rules}
    scopes = ((workflow, WorkflowStatus(status)), (workflow, None), (None, WorkflowStatus(status)))
    return next((by_scope[scope] for scope in scopes if scope in by_scope), None)
