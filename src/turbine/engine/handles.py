"""Handles: what a starter holds of a run. They say where the outcome is, never what it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar

from turbine.codec import PayloadType, error_facts
from turbine.engine.payloads import Payloads
from turbine.errors import AwaitedCancelled, DeadLettered, WorkflowFailed, WorkflowTimeout
from turbine.model.steps import StepInfo
from turbine.model.workflows import Status, WorkflowStatus
from turbine.registry import WorkflowDefinition

R = TypeVar("R")

Stored = tuple[str, str | None, str | None, str | None]
"""Status, output, error and reason of a finished run, as stored."""


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


class RunReader:
    """What a handle asks: the runtime's side of it."""

    def __init__(
        self,
        *,
        stored: Callable[[str, float | None, float | None], Awaitable[Stored]],
        status: Callable[[str], Awaitable[Status]],
        steps: Callable[[str], Awaitable[list[StepInfo]]],
        payloads: Payloads,
    ) -> None:
        self.stored = stored
        self.status = status
        self.steps = steps
        self.payloads = payloads


class Handle(Generic[R]):
    """A run, and the way to its result. Holds nothing: it may be made again from the id, in any process."""

    def __init__(
        self,
        workflow_id: str,
        result: PayloadType[Any],
        run_reader: RunReader,
        definition: WorkflowDefinition | None = None,
    ) -> None:
        """`definition`: the workflow whose type `result` is; None when the caller chose the type."""
        self._workflow_id = workflow_id
        self._result = result
        self._desk = run_reader
        self._definition = definition

    @property
    def workflow_id(self) -> str:
        return self._workflow_id

    async def result(
        self, timeout: timedelta | float | None = None, *, poll_interval: timedelta | float | None = None
    ) -> R:
        """The value of the run, of the annotated type; waits until it is over, wherever it runs.

        May be asked any number of times, from any process. In the body of a workflow the answer is recorded.
        Raises WorkflowFailed (the type, text and traceback of the body's error), WorkflowTimeout, AwaitedCancelled,
        DeadLettered, WorkflowNotFound for an unknown id, ResultTimeout after `timeout` (timedelta or seconds).
        """
        from turbine.engine.children import await_recorded, stands_in_body

        line = stands_in_body()
        if line is not None:
            return await await_recorded(line, self._workflow_id, self._result, _seconds(timeout), self._definition)
        stored = await self._desk.stored(self._workflow_id, _seconds(timeout), _seconds(poll_interval))
        return outcome_of(self._workflow_id, stored, self._result, self._desk.payloads)

    async def status(self) -> Status:
        """The run as it is now. Raises WorkflowNotFound for an unknown id."""
        return await self._desk.status(self._workflow_id)

    async def steps(self) -> list[StepInfo]:
        """The steps recorded so far. Raises WorkflowNotFound for an unknown id."""
        return await self._desk.steps(self._workflow_id)

    def __repr__(self) -> str:
        return f"<turbine handle of {self._workflow_id}>"


def _seconds(duration: timedelta | float | None) -> float | None:
    return duration.total_seconds() if isinstance(duration, timedelta) else duration
