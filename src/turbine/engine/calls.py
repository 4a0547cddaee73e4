"""Steps: run the body, or give back what was recorded. The hottest path of the product."""

from __future__ import annotations

import asyncio
import contextlib
import random
from concurrent.futures import Future, InvalidStateError
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any

from turbine.clock import to_datetime
from turbine.codec import Misfit, PayloadType, decode_error, recall_error, settle_error
from turbine.engine.execution import Errand, Execution
from turbine.engine.lines import Frame
from turbine.engine.outcomes import Unloaded
from turbine.errors import Cancelled, MaxStepRetriesExceeded, SerializationError
from turbine.model.history import Recorded
from turbine.model.steps import Kind
from turbine.model.workflows import Event
from turbine.registry import HERE, StepDefinition, WorkflowDefinition
from turbine.tables import steps
from turbine.tables.ownership import Answer
from turbine.tables.steps import AttemptFailed, Begun, Outcome


async def call_step(
    execution: Execution,
    position: str,
    step: StepDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    errand: Errand | None = None,
) -> Any:
    """The outcome of a step at a position: replayed if it is recorded, else made and recorded.

    The body has it when this returns, unless it is an errand of the body, which goes on and takes it later.
    """
    if execution.signal is not None:
        await execution.turn_away()
    record = execution.recorded(position, step.name)
    if record is not None and record.ended_ms is not None and record.kind != Kind.UNCHECKED:
        execution.has_outcome(record.function_id, errand)
        return replayed(execution, record, step)
    if execution.is_rehearsal:
        await execution.stay()
    live = _LiveStep(execution, position, step, record, execution.last_step if errand is None else errand.follows)
    execution.busy += 1
    try:
        return await live.outcome(args, kwargs)
    finally:
        execution.has_outcome(live.function_id, errand)
        execution.leave()


def replayed(
    execution: Execution, record: Recorded, typed: StepDefinition | WorkflowDefinition | PayloadType[Any]
) -> Any:
    """What a finished position gave, or raised, when it was live. When it does not fit today's code, the pass ends."""
    what = f"what is recorded of {record.name!r} at position {record.position}"
    if record.error is not None:
        try:
            error = recall_error(record.error, what)
        except Misfit as misfit:
            raise execution.misfit(record.position, record.name, what, misfit) from misfit
        execution.failures.append((error, record.position))
        raise error
    if record.output is None:
        return None
    kind = execution.type_of(record.position, record.name, typed)
    return execution.recall(record.position, record.name, kind, record.output, what)


class _LiveStep:
    """A step that has no outcome yet: its attempts, until one is recorded."""

    __slots__ = (
        "causes",
        "execution",
        "follows",
        "function_id",
        "kind",
        "number",
        "position",
        "record",
        "started_ms",
        "step",
    )

    def __init__(
        self, execution: Execution, position: str, step: StepDefinition, record: Recorded | None, follows: int
    ) -> None:
        failed = execution.history.failures.get(position)
        self.execution = execution
        self.position = position
        self.step = step
        self.record = record
        # An annotation that cannot be resolved is told before the body runs.
        self.kind = step.result if step.checkpoint else None
        self.causes: list[Exception] = [decode_error(failure.error) for failure in failed] if failed else []
        """Why the attempts before this one failed."""
        self.number = failed[-1].number + 1 if failed else 1
        """Which attempt this is, from 1."""
        self.function_id = -1 if record is None else record.function_id
        self.follows = follows
        self.started_ms = 0 if record is None else record.started_ms
        if failed or record is None or record.kind != Kind.UNCHECKED:
            execution.is_replaying = False

    async def outcome(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the body gives, as a replay will see it, or its final error raised; recorded either way."""
        execution, step = self.execution, self.step
        if self.number > 1:
            await self._take_up()
        while True:
            execution.check()
            token = HERE.set(self._begin())
            try:
                value, failure = await _body(execution, step, args, kwargs), None
            except (Unloaded, Cancelled, asyncio.CancelledError):
                raise
            except BaseException as error:  # noqa: BLE001 - the user's function: its SystemExit ends the run, not the process
                value, failure = None, _as_failure(error)
            finally:
                HERE.reset(token)
                execution.port.busy_steps.pop((execution, self.position), None)
            execution.check()
            if failure is None:
                try:
                    output, value = self._settled(value)
                except SerializationError as error:  # not tried again: the next value would be of the same type
                    failure = error
                else:
                    await self._record(output, None)
                    return value
            else:
                try:
                    is_tried_again = step.policy.allows(failure) and self.number <= step.policy.retries
                except Exception as error:  # noqa: BLE001 - the user's retry_if: its error is the step's last
                    failure, is_tried_again = error, False
                if is_tried_again:
                    await self._rest(failure)
                    continue
            raise await self._fail(await self._given_up(failure))

    async def _take_up(self) -> None:
        """Go on where an earlier life ended: after a failed attempt, in the pause before the next one."""
        if self.record is not None and self.number - 1 > self.step.policy.retries:
            # The process died between its last attempt and the outcome: that attempt was made and is not made again.
            self.number -= 1
            raise await self._fail(self._exhausted())
        waiting = self.execution.history.waits.get(self.position)
        if waiting is not None and waiting.deadline_ms is not None:
            await _pause(self.execution, self.position, waiting.deadline_ms)

    def _begin(self) -> Frame:
        """Begin an attempt; what it returns is where its body stands."""
        execution = self.execution
        port = execution.port
        self.started_ms = port.clock.now_ms()
        if self.function_id < 0:
            self.function_id = execution.next_function_id()
        port.busy_steps[execution, self.position] = self.started_ms, self._show
        if port.begun is not None:
            port.begun(execution, self.position, self.step, self.number)
        return Frame(execution, self.position, self.step.name, self.number, self.function_id)

    @property
    def _kind(self) -> Kind:
        return Kind.STEP if self.step.checkpoint else Kind.UNCHECKED

    def _show(self) -> None:
        """Show a step that takes long as running; nobody waits for this."""
        execution = self.execution
        row = Begun(
            execution.run,
            execution.fence,
            self.position,
            self.function_id,
            self.step.name,
            self._kind,
            self.started_ms,
        )
        execution.port.store.post(steps.begin, row)

    def _settled(self, value: Any) -> tuple[str | None, Any]:
        """The text to record, and the value that a replay will read from it."""
        if self.kind is None:
            return None, value
        what = f"the output of step {self.step.name!r}"
        text, value = self.kind.settle(value, what)
        return self.execution.port.payloads.seal(text, what), value

    async def _record(self, output: str | None, error: str | None) -> None:
        """Write the outcome; durable when this returns, and refused unless the run is still ours."""
        if self.record is not None and self.record.ended_ms is not None:
            return  # a step with checkpoint=False that a replay repeats: it is listed already
        execution = self.execution
        port = execution.port
        now_ms = port.clock.now_ms()
        row = Outcome(
            execution.run,
            execution.fence,
            self.position,
            self.function_id,
            self.step.name,
            self._kind,
            output,
            error,
            None,
            self.number,
            self.started_ms,
            now_ms,
            self.follows,
        )
        size = len(output) if output is not None else 0
        answer = await execution.write(steps.settle if self.number > 1 else steps.record, row, size)
        if answer is not Answer.DONE:
            raise execution.refuse(answer)
        if port.probe.listeners:
            port.probe.tell(
                Event("step.recorded", execution.id, self.step.name, None, self.function_id, to_datetime(now_ms))
            )

    async def _rest(self, failure: Exception) -> None:
        """Pause after a failed attempt; the count and the pause survive this process."""
        policy, now_ms = self.step.policy, self.execution.port.clock.now_ms()
        due_ms = now_ms + round(policy.wait(self.number, random.random) * 1000)
        await self._keep_attempt(failure, now_ms, due_ms)
        await _pause(self.execution, self.position, due_ms)
        self.number += 1

    async def _keep_attempt(self, failure: Exception, ended_ms: int, due_ms: int | None) -> None:
        """Write a failed attempt, and when the next one is due: None after the last."""
        self.causes.append(failure)
        execution = self.execution
        text, _ = settle_error(failure)
        row = AttemptFailed(
            execution.run,
            execution.fence,
            self.position,
            self.function_id,
            self.step.name,
            self.number,
            self.started_ms,
            ended_ms,
            text,
            due_ms,
        )
        answer = await execution.write(steps.fail_attempt, row)
        if answer is not Answer.DONE:
            raise execution.refuse(answer)

    async def _given_up(self, failure: Exception) -> Exception:
        """What the step fails with: its error, or, when all retries were used, the list of their errors."""
        retries = self.step.policy.retries
        if not retries or self.number <= retries or isinstance(failure, SerializationError):
            return failure
        await self._keep_attempt(failure, self.execution.port.clock.now_ms(), None)
        return self._exhausted()

    def _exhausted(self) -> MaxStepRetriesExceeded:
        error = MaxStepRetriesExceeded(
            step_name=self.step.name, max_retries=self.step.policy.retries, causes=tuple(self.causes)
        )
        error.__cause__ = self.causes[-1]
        return error

    async def _fail(self, failure: Exception) -> Exception:
        """Record that the step has failed for good; returns what to raise in the body."""
        text, raised = settle_error(failure)
        await self._record(None, text)
        self.execution.failures.append((raised, self.position))
        return raised


async def _body(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the function where it belongs: here, in a thread, or (from a thread) in the loop."""
    if execution.is_async:
        if step.is_async:
            if step.timeout is None:
                return await step.fn(*args, **kwargs)
            async with _Limit(execution, step.timeout):
                return await step.fn(*args, **kwargs)
        return await _in_thread(execution, step, args, kwargs)
    if step.is_async:
        context = copy_context()
        return asyncio.run_coroutine_threadsafe(
            _in_loop(execution, partial(context.run, step.fn, *args, **kwargs), context, step.timeout),
            execution.port.loop,
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
            result, error = context.run(step.fn, *args, **kwargs), None
        except BaseException as raised:  # noqa: BLE001 - the user's function; whoever waits for the future gets it
            result, error = None, _as_exception(raised)
        settle(result, error)

    def settle(result: Any, error: BaseException | None) -> None:
        with contextlib.suppress(InvalidStateError):  # the other one was first: the outcome, or the end of the time
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    port = execution.port
    due_ms = port.clock.now_ms() + round(timeout * 1000)
    port.loop.call_soon_threadsafe(port.clock.call_at, port.loop, due_ms, lambda: settle(None, TimeoutError()))
    port.threads.submit_for_waiter(call)
    return future.result()


async def _in_loop(execution: Execution, call: Any, context: Any, timeout: float | None) -> Any:
    task = asyncio.get_running_loop().create_task(call(), context=context)
    execution.tasks.add(task)
    task.add_done_callback(execution.tasks.discard)
    if timeout is None:
        return await task
    async with _Limit(execution, timeout):
        return await task


class _Limit:
    """`asyncio.timeout` by the runtime's clock."""

    __slots__ = ("_alarm", "_due_ms", "_port", "_scope")

    def __init__(self, execution: Execution, seconds: float) -> None:
        self._port = execution.port
        self._due_ms = self._port.clock.now_ms() + round(seconds * 1000)
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._alarm = self._port.clock.call_at(self._port.loop, self._due_ms, self._expire)

    def _expire(self) -> None:
        self._scope.reschedule(self._port.loop.time())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._alarm.cancel()
        return await self._scope.__aexit__(kind, error, trace)


async def _in_thread(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A blocking function, in a thread that sees this context. A thread that outlasts its timeout is left behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def call() -> None:
        try:
            result, error = context.run(step.fn, *args, **kwargs), None
        except BaseException as raised:  # noqa: BLE001 - the user's function; the step that waits for it gets it
            result, error = None, _as_exception(raised)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits for this any more
            loop.call_soon_threadsafe(_resolve, future, result, error)

    execution.port.threads.submit(call)
    if step.timeout is None:
        return await future
    async with _Limit(execution, step.timeout):
        return await future


def _as_failure(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else _stand_in(error)


def _as_exception(error: BaseException) -> BaseException:
    # A future takes no StopIteration, and the loop would end with SystemExit or KeyboardInterrupt.
    return _stand_in(error) if isinstance(error, (StopIteration, SystemExit, KeyboardInterrupt)) else error


def _stand_in(error: BaseException) -> Exception:
    """What a replay can raise in the place of an error that is none of a step's."""
    raised = settle_error(error)[1]
    raised.__cause__ = error
    return raised


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


async def _pause(execution: Execution, position: str, due_ms: int) -> None:
    """Until the time has come, or until its row says so before."""
    clock = execution.port.clock
    if clock.now_ms() >= due_ms:
        return
    wait = execution.open_wait(position, is_timer=True)
    try:
        while clock.now_ms() < due_ms and not wait.is_hurried:
            await execution.pause(wait, due_ms)
    finally:
        execution.close_wait(wait)
