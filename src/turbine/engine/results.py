"""The outcome of a run as those get it who wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from turbine.codec import PayloadType, error_facts
from turbine.engine.payloads import Payloads
from turbine.errors import AwaitedCancelled, DeadLettered, WorkflowFailed, WorkflowTimeout
from turbine.model.steps import StepInfo
from turbine.model.workflows import Status, WorkflowStatus

Stored = tuple[str, str | None, str | None, str | None]
"""Status, output, error and reason of a finished run, as stored."""


@dataclass(frozen=True, slots=True)
class RunReader:
    """Reads runs for handles; the runtime gives it to them."""

    stored: Callable[[str, float | None, float | None], Awaitable[Stored]]
    """Waits for the stored outcome of a run: id, timeout and poll interval in seconds."""
    status: Callable[[str], Awaitable[Status]]
    steps: Callable[[str], Awaitable[list[StepInfo]]]
    payloads: Payloads


def outcome_of(workflow_id: str, stored: Stored, result: PayloadType[Any], payloads: Payloads) -> Any:
    """The value of a finished run.

    Raises WorkflowFailed, WorkflowTimeout, AwaitedCancelled or DeadLettered when it has none.
    """
    status, output, error, reason = stored
    if status == WorkflowStatus.SUCCESS:
        if output is None:
            return None
        return result.decode(payloads.open(output), f"the result of run {workflow_id}")
    raise failure_of(workflow_id, status, error, reason)


def failure_of(workflow_id: str, status: str, error: str | None, reason: str | None) -> Exception:
    """The error that waiting for this run raises."""
    if status == WorkflowStatus.ERROR and error is not None:
        facts = error_facts(error)
        return WorkflowFailed(facts.type_name, facts.message, traceback=facts.traceback, workflow_id=workflow_id)
    if status == WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED:
        return DeadLettered(workflow_id=workflow_id)
    if reason == "timeout":
        return WorkflowTimeout(workflow_id=workflow_id)
    return AwaitedCancelled(workflow_id=workflow_id, reason=reason)
