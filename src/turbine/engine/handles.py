"""Handles: what a caller holds of a run. They say where the outcome is, never what it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Generic, TypeVar

from turbine.codec import PayloadType
from turbine.engine.ops.children import await_recorded
from turbine.engine.results import RunReader, outcome_of
from turbine.engine.scope import WorkflowScope
from turbine.model.steps import StepInfo
from turbine.model.workflows import Status
from turbine.registry import WorkflowDefinition, current_scope

R = TypeVar("R")


class Handle(Generic[R]):
    """A run, and the way to its result. Holds no state: it can be made again from the id, in any process."""

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
        self._run_reader = run_reader
        self._definition = definition

    @property
    def workflow_id(self) -> str:
        return self._workflow_id

    async def result(
        self, timeout: timedelta | float | None = None, *, poll_interval: timedelta | float | None = None
    ) -> R:
        """The value of the run, of the annotated type; waits until it is over, wherever it runs.

        May be called any number of times, from any process. In the body of a workflow the answer is recorded.
        Raises WorkflowFailed (the type, text and traceback of the body's error), WorkflowTimeout, AwaitedCancelled,
        DeadLettered, WorkflowNotFound for an unknown id, ResultTimeout after `timeout` (timedelta or seconds).
        """
        scope = current_scope.get()
        if type(scope) is WorkflowScope:
            branch = scope.current_branch()
            return await await_recorded(
                branch.execution, branch.take(), self._workflow_id, self._result, _seconds(timeout), self._definition
            )
        stored = await self._run_reader.stored(self._workflow_id, _seconds(timeout), _seconds(poll_interval))
        return outcome_of(self._workflow_id, stored, self._result, self._run_reader.payloads)

    async def status(self) -> Status:
        """The run as it is now. Raises WorkflowNotFound for an unknown id."""
        return await self._run_reader.status(self._workflow_id)

    async def steps(self) -> list[StepInfo]:
        """The steps recorded so far. Raises WorkflowNotFound for an unknown id."""
        return await self._run_reader.steps(self._workflow_id)

    def __repr__(self) -> str:
        return f"<turbine handle of {self._workflow_id}>"


def _seconds(duration: timedelta | float | None) -> float | None:
    return duration.total_seconds() if isinstance(duration, timedelta) else duration
