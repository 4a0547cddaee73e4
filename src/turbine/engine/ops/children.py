"""Runs inside runs: starting them, and waiting for them, each recorded in the parent."""

from __future__ import annotations

from typing import Any

from turbine.codec import PayloadType, encode_error, settle_error
from turbine.engine.durable_call import DurableCall, Reading
from turbine.engine.execution import Execution
from turbine.engine.results import Stored, failure_of
from turbine.engine.starting import encode_input, first_claim, prepare
from turbine.errors import ResultTimeout, TurbineError, WorkflowNotFound
from turbine.model.steps import Kind
from turbine.model.words import RESULT
from turbine.model.workflows import WorkflowStatus
from turbine.registry import StartOptions, WorkflowDefinition
from turbine.tables import run_starts, waits
from turbine.tables.ownership import Answer
from turbine.tables.run_starts import StartedRun
from turbine.tables.waits import ResultLook


class ResultCall(DurableCall):
    """A call that waits for the result of a run."""

    __slots__ = ()

    async def result(
        self,
        workflow_id: str,
        result: PayloadType[Any],
        definition: WorkflowDefinition | None,
        timeout: float | None = None,
    ) -> Any:
        """Wait for a run; finding its outcome and recording it are one transaction."""
        execution = self.execution
        what = f"the result of run {workflow_id}"
        self.listen(timeout)
        wait = self.wait_row("result", workflow_id, child=workflow_id)
        late = ResultTimeout(workflow_id=workflow_id)

        def failure(status: str, error: str | None, reason: str | None) -> str:
            return encode_error(failure_of(workflow_id, status, error, reason))

        async def look() -> Any:
            timed_out = encode_error(late) if self.is_late else None
            row = ResultLook(wait, execution.app.clock.now_ms(), failure, timed_out)
            answer: Stored | Answer | None = await execution.write(waits.await_result, row)
            if not isinstance(answer, tuple):
                return answer
            status, output, error, reason = answer
            if status != WorkflowStatus.SUCCESS:
                return Reading(None, failure_of(workflow_id, status, error, reason))
            if output is None:
                return Reading(None, None)
            if _is_local(definition):
                return Reading(execution.recall(self.position, self.name, result, output, what), None)
            return await self.read(result, self.open(output, what), what, must_fit=definition is not None)

        is_atomic = _is_local(definition) or result.takes_anything
        answer = await self.wait_for(look if is_atomic else lambda: execution.unbroken(look()))
        if isinstance(answer, Reading):
            return self.value_of(answer)
        raise self.failed(WorkflowNotFound(workflow_id) if answer is None else late)

    async def recorded_result(
        self, typed: WorkflowDefinition | PayloadType[Any], definition: WorkflowDefinition | None
    ) -> Any:
        """The recorded outcome of the run, as `result` gave it."""
        assert self.record is not None
        if self.record.output is None or _is_local(definition):
            return self.replayed(typed)
        what = f"what is recorded of {self.name!r} at position {self.position}"
        kind = self.execution.type_of(self.position, self.name, typed)
        return self.value_of(await self.read_again(kind, self.open(self.record.output, what), what))


class ChildCall(ResultCall):
    """A call that starts a child, and perhaps waits for it."""

    __slots__ = ()

    kind = Kind.CHILD

    async def start(
        self,
        definition: WorkflowDefinition,
        options: StartOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        is_done: bool,
    ) -> str:
        """Start the child in one transaction with the record of this call. Returns the child's id."""
        execution = self.execution
        app = execution.app
        inputs = encode_input(app, definition, args, kwargs)
        start = prepare(
            app,
            definition,
            options,
            inputs,
            (args, kwargs),
            default_id=f"{execution.id}-{self.position}",
            parent=(execution.run, execution.id, self.position),
        )
        if definition.fn is not None:
            app.registry.require(definition, by_body=True, elsewhere=not start.direct)
        self.begin()
        self.started_ms = start.created_ms
        record = self.outcome(None, child=start.id, is_done=is_done)

        def take_up(answer: Any) -> None:
            if isinstance(answer, StartedRun) and answer.is_held:
                app.adopt(first_claim(start, answer), definition)

        try:
            answer = await execution.write(run_starts.start_child, (start, record), len(start.inputs), then=take_up)
        except (TurbineError, ValueError) as error:  # a refusal: recorded, so that a replay raises it too
            refusal = error
        else:
            execution.accept(answer)
            return start.id
        text, raised = settle_error(refusal)
        await self.settle(None, text)
        raise self.failed(raised)


async def call_child(
    execution: Execution,
    position: str,
    definition: WorkflowDefinition,
    options: StartOptions,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Run a workflow as a child and wait for its result; one position for both."""
    definition = _registered(execution, definition)
    call = await ChildCall.at(execution, position, definition.name)
    if call.is_recorded:
        return await call.recorded_result(definition, definition)
    # An annotation that cannot be resolved is reported before anything is started.
    result = definition.result if call.record is None else execution.type_of(position, definition.name, definition)
    with call:
        if call.record is None:
            child_id = await call.start(definition, options, args, kwargs, is_done=False)
        else:
            assert call.record.child is not None
            child_id = call.record.child
        return await call.result(child_id, result, definition)


async def start_child(
    execution: Execution,
    position: str,
    definition: WorkflowDefinition,
    options: StartOptions,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> str:
    """Start a workflow from within a workflow. Returns the child's id."""
    definition = _registered(execution, definition)
    call = await ChildCall.at(execution, position, definition.name)
    if call.record is not None and call.is_recorded:
        if call.record.child is None:
            call.replayed(definition)
        assert call.record.child is not None
        return call.record.child
    with call:
        return await call.start(definition, options, args, kwargs, is_done=True)


async def await_recorded(
    execution: Execution,
    position: str,
    workflow_id: str,
    result: PayloadType[Any],
    timeout: float | None,
    definition: WorkflowDefinition | None,
) -> Any:
    """The result of any run, asked for in the body of a workflow: a recorded call.

    `definition` is the workflow whose result type this is; None when the caller chose the type.
    """
    call = await ResultCall.at(execution, position, RESULT)
    if call.is_recorded:
        return await call.recorded_result(result, definition)
    with call:
        return await call.result(workflow_id, result, definition, timeout)


def _registered(execution: Execution, definition: WorkflowDefinition) -> WorkflowDefinition:
    """The workflow under the name and options with which it is registered in this process, if it is."""
    if definition.fn is None:
        return definition
    return execution.app.registry.meant(definition, by_body=True) or definition


def _is_local(definition: WorkflowDefinition | None) -> bool:
    """Whether the code of a workflow is in this process, so that this code has written the result."""
    return definition is not None and definition.fn is not None
