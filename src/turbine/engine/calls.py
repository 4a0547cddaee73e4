"""Steps: run the body, or give back what was recorded. The hottest path of the product."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError as CancelledFuture
from concurrent.futures import Future, InvalidStateError
from contextvars import Context, copy_context
from functools import partial
from types import TracebackType
from typing import Any, NoReturn

from turbine.clock import to_datetime
from turbine.codec import Misfit, PayloadType, decode_error, encode_error, recall_error, settle_error
from turbine.engine.bodies import Body, running
from turbine.engine.branches import StepScope
from turbine.engine.execution import BackgroundStep, Execution
from turbine.engine.outcomes import Signal, Unloaded
from turbine.errors import Cancelled, MaxStepRetriesExceeded, SerializationError
from turbine.model.history import Recorded
from turbine.model.steps import Kind
from turbine.model.workflows import Event
from turbine.registry import StepDefinition, WorkflowDefinition, current_scope
from turbine.tables import steps
from turbine.tables.ownership import Answer
from turbine.tables.steps import AttemptFailed, Begun, Outcome
from turbine.threads import Call

log = logging.getLogger("turbine")


async def call_step(
    execution: Execution,
    position: str,
    step: StepDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    background: BackgroundStep | None = None,
) -> Any:
    """The outcome of a step at a position: replayed if it is recorded, else made and recorded.

    The body has it when this returns, unless it is an errand of the body, which goes on and takes it later.
    """
    if execution.signal is not None:
        await execution.raise_if_stopping()
    record = execution.recorded(position, step.name)
    if record is not None and record.ended_ms is not None and record.kind != Kind.UNCHECKED:
        execution.has_outcome(record.function_id, background)
        if record.kind == Kind.BROKEN_OFF:
            await _until_broken_off(execution, position)
        return replayed(execution, record, step)
    if execution.is_replay_check:
        await execution.stay()
    live = _LiveStep(
        execution, position, step, record, execution.last_step if background is None else background.follows
    )
    execution.busy += 1
    try:
        if position in execution.kept:
            return await live.outcome_kept()
        return await live.outcome(args, kwargs)
    except asyncio.CancelledError as error:
        if not _is_broken_off(execution):
            raise
        return await live.broken_off(error)
    finally:
        execution.has_outcome(live.function_id, background)
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


async def _until_broken_off(execution: Execution, position: str) -> NoReturn:
    """The body broke this call off: wait until it does that again."""
    execution.busy += 1
    wait = execution.open_wait(position)
    try:
        while True:
            await wait.pause()
            execution.check()
    except asyncio.CancelledError as error:
        execution.failures.append((error, position))
        raise
    finally:
        execution.close_wait(wait)
        execution.leave()


def _is_broken_off(execution: Execution) -> bool:
    """Whether it is the running body that cancels the running task, and nothing that ends the whole pass."""
    if execution.signal is not None or execution.is_over or not _is_cancelled(execution):
        return False
    if execution.app.is_torn_down():
        execution.end(Signal.INTERRUPT)
        return False
    return True


def _is_cancelled(execution: Execution) -> bool:
    """Whether somebody cancels the running task; else what it calls has raised CancelledError by itself."""
    task = asyncio.current_task() if execution.is_async else None
    return task is not None and task.cancelling() > 0


class _LiveStep:
    """A step that has no outcome yet: its attempts, until one is recorded."""

    __slots__ = (
        "causes",
        "execution",
        "follows",
        "function_id",
        "kind",
        "number",
        "on_its_way",
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
        self.on_its_way: tuple[Any, Exception | None] = None, None
        """The outcome that the database is about to take."""
        if failed or record is None or record.kind != Kind.UNCHECKED:
            execution.is_replaying = False

    async def outcome(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the body gives, as a replay will see it, or its final error raised; recorded either way."""
        execution, step = self.execution, self.step
        if self.number > 1:
            await self._take_up()
        while True:
            execution.check()
            token = current_scope.set(self._begin())
            try:
                value, failure = await _body(execution, step, args, kwargs), None
            except (Unloaded, Cancelled, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and _is_cancelled(execution):
                    raise
                if execution.signal is not None:
                    raise execution.ending() from error  # which may be another one here than in the other half
                value, failure = None, _as_failure(error)  # nobody told it so: it is an error like any other
            except BaseException as error:  # noqa: BLE001 - the user's function: its SystemExit ends the run, not the process
                value, failure = None, _as_failure(error)
            finally:
                current_scope.reset(token)
                execution.app.busy_steps.pop((execution, self.position), None)
            if execution.signal is not Signal.AWAY:  # else the outcome is kept, for the next pass to record
                execution.check()
            if failure is None:
                try:
                    output, value = self._settled(value)
                except SerializationError as error:  # not tried again: the next value would be of the same type
                    failure = error
                else:
                    self.on_its_way = value, None
                    await self._record(output, None)
                    return value
            elif execution.is_ours(failure):
                raise execution.away(failure) from failure
            else:
                try:
                    is_tried_again = step.policy.allows(failure) and self.number <= step.policy.retries
                except BaseException as error:  # noqa: BLE001 - the user's retry_if: its error is the step's last
                    failure, is_tried_again = _as_failure(error), False
                if is_tried_again:
                    execution.check()
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

    def _begin(self) -> StepScope:
        """Begin an attempt; what it returns is where its body stands."""
        execution = self.execution
        app = execution.app
        self.started_ms = app.clock.now_ms()
        if self.function_id < 0:
            self.function_id = execution.next_function_id()
        app.busy_steps[execution, self.position] = self.started_ms, self._show
        if app.begun is not None:
            app.begun(execution, self.position, self.step, self.number)
        return StepScope(execution, self.position, self.step.name, self.number, self.function_id)

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
        execution.app.store.post(steps.begin, row)

    def _settled(self, value: Any) -> tuple[str | None, Any]:
        """The text to record, and the value that a replay will read from it."""
        if self.kind is None:
            return None, value
        what = f"the output of step {self.step.name!r}"
        text, value = self.kind.settle(value, what)
        return self.execution.app.payloads.seal(text, what), value

    async def _record(self, output: str | None, error: str | None) -> None:
        """Write the outcome; durable when this returns, and refused unless the run is still ours."""
        if self.record is not None and self.record.ended_ms is not None:
            return  # a step with checkpoint=False that a replay repeats: it is listed already
        await self._write(self._row(output, error, self._kind))

    def _row(self, output: str | None, error: str | None, kind: Kind) -> Outcome:
        execution = self.execution
        return Outcome(
            execution.run,
            execution.fence,
            self.position,
            self.function_id,
            self.step.name,
            kind,
            output,
            error,
            None,
            self.number,
            self.started_ms,
            execution.app.clock.now_ms(),
            self.follows,
        )

    async def _write(self, row: Outcome) -> None:
        execution = self.execution
        size = len(row.output) if row.output is not None else 0
        try:
            execution.check()
            answer = await execution.write(steps.settle if self.number > 1 else steps.record, row, size)
        except Unloaded:
            if execution.signal is Signal.AWAY and self.step.checkpoint:
                execution.kept[self.position] = row
            raise
        if answer is not Answer.DONE:
            raise execution.refuse(answer)
        self._tell(row)

    def _tell(self, row: Outcome) -> None:
        app = self.execution.app
        if app.probe.listeners:
            at = to_datetime(row.ended_ms or 0)
            app.probe.tell(Event("step.recorded", self.execution.id, row.name, None, row.function_id, at))

    async def outcome_kept(self) -> Any:
        """The outcome of a former pass that the database did not take: recorded now, as if it were made now."""
        execution = self.execution
        kept = execution.kept.pop(self.position)
        if self.function_id < 0:
            self.function_id = execution.next_function_id()
        self.number = kept.attempts
        row = kept._replace(function_id=self.function_id, follows=self.follows)
        record = Recorded(
            row.position,
            row.function_id,
            row.name,
            row.kind,
            row.output,
            row.error,
            None,
            row.started_ms,
            row.ended_ms,
        )
        value, failure = None, None
        try:
            value = replayed(execution, record, self.step)
        except Exception as error:  # noqa: BLE001 - the step's own, raised once it is recorded
            failure = error
        self.on_its_way = value, failure
        await self._write(row)
        if failure is not None:
            raise failure
        return value

    async def broken_off(self, error: asyncio.CancelledError) -> Any:
        """Record that the body broke this call off, and let it be so.

        An outcome that was on its way to the database just then stands: the body gets it, as in every replay.
        """
        execution = self.execution
        if self.record is not None and self.record.ended_ms is not None:
            raise error  # a step with checkpoint=False that a replay repeats
        row = self._row(None, encode_error(asyncio.CancelledError(), traceback=False), Kind.BROKEN_OFF)
        writing = asyncio.ensure_future(execution.write(steps.settle, row))
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        while not writing.done():
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:  # again: it is being broken off already
                execution.check()
        answer = writing.result()
        if answer is Answer.ALREADY:
            value, failure = self.on_its_way
            if failure is not None:
                raise failure
            return value
        if answer is not Answer.DONE:
            raise execution.refuse(answer)
        self._tell(row)
        execution.failures.append((error, self.position))
        raise error

    async def _rest(self, failure: Exception) -> None:
        """Pause after a failed attempt; the count and the pause survive this process."""
        policy, now_ms = self.step.policy, self.execution.app.clock.now_ms()
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
        await self._keep_attempt(failure, self.execution.app.clock.now_ms(), None)
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
        self.on_its_way = None, raised
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
        return _from_thread(execution, step, args, kwargs)
    return _blocking(execution, step, args, kwargs)


def _from_thread(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A coroutine function beside its blocking caller, in the loop. A run that is told to end cancels it."""
    act = _in_loop(execution, partial(step.fn, *args, **kwargs), copy_context(), step.timeout)
    future = asyncio.run_coroutine_threadsafe(act, execution.app.loop)
    try:
        return future.result()
    except CancelledFuture:
        if future.cancelled():
            raise asyncio.CancelledError from None  # what it was in the loop
        raise


def _blocking(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A blocking function beside its blocking caller. One that outlasts its timeout is left behind in its thread."""
    frame = current_scope.get()
    assert isinstance(frame, StepScope)
    body = running(execution, step, frame)
    if body is None and step.timeout is None and execution.thread == threading.get_ident():
        return step.fn(*args, **kwargs)  # the body's own thread, which no pass leaves before this returns
    is_taken_over = body is not None
    body = body or Body(execution, step, frame)
    future: Future[Any] = Future()

    def settle(result: Any, error: BaseException | None) -> None:
        with contextlib.suppress(InvalidStateError):  # the other one was first: the outcome, or the end of the time
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(_as_exception(error))

    body.await_(settle)
    call = None
    if not is_taken_over and step.timeout is None:
        body.run(args, kwargs)
    elif not is_taken_over:
        context = copy_context()
        call = execution.app.threads.submit_for_waiter(lambda: context.run(body.run, args, kwargs))
    if step.timeout is not None:
        app = execution.app
        due_ms = app.clock.now_ms() + round(step.timeout * 1000)
        app.loop.call_soon_threadsafe(app.clock.call_at, app.loop, due_ms, lambda: settle(None, _OutOfTime()))
    try:
        return future.result()
    except _OutOfTime:
        _give_up(execution, step, body, call)
        raise TimeoutError from None
    except BaseException as error:
        if is_taken_over and body.was_ended(error):
            return _blocking(execution, step, args, kwargs)
        raise


class _OutOfTime(Exception):
    """The time of an attempt was over before its function."""


def _give_up(execution: Execution, step: StepDefinition, body: Body, call: Call | None) -> None:
    """Wait for a function no more that runs in a thread, which cannot be stopped."""
    body.await_(None)
    threads = execution.app.threads
    goes_on = call is None or threads.give_up(call)
    if goes_on and execution.signal is None:
        body.frame.is_given_up = True
        log.warning(
            "Step %r of run %s was given up while its function runs in a thread, where it goes on: Python cannot stop"
            " it. %s such threads run now. Have the function call turbine.check_cancelled() now and then, or pass a"
            " timeout to what it waits for.",
            step.name,
            execution.id,
            threads.given_up,
        )


async def _in_loop(execution: Execution, call: Callable[[], Any], context: Context, timeout: float | None) -> Any:
    task = asyncio.get_running_loop().create_task(_contained(call), context=context)
    execution.tasks.add(task)
    task.add_done_callback(execution.tasks.discard)
    if execution.signal is not None:
        task.cancel()
    if timeout is None:
        return await task
    async with _Limit(execution, timeout):
        return await task


async def _contained(call: Callable[[], Any]) -> Any:
    try:
        return await call()
    except (SystemExit, KeyboardInterrupt) as error:  # which would end the event loop
        raise _stand_in(error) from error


class _Limit:
    """`asyncio.timeout` by the runtime's clock."""

    __slots__ = ("_alarm", "_app", "_due_ms", "_scope")

    def __init__(self, execution: Execution, seconds: float) -> None:
        self._app = execution.app
        self._due_ms = self._app.clock.now_ms() + round(seconds * 1000)
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._alarm = self._app.clock.call_at(self._app.loop, self._due_ms, self._expire)

    def _expire(self) -> None:
        self._scope.reschedule(self._app.loop.time())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._alarm.cancel()
        return await self._scope.__aexit__(kind, error, trace)


async def _in_thread(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A blocking function, in a thread that sees this context. A thread that outlasts its timeout is left behind."""
    frame = current_scope.get()
    assert isinstance(frame, StepScope)
    former = running(execution, step, frame)
    body = former or Body(execution, step, frame)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits for this any more
            loop.call_soon_threadsafe(_resolve, future, result, None if error is None else _as_exception(error))

    body.await_(settle)
    call = None
    if former is None:
        context = copy_context()
        call = execution.app.threads.submit(lambda: context.run(body.run, args, kwargs))
    try:
        if step.timeout is None:
            return await future
        async with _Limit(execution, step.timeout):
            return await future
    except BaseException as error:
        if future.cancelled():
            _give_up(execution, step, body, call)
        elif former is not None and body.was_ended(error):
            return await _in_thread(execution, step, args, kwargs)
        raise


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
    clock = execution.app.clock
    if clock.now_ms() >= due_ms:
        return
    wait = execution.open_wait(position, is_timer=True)
    try:
        while clock.now_ms() < due_ms and not wait.is_expedited:
            await execution.pause(wait, due_ms)
    finally:
        execution.close_wait(wait)
