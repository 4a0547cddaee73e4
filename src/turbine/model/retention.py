"""How long runs are kept once they are over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from turbine.model.workflows import WorkflowStatus


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long the runs of a workflow, of a status, or of both are kept; None stands for any.

    The rule that says most decides: one for workflow and status, then one for the workflow, then one for the status.
    """

    workflow: str | None
    status: WorkflowStatus | None
    keep: timedelta | None
    """Counted from the end of the run; None keeps it for ever."""
    updated: datetime


def scope_of(workflow: str | None, status: str | None) -> str:
    """Of which runs a rule speaks, in one text: `place_order ERROR`, `* ERROR`, `place_order *`."""
    return f"{workflow or '*'} {status or '*'}"


def rule_for(rules: Iterable[RetentionRule], workflow: str, status: str) -> RetentionRule | None:
    """The rule that decides about a run, if any speaks of it."""
    known = {(rule.workflow, rule.status): rule for rule in rules}
    asked = WorkflowStatus(status)
    return known.get((workflow, asked)) or known.get((workflow, None)) or known.get((None, asked))
