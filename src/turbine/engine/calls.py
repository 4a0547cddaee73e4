"""Steps: run the body, or give back what was recorded. The hottest path of the product."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any

from turbine.clock import to_datetime
from turbine.codec import PayloadType, decode_error, settle_error
from turbine.engine.execution import Execution
from turbine.engine.lines import Frame
from turbine.engine.outcomes import Unloaded
from turbine.errors import Cancelled, MaxStepRetriesExceeded, SerializationError
from turbine.model.history import Recorded
from turbine.model.steps import Kind
from turbine.model.workflows import Event
from turbine.registry import HERE, StepDefinition
from turbine.tables import steps
from turbine.tables.ownership import Answer
from turbine.tables.steps import AttemptFailed, Begun, Outcome


async def call_step(
    execution: Execution, position: str, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The outcome of a step at a position: replayed if it is recorded, else made and recorded."""
    execution.check()
    record = execution.recorded(position, step.name)
    if record is not None and record.ended_ms is not None and record.kind != Kind.UNCHECKED:
        return replayed(execution, record, step.result)
    execution.busy += 1
    try:
        return await _live(execution, position, step, args, kwargs, record)
    finally:
        execution.busy -= 1


def replayed(execution: Execution, record: Recorded, kind: PayloadType[Any]) -> Any:
    """What a finished position gave, or raised, when it was live."""
    if record.error is not None:
        error = decode_error(record.error)
        execution.failures.append((error, record.position))
        raise error
    if record.output is None:
        return None
    what = f"the recorded output of {record.name!r} at position {record.position} of run {execution.id}"
    return kind.decode(execution.port.payloads.open(record.output), what)


async def _live(
    execution: Execution,
    position: str,
    step: StepDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    record: Recorded | None,
) -> Any:
    port = execution.port
    function_id = record.function_id if record is not None else -1
    failed = execution.history.failures.get(position, [])
    number = failed[-1].number + 1 if failed else 1
    causes: list[Exception] = [decode_error(failure.error) for failure in failed]
    if failed or not (record is not None and record.kind == Kind.UNCHECKED):
        execution.is_replaying = False
    if record is not None and failed and failed[-1].number > step.policy.retries:
        # The process died between its last attempt and the outcome: that attempt was made and is not made again.
        error = _exhausted(step, causes)
        raise await _fail(execution, position, step, function_id, failed[-1].number, record.started_ms, error, record)
    if failed:
        await _wait_for_retry(execution, position)
    key = (execution, position)
    while True:
        execution.check()
        started_ms = port.clock.now_ms()
        if function_id < 0:
            function_id = execution.next_function_id()
        port.busy_steps[key] = started_ms, partial(_note_start, execution, position, step, function_id, started_ms)
        frame = Frame(execution, position, step.name, number)
        token = HERE.set(frame)
        try:
            value = await _body(execution, step, args, kwargs)
        except Exception as error:
            failure: Exception | None = error
            value = None
        except (Unloaded, Cancelled, asyncio.CancelledError):
            raise
        except BaseException as error:  # SystemExit and its like end the run, not the process
            failure = settle_error(error)[1]
            failure.__cause__ = error
            value = None
        else:
            failure = None
        finally:
            HERE.reset(token)
            port.busy_steps.pop(key, None)
        execution.check()
        if failure is None:
            if not step.checkpoint:
                if record is None or record.ended_ms is None:  # a replay that repeats it writes nothing
                    await _record(execution, position, step, function_id, number, started_ms, Kind.UNCHECKED)
                return value
            what = f"the output of step {step.name!r}"
            try:
                text, value = step.result.settle(value, what)
                text = port.payloads.seal(text, what)
            except SerializationError as error:
                failure, is_final = error, True
            else:
                await _record(execution, position, step, function_id, number, started_ms, Kind.STEP, output=text)
                return value
        else:
            is_final = not step.policy.allows(failure) or number > step.policy.retries
        if is_final:
            if step.policy.retries and number > step.policy.retries and not isinstance(failure, SerializationError):
                await _keep_attempt(execution, position, step, function_id, number, started_ms, failure, None)
                failure = _exhausted(step, [*causes, failure])
            raise await _fail(execution, position, step, function_id, number, started_ms, failure, record)
        causes.append(failure)
        due_ms = port.clock.now_ms() + round(step.policy.wait(number, random.random) * 1000)
        await _keep_attempt(execution, position, step, function_id, number, started_ms, failure, due_ms)
        await _pause(execution, position, due_ms)
        number += 1


async def _fail(
    execution: Execution,
    position: str,
    step: StepDefinition,
    function_id: int,
    number: int,
    started_ms: int,
    failure: Exception,
    record: Recorded | None,
) -> Exception:
    """Record that a step has failed for good; returns what to raise in the body."""
    text, raised = settle_error(failure)
    kind = Kind.STEP if step.checkpoint else Kind.UNCHECKED
    if record is None or record.ended_ms is None:
        await _record(execution, position, step, function_id, number, started_ms, kind, error=text)
    execution.failures.append((raised, position))
    return raised


async def _body(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the function where it belongs: here, in a thread, or (from a thread) in the loop."""
    if execution.is_async:
        if step.is_async:
            if step.timeout is None:
                return await step.fn(*args, **kwargs)
            async with asyncio.timeout(step.timeout):
                return await step.fn(*args, **kwargs)
        return await _in_thread(execution, step, args, kwargs)
    if step.is_async:
        context = copy_context()
        return asyncio.run_coroutine_threadsafe(
            _in_loop(partial(context.run, step.fn, *args, **kwargs), context, step.timeout), execution.port.loop
        ).result()
    if step.timeout is None:
        return step.fn(*args, **kwargs)
    return _in_time(execution, step, args, kwargs, step.timeout)


def _in_time(
    execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float
) -> Any:
    """A blocking function beside its blocking caller. One that outlasts its timeout is left behind in its thread."""
    future: Future[Any] = Future()
    context = copy_context()

    def call() -> None:
        try:
            future.set_result(context.run(step.fn, *args, **kwargs))
        except BaseException as error:
            future.set_exception(_as_exception(error))

    execution.port.threads.submit(call)
    return future.result(timeout)


async def _in_loop(call: Any, context: Any, timeout: float | None) -> Any:
    task = asyncio.get_running_loop().create_task(call(), context=context)
    return await asyncio.wait_for(task, timeout)


async def _in_thread(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A blocking function, in a thread that sees this context. A thread that outlasts its timeout is left behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def call() -> None:
        try:
            result, error = context.run(step.fn, *args, **kwargs), None
        except BaseException as raised:
            result, error = None, _as_exception(raised)
        loop.call_soon_threadsafe(_resolve, future, result, error)

    execution.port.threads.submit(call)
    async with asyncio.timeout(step.timeout):
        return await future


def _as_exception(error: BaseException) -> BaseException:
    # A future takes no StopIteration, and the loop would end with SystemExit or KeyboardInterrupt.
    if isinstance(error, (StopIteration, SystemExit, KeyboardInterrupt)):
        raised = settle_error(error)[1]
        raised.__cause__ = error
        return raised
    return error


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


async def _record(
    execution: Execution,
    position: str,
    step: StepDefinition,
    function_id: int,
    number: int,
    started_ms: int,
    kind: Kind,
    *,
    output: str | None = None,
    error: str | None = None,
) -> None:
    """Write the outcome; durable when this returns, and refused unless the run is still ours."""
    now_ms = execution.port.clock.now_ms()
    row = Outcome(
        execution.run,
        execution.fence,
        position,
        function_id,
        step.name,
        kind,
        output,
        error,
        None,
        number,
        started_ms,
        now_ms,
    )
    size = len(output) if output is not None else 0
    answer = await execution.write(steps.settle if number > 1 else steps.record, row, size)
    if answer is not Answer.DONE:
        raise execution.refuse(answer)
    if execution.port.probe.listeners:
        execution.port.probe.tell(
            Event("step.recorded", execution.id, step.name, None, function_id, to_datetime(now_ms))
        )


def _note_start(execution: Execution, position: str, step: StepDefinition, function_id: int, started_ms: int) -> None:
    """Show a step that takes long as running; nobody waits for this."""
    kind = Kind.STEP if step.checkpoint else Kind.UNCHECKED
    row = Begun(execution.run, execution.fence, position, function_id, step.name, kind, started_ms)
    execution.port.store.post(steps.begin, row)


async def _keep_attempt(
    execution: Execution,
    position: str,
    step: StepDefinition,
    function_id: int,
    number: int,
    started_ms: int,
    error: Exception,
    due_ms: int | None,
) -> None:
    text, _ = settle_error(error)
    row = AttemptFailed(
        execution.run,
        execution.fence,
        position,
        function_id,
        step.name,
        number,
        started_ms,
        execution.port.clock.now_ms(),
        text,
        due_ms,
    )
    answer = await execution.write(steps.fail_attempt, row)
    if answer is not Answer.DONE:
        raise execution.refuse(answer)


async def _wait_for_retry(execution: Execution, position: str) -> None:
    """The rest of a pause that began in an earlier life."""
    waiting = execution.history.waits.get(position)
    if waiting is not None and waiting.deadline_ms is not None:
        await _pause(execution, position, waiting.deadline_ms)


async def _pause(execution: Execution, position: str, due_ms: int) -> None:
    clock = execution.port.clock
    if clock.now_ms() >= due_ms:
        return
    wait = execution.open_wait(position, is_timer=True)
    try:
        while clock.now_ms() < due_ms:
            await execution.pause(wait, due_ms)
    finally:
        execution.close_wait(wait)


def _exhausted(step: StepDefinition, causes: list[Exception]) -> MaxStepRetriesExceeded:
    error = MaxStepRetriesExceeded(step_name=step.name, max_retries=step.policy.retries, causes=tuple(causes))
    error.__cause__ = causes[-1]
    return error
