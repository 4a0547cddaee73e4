"""One pass over one run, in memory: its history, its open waits, its signal, and its only way to the door.

The same code serves coroutines and threads. In an async run `write` and `pause` suspend; in a blocking run they block
the thread and return without ever suspending, so that a coroutine of this room can be driven by `run_inline`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from turbine.codec import Misfit, PayloadType, UnresolvedAnnotation
from turbine.engine.app import App
from turbine.engine.branches import Branch, WorkflowScope, current_task_or_thread, running_loop
from turbine.engine.outcomes import Mismatch, Signal, Unloaded
from turbine.engine.waits import OpenWait
from turbine.errors import Cancelled as CancelledInThread
from turbine.errors import ForkedProcess, NonDeterministicWorkflow, ShuttingDown, StoreUnavailable
from turbine.model.history import History, Recorded
from turbine.registry import StartOptions, StepDefinition, WorkflowDefinition
from turbine.tables.ownership import Answer
from turbine.tables.runs import Claimed

if TYPE_CHECKING:
    from turbine.engine.bodies import Body
    from turbine.tables.steps import Outcome

T = TypeVar("T")

REFUSALS_AT_ONCE = 100
REFUSAL_PAUSE_MAX = 1.0
"""Seconds that a durable word takes to refuse, at most."""
GRACE = 1.0
"""Seconds that a body which was told to end gets to unwind by itself."""
_MAY_FOLLOW = (
    (Signal.PARK, Signal.CANCELLED),
    (Signal.AWAY, Signal.CANCELLED),
    (Signal.AWAY, Signal.INTERRUPT),
)


class BackgroundStep:
    """A step in a thread of its own, while the body goes on: it begins at any time after it was asked for."""

    __slots__ = ("follows", "function_id")

    def __init__(self, execution: Execution) -> None:
        self.follows = execution.last_step
        """Whose outcomes the body had when it asked; see `Outcome.follows`."""
        self.function_id = -1
        """Of the step, when it is over."""


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
    """Whether code is only held against a history: then no step runs, and what goes beyond the history stays there."""

    def __init__(self, app: App, claimed: Claimed, definition: WorkflowDefinition, history: History | None) -> None:
        self.app = app
        self.claimed = claimed
        self.run = claimed.run
        self.id = claimed.id
        self.fence = claimed.fence
        self.attempt = claimed.attempts
        self.definition = definition
        self.is_async = definition.is_async
        self.is_new = history is None
        """Whether it was started here just now, with arguments that this very code has encoded."""
        self.history = history or History()
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
        """Whether the body has ended: what is broken off now is so because of that."""
        self.kept: dict[str, Outcome] = {}
        """Outcomes of steps that the database could not take, by position; the next pass here writes them."""
        self.ended_bodies: dict[str, Body] = {}
        """Functions of steps that ended in their threads when nobody could wait for them."""
        self.tasks: set[asyncio.Task[Any]] = set()
        """What ends with the body: steps beside it, and in a blocking run the async steps."""
        self.listeners: list[asyncio.Future[Any]] = []
        """Handles in this process that wait for the outcome."""

    @classmethod
    def after(cls, former: Execution, definition: WorkflowDefinition, history: History) -> Execution:
        """The next pass of a run that this process still owns."""
        execution = cls(former.app, former.claimed, definition, history)
        execution.listeners = former.listeners
        execution.kept = former.kept
        execution.ended_bodies = former.ended_bodies
        return execution

    def running(self) -> Any:
        """The task or thread that runs now."""
        return current_task_or_thread(self.is_async)

    def begin(self) -> WorkflowScope:
        """The place at the top of the body, for whoever runs it."""
        return WorkflowScope(Branch(self, "", self.running()), 0)

    def as_callable(self, operation: Coroutine[Any, Any, T]) -> Any:
        """What user code gets: the coroutine itself, or (in a thread) what it comes to."""
        return operation if self.is_async else run_inline(operation)

    def next_function_id(self) -> int:
        number = self._next_function_id
        self._next_function_id += 1
        return number

    def has_outcome(self, function_id: int, background: BackgroundStep | None = None) -> None:
        """The body has the outcome of a step; or can take it from its errand."""
        if background is not None:
            background.function_id = function_id
        elif function_id > self.last_step:
            self.last_step = function_id

    # Signals

    def check(self) -> None:
        """Before a durable word acts: raise what ends this pass, if anything does."""
        if self.signal is not None:
            raise self.ending()

    async def raise_if_stopping(self) -> NoReturn:
        """Raise what ends this pass; ever more slowly for a body that catches it and asks again and again.

        Such a body never ends, but it must not keep the event loop, or a processor, to itself.
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
        """What is raised in the body to end it."""
        if self.signal is Signal.CANCELLED:
            return cancelled(self.reason)
        if self.signal is Signal.FORKED:
            return ForkedProcess()
        return Unloaded()

    def end(self, signal: Signal, reason: str | None = None) -> None:
        """End this pass: every wait is broken off, and no durable word acts from now on. Called in the loop.

        The first signal counts, except that a pass which is leaving memory anyway may still be cancelled, and one that
        the database has let down may be broken off for good.
        """
        with self.turn:
            # A thread that was nudged in this moment goes on with its body: then it is too late to park it.
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
        """What to raise after a write of this run was refused."""
        if answer is Answer.CANCELLED:
            self._note(Signal.CANCELLED)
        else:
            self._note(Signal.LOST)
        return self.ending()

    def away(self, because: BaseException) -> BaseException:
        """What to raise while the database refuses, or the runtime does because it shuts down.

        No outcome for the body to handle: what it would do next could not be recorded either.
        """
        self._note(Signal.AWAY, str(self._ours(because) or because))
        return self.ending()

    async def of_step(self, act: Coroutine[Any, Any, T]) -> T:
        """What a word does inside a step: a database that is away is no failure of the step."""
        try:
            return await act
        except StoreUnavailable as error:
            if not self.is_ours(error):
                raise
            raise self.away(error) from error

    def is_ours(self, error: BaseException) -> bool:
        """Whether this runtime itself says by an error that it cannot go on now, so that the run is not to blame.

        What another runtime says, or code of users that raises the same classes, is an error like any other.
        """
        return self._ours(error) is not None

    def _ours(self, error: BaseException) -> BaseException | None:
        for one in _chain(error):
            if isinstance(one, (StoreUnavailable, ShuttingDown)) and one.origin is self.app.store:
                return one
        return None

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
        """A body that was told to end and still waits for something of its own is cancelled."""
        if self.signal is Signal.AWAY and any(key[0] is self for key in list(self.app.busy_steps)):
            self.app.loop.call_later(GRACE, self.force_cancel)  # what its steps come to is kept for the next pass
        elif self.main is not None:
            self.main.cancel()
        elif not self.is_async:  # its thread cannot be cancelled, but what it waits for in the loop can
            for task in list(self.tasks):
                task.cancel()

    # Replay

    async def stay(self) -> NoReturn:
        """The end of a rehearsal's history is reached here. No real pass comes to this place."""
        raise self.ending()

    def recorded(self, position: str, name: str) -> Recorded | None:
        """What stands at a position. When another call stands there, the pass ends."""
        record = self.history.recorded.get(position)
        if record is not None and record.name != name:
            error = NonDeterministicWorkflow(workflow_id=self.id, position=position, recorded=record.name, asked=name)
            raise self.set_aside(Mismatch(str(error), position, record.name, name))
        return record

    def recall(
        self, position: str, name: str, kind: PayloadType[T], stored: str, what: str, *, is_sealed: bool = True
    ) -> T:
        """What was recorded at a position, by code that may have been other code. When it does not fit, the pass ends.

        The body hears nothing of that: to it, it would be a failure of the step.
        """
        try:
            return kind.recall(self.app.payloads.open(stored) if is_sealed else stored, what)
        except Exception as error:
            raise self.misfit(position, name, what, error) from error

    def recall_arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that the run was started with. When they do not fit, the pass ends."""
        try:
            return self.definition.signature.recall(self.app.payloads.open(self.claimed.inputs))
        except Exception as error:
            raise self.misfit(None, "input", "the recorded input", error) from error

    def type_of(
        self, position: str, name: str, typed: StepDefinition | WorkflowDefinition | PayloadType[Any]
    ) -> PayloadType[Any]:
        """The type of what was recorded at a position. When it cannot be resolved any more, the pass ends."""
        try:
            return typed if isinstance(typed, PayloadType) else typed.result
        except UnresolvedAnnotation as error:
            raise self.misfit(position, name, f"what is recorded of {name!r} at position {position}", error) from error

    def misfit(self, position: str | None, name: str, what: str, error: Exception) -> BaseException:
        """Note that the code does not take what is recorded; what it returns ends the pass."""
        # Anything but a Misfit comes from the user's own codec of payloads, or from an annotation.
        reason = str(error) if isinstance(error, Misfit) else f"{what} cannot be read: {type(error).__name__}: {error}"
        text = (
            f"Workflow {self.definition.name!r} cannot go on: {reason}. Nothing is lost: the run goes on by itself when"
            " code that takes what is recorded is launched (the type as it was, or one that reads both forms), or when"
            " it is resumed after that."
        )
        return self.set_aside(Mismatch(text, position, name, reason))

    def set_aside(self, mismatch: Mismatch) -> BaseException:
        """Note that code and history do not fit: the run stops here and is kept. Returns what to raise."""
        if self.mismatch is None:
            self.mismatch = mismatch
        self._note(Signal.MISMATCH)
        return self.ending()

    # The door

    async def write(self, function: Any, row: Any, size: int = 0, then: Callable[[Any], None] | None = None) -> Any:
        """Hand one row to a bulk function and wait for its answer; in a thread, by blocking.

        `then` hears the answer in the loop, also when whoever waited for it was cancelled meanwhile.
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

    async def unbroken(self, act: Coroutine[Any, Any, T]) -> T:
        """Do what must not be left half done when the body is broken off meanwhile. Threads are not broken off."""
        if not self.is_async or self.is_replay_check:
            return await act
        task = asyncio.ensure_future(act)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not (await asyncio.wait({task}, timeout=GRACE))[0]:
                task.cancel()
            elif not task.cancelled():
                task.exception()  # nobody asks for it any more
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
                app.loop.call_soon_threadsafe(self._set_alarm, wait, due_ms)
        try:
            if self.busy == 0 and not wait.met:
                self.paused_since_ms = app.clock.now_ms()
                if self.is_async:
                    app.paused(self, True)
                else:
                    app.loop.call_soon_threadsafe(app.paused, self, True)
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
        """A durable call is over. If those that are left only wait, the run may leave memory after a while."""
        self.busy -= 1
        if self.waits and self.is_idle and self.signal is None:
            self.app.loop.call_soon_threadsafe(self._rest)

    def _rest(self) -> None:
        if self.is_idle and self.paused_since_ms is None:
            self.paused_since_ms = self.app.clock.now_ms()
            self.app.paused(self, False)

    def _set_alarm(self, wait: OpenWait, due_ms: int) -> None:
        if wait.is_paused:
            self.app.clock.call_at(self.app.loop, due_ms, wait.nudge)

    def nudge(self, position: str) -> None:
        """Something that a position waits for has happened; of a wait for time alone: somebody has ended it early."""
        wait = self.waits.get(position)
        if wait is not None:
            wait.is_expedited = wait.is_timer
            wait.nudge()

    def nudge_all(self) -> None:
        """Something may have happened: every wait that is not for time alone looks again."""
        for wait in list(self.waits.values()):
            if not wait.is_timer:
                wait.nudge()

    def timer_due_ms(self) -> int | None:
        """When the first of its timers is due, if the run waits for nothing but time; else None."""
        waits = list(self.waits.values())  # a copy: the thread of a blocking run opens and closes waits meanwhile
        dues = [wait.due_ms for wait in waits if wait.is_timer and wait.due_ms is not None]
        return min(dues) if dues and len(dues) == len(waits) else None

    @property
    def is_idle(self) -> bool:
        """Whether every durable call in progress waits."""
        waits = list(self.waits.values())
        return self.busy == 0 and bool(waits) and all(wait.is_paused for wait in waits)

    # Steps and children live in rooms of their own; these are their doors for `lines`.

    def steps(
        self, position: str, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        from turbine.engine.calls import call_step

        return call_step(self, position, step, args, kwargs)

    def child(
        self,
        position: str,
        workflow: WorkflowDefinition,
        options: StartOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Coroutine[Any, Any, Any]:
        from turbine.engine.children import call_child

        return call_child(self, position, workflow, options, args, kwargs)

    def failed_positions(self, error: BaseException) -> tuple[str, ...]:
        """The steps whose failure this error is, or was raised from, and what the body broke off because of that."""
        wanted = set(map(id, _chain(error)))
        found: dict[str, None] = {}
        for failure, position in self.failures:
            if id(failure) in wanted or (found and isinstance(failure, asyncio.CancelledError)):
                found[position] = None
        return tuple(found)


def _chain(error: BaseException) -> Sequence[BaseException]:
    """An error, what it was explicitly raised from, and the members of groups among them."""
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if any(one is known for known in found):
            continue
        found.append(one)
        if one.__cause__ is not None:
            waiting.append(one.__cause__)
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return found


def cancelled(reason: str | None = None) -> BaseException:
    """What a cancellation is to the code that runs here: to that of an event loop another one than to a thread's."""
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
