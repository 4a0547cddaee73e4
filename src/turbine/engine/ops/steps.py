"""Steps: run the body, or give back what was recorded. The hottest path of the product."""

from __future__ import annotations

import asyncio
import random
from typing import Any, NoReturn

from turbine.clock import to_datetime
from turbine.codec import decode_error, encode_error, settle_error
from turbine.engine.bodies import as_failure, run_body
from turbine.engine.durable_call import DurableCall, replay_record
from turbine.engine.execution import BackgroundStep, Execution
from turbine.engine.outcomes import Signal, Unloaded
from turbine.engine.step_scope import StepScope
from turbine.errors import Cancelled, MaxStepRetriesExceeded, SerializationError
from turbine.model.history import Recorded
from turbine.model.steps import Kind
from turbine.model.workflows import Event
from turbine.registry import StepDefinition, current_scope
from turbine.tables import steps
from turbine.tables.ownership import Answer
from turbine.tables.steps import AttemptFailed, Begun, Outcome


async def call_step(
    execution: Execution,
    position: str,
    step: StepDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    background: BackgroundStep | None = None,
) -> Any:
    """The outcome of a step at a position: replayed if it is recorded, else made and recorded.

    The body has the outcome when this returns, unless it is a background step, whose outcome the body takes later.
    """
    call = await StepCall.at(execution, position, step.name)
    record = call.record
    if record is not None and record.ended_ms is not None and record.kind != Kind.UNCHECKED:
        execution.has_outcome(record.function_id, background)
        if record.kind == Kind.BROKEN_OFF:
            await _until_broken_off(execution, position)
        return call.replayed(step)
    if execution.is_replay_check:
        await execution.stay()
    call.prepare(step, background)
    with call:
        try:
            if position in execution.kept:
                return await call.record_kept()
            return await call.attempt(args, kwargs)
        except asyncio.CancelledError as error:
            if not _is_broken_off(execution):
                raise
            return await call.break_off(error)


async def _until_broken_off(execution: Execution, position: str) -> NoReturn:
    """Wait until the body breaks this call off again, as it did when the call was live."""
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
    """Whether the running body itself cancels the running task, and not the end of the whole pass."""
    if execution.signal is not None or execution.is_over or not _is_cancelled(execution):
        return False
    if execution.app.is_torn_down():
        execution.end(Signal.INTERRUPT)
        return False
    return True


def _is_cancelled(execution: Execution) -> bool:
    """Whether the running task is being cancelled; otherwise a CancelledError was raised by what it calls."""
    task = asyncio.current_task() if execution.is_async else None
    return task is not None and task.cancelling() > 0


class StepCall(DurableCall):
    """A step at its position: its attempts, until an outcome is recorded."""

    __slots__ = ("background", "causes", "follows", "number", "on_its_way", "result", "step")

    def prepare(self, step: StepDefinition, background: BackgroundStep | None) -> None:
        """Take up what earlier passes left of the step, before its first attempt in this one."""
        execution, record = self.execution, self.record
        failed = execution.history.failures.get(self.position)
        self.step = step
        self.background = background
        # An annotation that cannot be resolved is reported before the body runs.
        self.result = step.result if step.checkpoint else None
        self.causes: list[Exception] = [decode_error(failure.error) for failure in failed] if failed else []
        """Why the attempts before this one failed."""
        self.number = failed[-1].number + 1 if failed else 1
        """Which attempt this is, from 1."""
        if record is not None:
            self.function_id = record.function_id
            self.started_ms = record.started_ms
        self.follows = execution.last_step if background is None else background.follows
        self.on_its_way: tuple[Any, Exception | None] = None, None
        """The outcome that is being written."""
        if failed or record is None or record.kind != Kind.UNCHECKED:
            execution.is_replaying = False

    def __exit__(self, *_: object) -> None:
        self.execution.has_outcome(self.function_id, self.background)
        self.execution.leave()

    async def attempt(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of the body as a replay will see it, or its final error raised; recorded either way."""
        execution, step = self.execution, self.step
        if self.number > 1:
            await self._take_up()
        while True:
            execution.check()
            token = current_scope.set(self._begin_attempt())
            try:
                value, failure = await run_body(execution, step, args, kwargs), None
            except (Unloaded, Cancelled, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and _is_cancelled(execution):
                    raise
                if execution.signal is not None:
                    raise execution.ending() from error  # a thread gets another class than the event loop
                value, failure = None, as_failure(error)  # raised by the body itself: an error like any other
            except BaseException as error:  # noqa: BLE001 - the user's function: its SystemExit ends the run, not the process
                value, failure = None, as_failure(error)
            finally:
                current_scope.reset(token)
                execution.app.busy_steps.pop((execution.run, self.position), None)
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
                    failure, is_tried_again = as_failure(error), False
                if is_tried_again:
                    execution.check()
                    await self._rest(failure)
                    continue
            raise await self._fail(await self._final(failure))

    async def _take_up(self) -> None:
        """Go on where an earlier pass ended: after a failed attempt, in the pause before the next one."""
        if self.record is not None and self.number - 1 > self.step.policy.retries:
            # The process died between its last attempt and the outcome: that attempt was made and is not made again.
            self.number -= 1
            raise await self._fail(self._exhausted())
        waiting = self.waiting
        if waiting is not None and waiting.deadline_ms is not None:
            await self._pause(waiting.deadline_ms)

    def _begin_attempt(self) -> StepScope:
        execution = self.execution
        app = execution.app
        self.started_ms = app.clock.now_ms()
        if self.function_id < 0:
            self.function_id = execution.next_function_id()
        app.busy_steps[execution.run, self.position] = self.started_ms, self._show
        if app.on_step_begin is not None:
            app.on_step_begin(execution.id, self.position, self.step, self.number)
        return StepScope(execution, self.position, self.name, self.number, self.function_id)

    @property
    def _step_kind(self) -> Kind:
        return Kind.STEP if self.step.checkpoint else Kind.UNCHECKED

    def _show(self) -> None:
        """Show a step that takes long as running, without waiting for the write."""
        execution = self.execution
        row = Begun(
            run=execution.run,
            fence=execution.fence,
            position=self.position,
            function_id=self.function_id,
            name=self.name,
            kind=self._step_kind,
            started_ms=self.started_ms,
        )
        execution.app.store.post(steps.begin, row)

    def _settled(self, value: Any) -> tuple[str | None, Any]:
        """The text to record, and the value that a replay will read from it."""
        if self.result is None:
            return None, value
        what = f"the output of step {self.name!r}"
        text, value = self.result.settle(value, what)
        return self.execution.app.payloads.seal(text, what), value

    async def _record(self, output: str | None, error: str | None) -> None:
        """Write the outcome; durable when this returns, and refused unless the run is still ours."""
        if self.is_recorded:
            return  # a step with checkpoint=False that a replay repeats: it is listed already
        await self._write_outcome(self.outcome(output, error, kind=self._step_kind))

    async def _write_outcome(self, row: Outcome) -> None:
        execution = self.execution
        size = len(row.output) if row.output is not None else 0
        try:
            execution.check()
            await self.write(steps.settle if self.number > 1 else steps.record, row, size)
        except Unloaded:
            if execution.signal is Signal.AWAY and self.step.checkpoint:
                execution.kept[self.position] = row
            raise
        self._publish(row)

    def _publish(self, row: Outcome) -> None:
        app = self.execution.app
        if app.probe.listeners:
            at = to_datetime(row.ended_ms or 0)
            app.probe.tell(Event("step.recorded", self.execution.id, row.name, None, row.function_id, at))

    async def record_kept(self) -> Any:
        """The outcome of an earlier pass that the database did not take: recorded now, as if it were made now."""
        execution = self.execution
        kept = execution.kept.pop(self.position)
        if self.function_id < 0:
            self.function_id = execution.next_function_id()
        self.number = kept.attempts
        row = kept._replace(function_id=self.function_id, follows=self.follows)
        record = Recorded(
            position=row.position,
            function_id=row.function_id,
            name=row.name,
            kind=row.kind,
            output=row.output,
            error=row.error,
            child=None,
            started_ms=row.started_ms,
            ended_ms=row.ended_ms,
        )
        value, failure = None, None
        try:
            value = replay_record(execution, record, self.step)
        except Exception as error:  # noqa: BLE001 - the step's own, raised once it is recorded
            failure = error
        self.on_its_way = value, failure
        await self._write_outcome(row)
        if failure is not None:
            raise failure
        return value

    async def break_off(self, error: asyncio.CancelledError) -> Any:
        """Record that the body broke this call off, and raise its cancellation.

        If an outcome was being written at that moment it stands: the body gets it, as in every replay.
        """
        execution = self.execution
        if self.is_recorded:
            raise error  # a step with checkpoint=False that a replay repeats
        row = self.outcome(None, encode_error(asyncio.CancelledError(), traceback=False), kind=Kind.BROKEN_OFF)
        writing = asyncio.ensure_future(execution.write(steps.settle, row))
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        while not writing.done():
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:  # cancelled again while it is being broken off
                execution.check()
        if writing.result() is Answer.ALREADY:
            value, failure = self.on_its_way
            if failure is not None:
                raise failure
            return value
        execution.accept(writing.result())
        self._publish(row)
        execution.failures.append((error, self.position))
        raise error

    async def _rest(self, failure: Exception) -> None:
        """Pause after a failed attempt; the count and the pause survive this process."""
        policy, now_ms = self.step.policy, self.execution.app.clock.now_ms()
        due_ms = now_ms + round(policy.wait(self.number, random.random) * 1000)
        await self._keep_attempt(failure, now_ms, due_ms)
        await self._pause(due_ms)
        self.number += 1

    async def _pause(self, due_ms: int) -> None:
        """Wait until the time has come, or until the row of the wait says so earlier."""
        execution = self.execution
        clock = execution.app.clock
        if clock.now_ms() >= due_ms:
            return
        wait = execution.open_wait(self.position, is_timer=True)
        try:
            while clock.now_ms() < due_ms and not wait.is_expedited:
                await execution.pause(wait, due_ms)
        finally:
            execution.close_wait(wait)

    async def _keep_attempt(self, failure: Exception, ended_ms: int, due_ms: int | None) -> None:
        """Write a failed attempt, and when the next one is due: None after the last."""
        self.causes.append(failure)
        execution = self.execution
        text, _ = settle_error(failure)
        row = AttemptFailed(
            run=execution.run,
            fence=execution.fence,
            position=self.position,
            function_id=self.function_id,
            name=self.name,
            number=self.number,
            started_ms=self.started_ms,
            ended_ms=ended_ms,
            error=text,
            due_ms=due_ms,
        )
        await self.write(steps.fail_attempt, row)

    async def _final(self, failure: Exception) -> Exception:
        """The error of the step: that of its attempt, or, when all retries were used, the list of their errors."""
        retries = self.step.policy.retries
        if not retries or self.number <= retries or isinstance(failure, SerializationError):
            return failure
        await self._keep_attempt(failure, self.execution.app.clock.now_ms(), None)
        return self._exhausted()

    def _exhausted(self) -> MaxStepRetriesExceeded:
        error = MaxStepRetriesExceeded(
            step_name=self.name, max_retries=self.step.policy.retries, causes=tuple(self.causes)
        )
        error.__cause__ = self.causes[-1]
        return error

    async def _fail(self, failure: Exception) -> Exception:
        """Record that the step has failed for good; returns the error to raise in the body."""
        text, raised = settle_error(failure)
        self.on_its_way = None, raised
        await self._record(None, text)
        return self.failed(raised)
