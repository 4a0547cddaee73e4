"""Runs inside runs: starting them, and waiting for them, each recorded in its parent."""

from __future__ import annotations

from typing import Any, NoReturn

from turbine.codec import PayloadType, encode_error, settle_error
from turbine.engine.branches import Branch, WorkflowScope
from turbine.engine.calls import replayed
from turbine.engine.execution import Execution
from turbine.engine.handles import failure_of
from turbine.engine.starting import encode_input, first_claim, prepare
from turbine.errors import ResultTimeout, TurbineError, WorkflowNotFound
from turbine.model.steps import Kind
from turbine.model.words import RESULT
from turbine.registry import StartOptions, WorkflowDefinition, current_scope
from turbine.tables import run_starts, steps, waits
from turbine.tables.ownership import Answer
from turbine.tables.run_starts import Start, StartedRun
from turbine.tables.steps import Outcome
from turbine.tables.waits import NewWait


def stands_in_body() -> Branch | None:
    """The line of the running code if it is the body of a workflow."""
    here = current_scope.get()
    return here.current_branch() if type(here) is WorkflowScope else None


async def call_child(
    execution: Execution,
    position: str,
    definition: WorkflowDefinition,
    options: StartOptions,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Run a workflow as a child and wait for its result; one position for both."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    definition = _meant(execution, definition)
    record = execution.recorded(position, definition.name)
    if record is not None and record.ended_ms is not None:
        return replayed(execution, record, definition)
    # One that cannot be resolved is told before anything is started.
    result = definition.result if record is None else execution.type_of(position, definition.name, definition)
    execution.busy += 1
    try:
        if record is None:
            execution.is_replaying = False
            child_id, function_id, since_ms = await _start(
                execution, position, definition, options, args, kwargs, is_done=False
            )
        else:
            assert record.child is not None
            child_id, function_id, since_ms = record.child, record.function_id, record.started_ms
        return await _await(
            execution, position, definition.name, child_id, result, function_id, since_ms, None, definition
        )
    finally:
        execution.leave()


async def start_child(
    execution: Execution,
    position: str,
    definition: WorkflowDefinition,
    options: StartOptions,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> str:
    """Start a workflow from within a workflow, in one transaction with the parent's record. Returns the child's id."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    definition = _meant(execution, definition)
    record = execution.recorded(position, definition.name)
    if record is not None and record.ended_ms is not None:
        if record.child is None:
            replayed(execution, record, definition)
        assert record.child is not None
        return record.child
    execution.busy += 1
    try:
        execution.is_replaying = False
        child_id, _, _ = await _start(execution, position, definition, options, args, kwargs, is_done=True)
        return child_id
    finally:
        execution.leave()


def _meant(execution: Execution, definition: WorkflowDefinition) -> WorkflowDefinition:
    """The workflow under the name and options with which it is registered here, if it is."""
    if definition.fn is None:
        return definition
    return execution.app.registry.meant(definition, by_body=True) or definition


async def _start(
    execution: Execution,
    position: str,
    definition: WorkflowDefinition,
    options: StartOptions,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    is_done: bool,
) -> tuple[str, int, int]:
    app = execution.app
    inputs = encode_input(app, definition, args, kwargs)
    start = prepare(
        app,
        definition,
        options,
        inputs,
        (args, kwargs),
        default_id=f"{execution.id}-{position}",
        parent=(execution.run, execution.id, position),
    )
    if definition.fn is not None:
        app.registry.require(definition, by_body=True, elsewhere=not start.direct)
    function_id = execution.next_function_id()
    now_ms = start.created_ms
    step = Outcome(
        execution.run,
        execution.fence,
        position,
        function_id,
        definition.name,
        Kind.CHILD,
        None,
        None,
        start.id,
        1,
        now_ms,
        now_ms if is_done else None,
    )
    answer: StartedRun | Answer | Exception = await _write_start(execution, definition, start, step)
    if isinstance(answer, Answer):
        raise execution.refuse(answer)
    if isinstance(answer, Exception):
        await _record_failure(execution, step, answer)
    return start.id, function_id, now_ms


async def _write_start(
    execution: Execution, definition: WorkflowDefinition, start: Start, step: Outcome
) -> StartedRun | Answer | Exception:
    def take_up(answer: Any) -> None:
        if isinstance(answer, StartedRun) and answer.is_held:
            execution.app.adopt(first_claim(start, answer), definition)

    try:
        return await execution.write(run_starts.start_child, (start, step), len(start.inputs), then=take_up)
    except (TurbineError, ValueError) as error:  # a refusal: recorded, so that a replay sees it too
        return error


async def _record_failure(execution: Execution, step: Outcome, error: Exception) -> NoReturn:
    text, raised = settle_error(error)
    row = step._replace(error=text, child=None, ended_ms=execution.app.clock.now_ms())
    answer = await execution.write(steps.settle, row)
    if answer is not Answer.DONE:
        raise execution.refuse(answer)
    execution.failures.append((raised, step.position))
    raise raised


async def await_recorded(
    line: Branch,
    workflow_id: str,
    result: PayloadType[Any],
    timeout: float | None,
    definition: WorkflowDefinition | None,
) -> Any:
    """The result of any run, asked for in the body of a workflow: a recorded step.

    `definition` is the workflow whose result type this is; None when the caller chose the type.
    """
    execution = line.execution
    position = line.take()
    if execution.signal is not None:
        await execution.raise_if_stopping()
    record = execution.recorded(position, RESULT)
    if record is not None and record.ended_ms is not None:
        return replayed(execution, record, result)
    execution.busy += 1
    try:
        execution.is_replaying = False
        app = execution.app
        since_ms = record.started_ms if record is not None else app.clock.now_ms()
        function_id = record.function_id if record is not None else execution.next_function_id()
        waiting = execution.history.waits.get(position)
        deadline_ms = None if timeout is None else since_ms + round(timeout * 1000)
        if waiting is not None:
            deadline_ms = waiting.deadline_ms
        return await _await(
            execution, position, RESULT, workflow_id, result, function_id, since_ms, deadline_ms, definition
        )
    finally:
        execution.leave()


async def _await(
    execution: Execution,
    position: str,
    name: str,
    workflow_id: str,
    result: PayloadType[Any],
    function_id: int,
    since_ms: int,
    deadline_ms: int | None,
    definition: WorkflowDefinition | None,
) -> Any:
    app = execution.app
    kind = Kind.CHILD if name != RESULT else Kind.WAIT
    row = NewWait(
        execution.run,
        execution.fence,
        position,
        function_id,
        name,
        kind,
        workflow_id,
        "result",
        workflow_id,
        since_ms,
        deadline_ms,
    )
    output: str | None = None
    error: Exception | None = None
    wait = execution.open_wait(position)
    try:
        while True:
            execution.check()
            answer = await execution.write(waits.await_result, row)
            if answer is Answer.WAIT:
                if deadline_ms is not None and app.clock.now_ms() >= deadline_ms:
                    error = ResultTimeout(workflow_id=workflow_id)
                    break
                await execution.pause(wait, deadline_ms)
                continue
            if isinstance(answer, Answer):
                raise execution.refuse(answer)
            if answer is None:
                error = WorkflowNotFound(workflow_id)
                break
            status, output, stored_error, reason = answer
            if status != "SUCCESS":
                error = failure_of(workflow_id, status, stored_error, reason)
                output = None
            break
    finally:
        execution.close_wait(wait)
    value = None
    if output is not None:
        what = f"the result of run {workflow_id}"
        if definition is not None and definition.fn is not None:
            value = execution.recall(position, name, result, output, what)
        else:
            try:
                text, value = result.take(app.payloads.open(output), what)
                output = app.payloads.seal(text, what)
            except Exception as failure:
                if definition is not None:
                    raise execution.misfit(position, name, what, failure) from failure
                output, error = None, settle_error(failure)[1]
    outcome = Outcome(
        execution.run,
        execution.fence,
        position,
        function_id,
        name,
        kind,
        output,
        None if error is None else encode_error(error),
        workflow_id,
        1,
        since_ms,
        app.clock.now_ms(),
    )
    signature_text = await execution.write(steps.settle, outcome, len(output or ""))
    if signature_text is not Answer.DONE:
        raise execution.refuse(signature_text)
    if error is not None:
        execution.failures.append((error, position))
        raise error
    return value
