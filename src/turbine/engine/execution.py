"""One pass over one run, in memory: its history, its open waits, its signal, and its only way to the store.

The same code serves coroutines and threads. In an async run `write` and `pause` suspend; in a blocking run they block
the thread and return without ever suspending, so `run_inline` can drive the coroutines of the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from turbine.clock import Alarm
from turbine.codec import Misfit, PayloadType, UnresolvedAnnotation
from turbine.engine.app import App
from turbine.engine.outcomes import Mismatch, Signal, Unloaded
from turbine.engine.waits import OpenWait
from turbine.errors import Cancelled as CancelledInThread
from turbine.errors import ForkedProcess, NonDeterministicWorkflow, ShuttingDown, StoreUnavailable
from turbine.model.history import Recorded, RunRecords
from turbine.registry import StepDefinition, WorkflowDefinition
from turbine.tables.ownership import Answer
from turbine.tables.runs import Claimed
from turbine.tables.steps import Outcome
from turbine.threads import running_loop

T = TypeVar("T")

REFUSALS_AT_ONCE = 100
REFUSAL_PAUSE_MAX = 1.0
"""Seconds that a durable call takes to refuse, at most."""
GRACE = 1.0
"""Seconds that a body gets to unwind by itself after it was signalled to end."""
_MAY_FOLLOW = (
    (Signal.PARK, Signal.CANCELLED),
    (Signal.AWAY, Signal.CANCELLED),
    (Signal.AWAY, Signal.INTERRUPT),
)


class BackgroundStep:
    """A step that runs beside the body, in a task or thread of its own."""

    __slots__ = ("follows", "function_id")

    def __init__(self, execution: Execution) -> None:
        self.follows = execution.last_step
        """The last step whose outcome the body had when it started this one; see `Outcome.follows`."""
        self.function_id = -1
        """Of the step, once it is over."""


@dataclass(frozen=True, slots=True)
class EndedBody:
    """The result of a blocking step function that ended while no pass of its run awaited it."""

    fn: Callable[..., Any]
    attempt: int
    value: Any
    error: BaseException | None


class Execution:
    """A run that this process is carrying out."""

    __slots__ = (
        "_next_function_id",
        "app",
        "attempt",
        "busy",
        "claimed",
        "definition",
        "ended_bodies",
        "failures",
        "fence",
        "history",
        "id",
        "is_async",
        "is_new",
        "is_over",
        "is_replaying",
        "kept",
        "last_step",
        "listeners",
        "main",
        "mismatch",
        "paused",
        "paused_since_ms",
        "reason",
        "refusals",
        "run",
        "signal",
        "tasks",
        "thread",
        "turn",
        "waits",
    )
    is_replay_check = False
    """Whether code is only compared with a history: no step runs, and calls beyond the history never return."""

    def __init__(
        self,
        app: App,
        claimed: Claimed,
        definition: WorkflowDefinition,
        history: RunRecords | None,
        paused: Callable[[Execution, bool], None],
    ) -> None:
        """`paused` is called when the run only waits, and with whether the waiting call itself says so."""
        self.app = app
        self.claimed = claimed
        self.run = claimed.run
        self.id = claimed.id
        self.fence = claimed.fence
        self.attempt = claimed.attempts
        self.definition = definition
        self.paused = paused
        self.is_async = definition.is_async
        self.is_new = history is None
        """Whether it was just started in this process, with arguments that this very code has encoded."""
        self.history = history or RunRecords()
        self._next_function_id = self.history.next_function_id
        self.is_replaying = bool(self.history.recorded)
        self.last_step = -1
        """The highest function id of the steps whose outcomes the body has."""
        self.signal: Signal | None = None
        self.reason: str | None = None
        self.refusals = 0
        self.mismatch: Mismatch | None = None
        self.main: asyncio.Task[Any] | None = None
        self.thread: int | None = None
        """The thread that runs a blocking body."""
        self.waits: dict[str, OpenWait] = {}
        self.turn = threading.Lock()
        """Held while a wait ends, or while all of them are broken off: one of the two comes first."""
        self.busy = 0
        """Durable calls in progress that do not wait."""
        self.paused_since_ms: int | None = None
        self.failures: list[tuple[BaseException, str]] = []
        """Errors that steps have raised into the body, with their positions, in that order."""
        self.is_over = False
        """Whether the body has ended; calls that are cancelled from now on are not broken off by the body."""
        self.kept: dict[str, Outcome] = {}
        """Outcomes of steps that the database could not take, by position; the next pass here writes them."""
        self.ended_bodies: dict[str, EndedBody] = {}
        """Results of blocking step functions that no pass awaited, by position; the next pass here takes them over."""
        self.tasks: set[asyncio.Task[Any]] = set()
        """Tasks that end with the body: steps beside it, and in a blocking run the async steps."""
        self.listeners: list[asyncio.Future[Any]] = []
        """Handles in this process that wait for the outcome."""

    @classmethod
    def after(cls, former: Execution, definition: WorkflowDefinition, history: RunRecords) -> Execution:
        """The next pass of a run that this process still owns."""
        execution = cls(former.app, former.claimed, definition, history, former.paused)
        execution.listeners = former.listeners
        execution.kept = former.kept
        execution.ended_bodies = former.ended_bodies
        return execution

    def running(self) -> Any:
        """The task or thread that runs this code. Raises RuntimeError in an async run where no event loop runs."""
        return asyncio.current_task() if self.is_async else threading.get_ident()

    def as_callable(self, operation: Coroutine[Any, Any, T]) -> Any:
        """The coroutine itself for async user code, its result for blocking code."""
        return operation if self.is_async else run_inline(operation)

    def next_function_id(self) -> int:
        number = self._next_function_id
        self._next_function_id += 1
        return number

    def has_outcome(self, function_id: int, background: BackgroundStep | None = None) -> None:
        """Note that the body has the outcome of a step, or can take it from a background step."""
        if background is not None:
            background.function_id = function_id
        elif function_id > self.last_step:
            self.last_step = function_id

    # Signals

    def check(self) -> None:
        """Raise the error that ends this pass, if it has a signal."""
        if self.signal is not None:
            raise self.ending()

    async def raise_if_stopping(self) -> NoReturn:
        """Raise the error that ends this pass; ever more slowly in a body that catches it and calls again and again.

        Such a body never ends, but it must not keep the event loop, or a processor, busy.
        """
        self.refusals += 1
        if self.refusals > REFUSALS_AT_ONCE:
            pause = min(REFUSAL_PAUSE_MAX, 0.001 * (self.refusals - REFUSALS_AT_ONCE))
            if self.is_async:
                await asyncio.sleep(pause)
            else:
                time.sleep(pause)  # noqa: ASYNC251 - in a thread: the operations of blocking runs never suspend
        raise self.ending()

    def ending(self) -> BaseException:
        """The error that ends the body."""
        if self.signal is Signal.CANCELLED:
            return cancelled(self.reason)
        if self.signal is Signal.FORKED:
            return ForkedProcess()
        return Unloaded()

    def end(self, signal: Signal, reason: str | None = None) -> None:
        """End this pass: abort every wait, and let no durable call act from now on. Called in the loop.

        The first signal counts, but a pass that is being parked may still be cancelled, and one that lost the database
        may be cancelled or interrupted.
        """
        with self.turn:
            # A thread that was nudged at this moment goes on with its body; then it is too late to park it.
            if signal is Signal.PARK and not self.is_idle:
                return
            if self.signal is not None and (self.signal, signal) not in _MAY_FOLLOW:
                return
            self.signal = signal
            self.reason = reason
        for wait in list(self.waits.values()):
            wait.abort(self.ending())
        if signal is not Signal.PARK:
            self.force_cancel()

    def refuse(self, answer: Answer) -> BaseException:
        """The error to raise after a write of this run was refused."""
        self._note(Signal.CANCELLED if answer is Answer.CANCELLED else Signal.LOST)
        return self.ending()

    def away(self, because: BaseException) -> BaseException:
        """The error to raise while the database refuses writes, or the runtime does because it shuts down.

        It is no outcome that the body could handle: what it would do next could not be recorded either.
        """
        self._note(Signal.AWAY, str(self._own_error(because) or because))
        return self.ending()

    async def of_step(self, act: Coroutine[Any, Any, T]) -> T:
        """Run a call of Turbine's API inside a step: an unavailable database is no failure of the step."""
        try:
            return await act
        except StoreUnavailable as error:
            if not self.is_ours(error):
                raise
            raise self.away(error) from error

    def is_ours(self, error: BaseException) -> bool:
        """Whether this runtime itself says by an error that it cannot go on now, so that the run is not to blame.

        Errors of another runtime, or of user code that raises the same classes, are errors like any other.
        """
        return self._own_error(error) is not None

    def _own_error(self, error: BaseException) -> BaseException | None:
        return next(
            (
                link
                for link in _chain(error)
                if isinstance(link, (StoreUnavailable, ShuttingDown)) and link.origin is self.app.store
            ),
            None,
        )

    def _note(self, signal: Signal, reason: str | None = None) -> None:
        if self.signal is None:
            self.signal = signal
            self.reason = reason
            self.app.loop.call_soon_threadsafe(self._abort_waits)

    def _abort_waits(self) -> None:
        for wait in list(self.waits.values()):
            wait.abort(self.ending())
        self.app.loop.call_later(GRACE, self.force_cancel)

    def force_cancel(self) -> None:
        """Cancel a body that was signalled to end and still waits for something of its own."""
        if self.signal is Signal.AWAY and any(run == self.run for run, _ in list(self.app.busy_steps)):
            self.app.loop.call_later(GRACE, self.force_cancel)  # the outcomes of its steps are kept for the next pass
        elif self.main is not None:
            self.main.cancel()
        elif not self.is_async:  # its thread cannot be cancelled, but the tasks that it waits for can
            for task in list(self.tasks):
                task.cancel()

    # Replay

    async def stay(self) -> NoReturn:
        """Never returns: called at the end of the history when `is_replay_check` is set."""
        raise self.ending()

    def recorded(self, position: str, name: str) -> Recorded | None:
        """The record at a position. The pass ends when it is the record of another call."""
        record = self.history.recorded.get(position)
        if record is not None and record.name != name:
            error = NonDeterministicWorkflow(workflow_id=self.id, position=position, recorded=record.name, asked=name)
            raise self.set_aside(Mismatch(str(error), position, record.name, name))
        return record

    def recall(
        self, position: str, name: str, kind: PayloadType[T], stored: str, what: str, *, is_sealed: bool = True
    ) -> T:
        """The value recorded at a position, perhaps by an earlier version of the code.

        When it does not fit, the pass ends; the body must not take that for a failure of the step.
        """
        try:
            return kind.recall(self.app.payloads.open(stored) if is_sealed else stored, what)
        except Exception as error:
            raise self.misfit(position, name, what, error) from error

    def recall_arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that the run was started with. The pass ends when they do not fit."""
        try:
            return self.definition.signature.recall(self.app.payloads.open(self.claimed.inputs))
        except Exception as error:
            raise self.misfit(None, "input", "the recorded input", error) from error

    def type_of(
        self, position: str, name: str, typed: StepDefinition | WorkflowDefinition | PayloadType[Any]
    ) -> PayloadType[Any]:
        """The type of the value recorded at a position. The pass ends when it cannot be resolved any more."""
        try:
            return typed if isinstance(typed, PayloadType) else typed.result
        except UnresolvedAnnotation as error:
            raise self.misfit(position, name, f"what is recorded of {name!r} at position {position}", error) from error

    def misfit(self, position: str | None, name: str, what: str, error: Exception) -> BaseException:
        """Note that the code does not take what is recorded. Returns the error that ends the pass."""
        # Anything but a Misfit comes from the user's own payload codec, or from an annotation.
        reason = str(error) if isinstance(error, Misfit) else f"{what} cannot be read: {type(error).__name__}: {error}"
        text = (
            f"Workflow {self.definition.name!r} cannot go on: {reason}. Nothing is lost: the run goes on by itself when"
            " code that takes what is recorded is launched (the type as it was, or one that reads both forms), or when"
            " it is resumed after that."
        )
        return self.set_aside(Mismatch(text, position, name, reason))

    def set_aside(self, mismatch: Mismatch) -> BaseException:
        """Note that code and history do not fit: the run stops and is kept. Returns the error that ends the pass."""
        if self.mismatch is None:
            self.mismatch = mismatch
        self._note(Signal.MISMATCH)
        return self.ending()

    # Writing

    async def write(self, function: Any, row: Any, size: int = 0, then: Callable[[Any], None] | None = None) -> Any:
        """Hand one row to a bulk function and wait for its answer; in a thread, by blocking.

        `then` is called with the answer in the loop, even when the caller was cancelled meanwhile.
        """
        try:
            if not self.is_async:
                answer = self.app.store.submit_blocking(function, row, size).wait()
                if then is not None:
                    self.app.loop.call_soon_threadsafe(then, answer)
                return answer
            entered = self.app.store.submit(function, row, size)
            if then is None:
                return await entered
            entered.add_done_callback(lambda done: done.cancelled() or done.exception() or then(done.result()))
            return await asyncio.shield(entered)
        except StoreUnavailable as error:
            raise self.away(error) from error

    def accept(self, answer: Any) -> Any:
        """The answer of a write. Raises the error that ends this pass when the write was refused."""
        if isinstance(answer, Answer) and answer is not Answer.DONE and answer is not Answer.WAIT:
            raise self.refuse(answer)
        return answer

    async def unbroken(self, act: Coroutine[Any, Any, T]) -> T:
        """Run what must not be left half done when the body breaks the call off. Threads are never interrupted."""
        if not self.is_async or self.is_replay_check:
            return await act
        task = asyncio.ensure_future(act)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not (await asyncio.wait({task}, timeout=GRACE))[0]:
                task.cancel()
            elif not task.cancelled():
                task.exception()  # marks it as retrieved
            raise

    # Waits

    def open_wait(self, position: str, *, is_timer: bool = False) -> OpenWait:
        """Begin to listen for nudges of a position; close it with `close_wait`."""
        wait = OpenWait(position, self.app.loop if self.is_async else None, is_timer=is_timer)
        self.waits[position] = wait
        return wait

    def close_wait(self, wait: OpenWait) -> None:
        self.waits.pop(wait.position, None)

    async def pause(self, wait: OpenWait, due_ms: int | None) -> None:
        """Wait until nudged or due. While every call of the run does so, the run may leave memory."""
        self.check()
        app = self.app
        wait.due_ms = due_ms
        wait.is_paused = True
        self.busy -= 1
        alarm = None
        if due_ms is not None and not wait.met:
            if self.is_async:
                alarm = app.clock.call_at(app.loop, due_ms, wait.nudge)
            else:
                alarm = ThreadAlarm(app, due_ms, wait.nudge)
        try:
            if self.busy == 0 and not wait.met:
                self.paused_since_ms = app.clock.now_ms()
                if self.is_async:
                    self.paused(self, True)
                else:
                    app.loop.call_soon_threadsafe(self.paused, self, True)
            if self.signal is None:
                await wait.pause()
        finally:
            with self.turn:
                self.busy += 1
                self.paused_since_ms = None
                wait.is_paused = False
            if alarm is not None:
                alarm.cancel()
        self.check()

    def leave(self) -> None:
        """End a durable call. If the calls that are left only wait, the run may leave memory after a while."""
        self.busy -= 1
        if self.waits and self.is_idle and self.signal is None:
            self.app.loop.call_soon_threadsafe(self._rest)

    def _rest(self) -> None:
        if self.is_idle and self.paused_since_ms is None:
            self.paused_since_ms = self.app.clock.now_ms()
            self.paused(self, False)

    def nudge(self, position: str) -> None:
        """Wake the wait at a position; a wait for time alone was ended early."""
        wait = self.waits.get(position)
        if wait is not None:
            wait.is_expedited = wait.is_timer
            wait.nudge()

    def timer_due_ms(self) -> int | None:
        """When the first of its timers is due, if the run waits for time alone; else None."""
        waits = list(self.waits.values())  # a copy: the thread of a blocking run opens and closes waits meanwhile
        dues = [wait.due_ms for wait in waits if wait.is_timer and wait.due_ms is not None]
        return min(dues) if dues and len(dues) == len(waits) else None

    @property
    def is_idle(self) -> bool:
        """Whether every durable call in progress waits."""
        waits = list(self.waits.values())
        return self.busy == 0 and bool(waits) and all(wait.is_paused for wait in waits)

    def failed_positions(self, error: BaseException) -> tuple[str, ...]:
        """The steps whose failure this error is or was raised from, and those that the body broke off because of it."""
        causes = set(map(id, _chain(error)))
        positions: dict[str, None] = {}
        for failure, position in self.failures:
            if id(failure) in causes or (positions and isinstance(failure, asyncio.CancelledError)):
                positions[position] = None
        return tuple(positions)


class ThreadAlarm:
    """An alarm that is set and cancelled from a thread. Once cancelled it holds nothing of its callback."""

    __slots__ = ("_alarm", "_app", "_callback", "_due_ms")

    def __init__(self, app: App, due_ms: int, callback: Callable[[], None]) -> None:
        self._app = app
        self._due_ms = due_ms
        self._callback: Callable[[], None] | None = callback
        self._alarm: Alarm | None = None
        app.loop.call_soon_threadsafe(self._set)

    def _set(self) -> None:
        if self._callback is not None:
            self._alarm = self._app.clock.call_at(self._app.loop, self._due_ms, self._ring)

    def _ring(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def cancel(self) -> None:
        self._callback = None
        with contextlib.suppress(RuntimeError):  # the loop was closed, and its timers with it
            self._app.loop.call_soon_threadsafe(self._clear)

    def _clear(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()


def _chain(error: BaseException) -> Sequence[BaseException]:
    """An error, the errors it was explicitly raised from, and the members of groups among them."""
    links: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        link = waiting.pop()
        if any(link is earlier for earlier in links):
            continue
        links.append(link)
        if link.__cause__ is not None:
            waiting.append(link.__cause__)
        if isinstance(link, BaseExceptionGroup):
            waiting.extend(link.exceptions)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return links


def cancelled(reason: str | None = None) -> BaseException:
    """The cancellation error for the running code: asyncio's in an event loop, `turbine.Cancelled` in a thread."""
    return CancelledInThread(reason) if running_loop() is None else asyncio.CancelledError()


def run_inline(operation: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine that never suspends, as the operations of blocking runs are."""
    try:
        operation.send(None)
    except StopIteration as stop:
        return stop.value
    with contextlib.suppress(RuntimeError):
        operation.close()
    raise RuntimeError("an operation of a blocking run tried to suspend; this is a defect of Turbine")
