"""The runner: holds the executions of this process, starts their passes and acts on how they end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

from turbine.codec import describe_error
from turbine.engine.app import App
from turbine.engine.bodies import forget_all
from turbine.engine.execution import GRACE, Execution
from turbine.engine.outcomes import (
    Cancelled,
    Completed,
    Failed,
    Interrupted,
    Lost,
    Outcome,
    Parked,
    SetAside,
    Signal,
)
from turbine.engine.passes import carry_out, carry_out_blocking
from turbine.errors import StoreUnavailable
from turbine.model.history import History
from turbine.model.workflows import WorkflowStatus
from turbine.registry import WorkflowDefinition
from turbine.tables import runs, steps
from turbine.tables.ownership import Answer
from turbine.tables.runs import Claimed, Finish

log = logging.getLogger("turbine")

SHOW_AFTER_MS = 1000
"""A step that runs longer than this is shown as running."""
DEATH_ROUNDS = 20
"""Times that a body which catches its cancellation is cancelled again, until it is left to itself."""
TRY_AGAIN = 0.5
"""Seconds until something is tried again that the database refused; each time twice as many."""
TRY_AGAIN_MAX = 5.0
AT_LEAST = 0.05
"""Seconds between two looks at what a pass has left behind."""
TELL_EVERY = 10.0
"""Seconds between two lines in the log about a database that is away."""


class Runner:
    """What this process carries out now. All calls come from the runtime's loop."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.executions: dict[int, Execution] = {}
        self.by_id: dict[str, Execution] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._adopting: set[int] = set()
        self._starting: set[asyncio.Future[Any]] = set()
        self._paused: deque[tuple[int, Execution]] = deque()
        self._sweeping = False
        self._is_interrupted = False
        self._is_abandoned = False
        self._is_ending = asyncio.Event()
        self._told_at: float | None = None
        app.threads.crowded = self._crowded

    def adopt(self, claimed: Claimed, definition: WorkflowDefinition, history: History | None = None) -> Execution:
        """Carry out a run that this executor owns."""
        execution = Execution(self.app, claimed, definition, history)
        self.executions[claimed.run] = execution
        self.by_id[claimed.id] = execution
        task = self.app.loop.create_task(self._carry(execution), context=self.app.context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._is_interrupted:  # its start was being written while everything was broken off
            execution.end(Signal.INTERRUPT)
        return execution

    def expect(self, entered: asyncio.Future[Any]) -> None:
        """A write is in flight that may start a run for this executor, whose `adopt` is called when it is done."""
        self._starting.add(entered)
        entered.add_done_callback(self._starting.discard)

    async def adopt_all(self, claimed: Sequence[Claimed], fresh: Collection[int] = ()) -> None:
        """Carry out runs that were claimed, each against its history; `fresh` ones have none.

        They are ours from the claim on, and nobody else takes them: their histories are asked for until they are there.
        """
        old = [one for one in claimed if one.run not in fresh]
        self._adopting.update(one.run for one in old)
        try:
            histories = await self._histories(old) if old else {}
            for one in claimed:
                if one.run in histories or one.run in fresh:
                    definition = self.app.registry.get(one.name)
                    assert definition is not None, f"claimed {one.name!r}, which this runtime does not know"
                    self.adopt(one, definition, histories.get(one.run, History()))
        finally:
            self._adopting.difference_update(one.run for one in old)

    def knows(self, run: int) -> bool:
        """Whether a run is carried out here, or about to be."""
        return run in self.executions or run in self._adopting

    async def _carry(self, execution: Execution) -> None:
        pause = TRY_AGAIN
        while True:
            if execution.is_async:
                outcome = await carry_out(execution)
            else:
                outcome = await self._carry_in_thread(execution)
            try:
                is_over = await self._act(execution, outcome)
            except Exception as error:
                log.exception("The end of run %s could not be written; it is set aside", execution.id)
                attention = f"Turbine could not write the end of this run: {error!r}. Resume tries again"
                await self._persist(runs.set_aside, (execution.run, execution.fence, attention))
                is_over = True
            if is_over:
                self._drop(execution)
                return
            # The database was away for this pass. It is still ours: once more, from its last recorded step.
            self._tell("Run %s waits for the database: %s", execution.id, execution.reason)
            pause = await self._bear(pause)
            while execution.busy > 0 and not self._is_ending.is_set():  # a task of the body may outlive it in a step
                await self._bear(AT_LEAST)
            if self._is_ending.is_set():
                await self._persist(runs.release, (execution.run, execution.fence))
                self._drop(execution)
                return
            history = (await self._histories([execution.claimed])).get(execution.run)
            if history is None:
                self._drop(execution)
                return
            if len(history.recorded) > len(execution.history.recorded):
                pause = TRY_AGAIN
            definition = self.app.registry.get(execution.definition.name) or execution.definition
            execution = Execution.after(execution, definition, history)
            self.executions[execution.run] = self.by_id[execution.id] = execution

    async def _bear(self, pause: float) -> float:
        """Pause while the database is away, and say for how long the next time. The end of the runtime is not late."""
        if self._is_ending.is_set():
            await asyncio.sleep(TRY_AGAIN)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_ending.wait(), pause)
        return min(pause * 2, TRY_AGAIN_MAX)

    def _tell(self, message: str, *arguments: object) -> None:
        """A line in the log, unless there was one just now: of a thousand runs that wait, one is enough."""
        now = self.app.loop.time()
        if self._told_at is None or now - self._told_at >= TELL_EVERY:
            self._told_at = now
            log.warning(message, *arguments)

    async def _histories(self, claimed: Sequence[Claimed]) -> dict[int, History]:
        """The histories of runs, as soon as the database gives them; of none when the store was closed meanwhile.

        A run whose history cannot be read although the database is there is set aside, alone.
        """
        pause = TRY_AGAIN
        while True:
            try:
                return await self.app.store.read(steps.histories, runs=[one.run for one in claimed])
            except StoreUnavailable as error:
                if self.app.store.writer.is_closed:
                    return {}
                self._tell("Run %s waits for the database: %s", ", ".join(one.id for one in claimed[:3]), error)
            except Exception as error:
                if len(claimed) > 1:
                    return {run: history for one in claimed for run, history in (await self._histories([one])).items()}
                (one,) = claimed
                log.exception("The history of run %s cannot be read; it is set aside", one.id)
                attention = f"Turbine could not read the history of this run: {error!r}. Resume tries again"
                await self._persist(runs.set_aside, (one.run, one.fence, attention))
                return {}
            pause = await self._bear(pause)

    async def _carry_in_thread(self, execution: Execution) -> Outcome:
        loop = self.app.loop
        future: asyncio.Future[Outcome] = loop.create_future()

        def tell(outcome: Outcome) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody acts on this any more
                loop.call_soon_threadsafe(lambda: future.done() or future.set_result(outcome))

        context = self.app.context.copy()
        self.app.threads.submit(lambda: carry_out_blocking(execution, context, tell))
        while True:
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                if self._is_abandoned or not self.app.is_torn_down():
                    raise
                execution.end(Signal.INTERRUPT)  # the event loop ends; the thread has not been told yet

    def _crowded(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self.app.loop.call_soon_threadsafe(self._make_room)

    def _make_room(self) -> None:
        """All threads are taken and somebody waits for one: runs that wait themselves leave theirs at once."""
        for execution in list(self.executions.values()):
            if not execution.is_async and execution.is_idle:
                execution.end(Signal.PARK)

    def _drop(self, execution: Execution) -> None:
        if self.executions.get(execution.run) is execution:
            del self.executions[execution.run]
        if self.by_id.get(execution.id) is execution:
            del self.by_id[execution.id]
        for listener in execution.listeners:
            if not listener.done():
                listener.set_result(None)

    async def _act(self, execution: Execution, outcome: Outcome) -> bool:
        """Write what the end of a pass means. False: the pass must be repeated here."""
        pair = (execution.run, execution.fence)
        match outcome:
            case Completed(output):
                await self._finish(execution, WorkflowStatus.SUCCESS, output, None, ())
            case Failed(error, positions):
                log.debug("Run %s failed: %s", execution.id, describe_error(error))
                await self._finish(execution, WorkflowStatus.ERROR, None, error, positions)
            case Parked():
                await self._persist(runs.park, pair)
            case SetAside(attention):
                log.error("Run %s of %s was set aside: %s", execution.id, execution.definition.name, attention)
                await self._persist(runs.set_aside, (*pair, attention))
            case Interrupted():
                is_ending = self.app.is_draining() or self.app.is_torn_down()
                if execution.signal is not Signal.INTERRUPT and not is_ending:
                    return False
                await self._persist(runs.release, pair)
            case Cancelled():
                self._resolve(execution, (WorkflowStatus.CANCELLED, None, None, execution.reason), is_known=False)
            case Lost():
                log.warning("Run %s is carried out by another executor now; this one stops", execution.id)
        return True

    async def _finish(
        self,
        execution: Execution,
        status: WorkflowStatus,
        output: str | None,
        error: str | None,
        positions: tuple[str, ...],
    ) -> None:
        now_ms = self.app.clock.now_ms()
        row = Finish(execution.run, execution.fence, status, output, error, " ".join(positions) or None, now_ms)
        answer = await self._persist(runs.finish, row, len(output or ""))
        if answer is Answer.DONE:
            self._resolve(execution, (status, output, error, None), is_known=True)

    def _resolve(self, execution: Execution, stored: tuple[Any, ...], *, is_known: bool) -> None:
        for listener in execution.listeners:
            if not listener.done():
                listener.set_result(stored if is_known else None)

    async def _persist(self, function: Any, row: Any, size: int = 0) -> Any:
        """Write an outcome, however long the database takes to come back; None when the store was closed."""
        pause = TRY_AGAIN
        while True:
            try:
                return await self.app.store.submit(function, row, size)
            except StoreUnavailable as error:
                if self.app.store.writer.is_closed:
                    return None
                self._tell("The outcome of a run waits for the database: %s", error)
                pause = await self._bear(pause)

    # Parking

    def paused(self, execution: Execution, by_itself: bool) -> None:
        """An execution has nothing to do but wait: let it leave memory now, soon, or not at all.

        `by_itself` when it is the caller who waits; else a call has just ended beside waits, and what awaited it may
        go on with the next one.
        """
        # Not the time of now: `sweep` knows by it whether this is still the same pause.
        since_ms = execution.paused_since_ms
        if since_ms is None or execution.signal is not None or not execution.is_idle:
            return
        if self.app.is_draining() and by_itself:
            execution.end(Signal.PARK)
            return
        now_ms = self.app.clock.now_ms()
        due_ms = execution.timer_due_ms()
        is_alone = len(execution.waits) == 1 and (not execution.is_async or self._waits_itself(execution))
        is_remote = due_ms is not None and due_ms - now_ms > self.app.park_after_ms
        is_crowded = not execution.is_async and self.app.threads.is_crowded
        if by_itself and ((is_alone and is_remote) or is_crowded):
            execution.end(Signal.PARK)
            return
        self._paused.append((since_ms, execution))
        if not self._sweeping:
            self._sweep_at(since_ms + self.app.park_after_ms)

    def _waits_itself(self, execution: Execution) -> bool:
        """Whether it is the body's own task that waits, so that no other task of it can be under way unseen."""
        return asyncio.current_task() is execution.main

    def _sweep_at(self, due_ms: int) -> None:
        self._sweeping = True
        self.app.clock.call_at(self.app.loop, due_ms, self.sweep)

    def sweep(self) -> None:
        """Park what has waited for `park_after`."""
        self._sweeping = False
        limit_ms = self.app.clock.now_ms() - self.app.park_after_ms
        while self._paused:
            since_ms, execution = self._paused[0]
            if since_ms > limit_ms:
                self._sweep_at(since_ms + self.app.park_after_ms)
                return
            self._paused.popleft()
            if execution.paused_since_ms == since_ms and execution.signal is None and execution.is_idle:
                execution.end(Signal.PARK)
                self.app.loop.call_later(GRACE, execution.force_cancel)

    # Wakes

    def nudge(self, run: int, position: str) -> None:
        execution = self.executions.get(run)
        if execution is not None:
            execution.nudge(position)

    def cancelled(self, run: int, fence: int, reason: str | None = None) -> bool:
        """The row of a run says it was cancelled while it had this fence; whether it was in this process.

        What is carried out here by now may be a later life of it, which was resumed: that goes on.
        """
        execution = self.executions.get(run)
        if execution is None or execution.fence > fence:
            return False
        execution.end(Signal.CANCELLED, reason)
        # The row says it already: nobody has to wait until the body has come to its end.
        self._resolve(execution, (), is_known=False)
        return True

    async def show_long_steps(self) -> int | None:
        """Write the start of steps that take their time."""
        limit_ms = self.app.clock.now_ms() - SHOW_AFTER_MS
        for key, (since_ms, note) in list(self.app.busy_steps.items()):
            if 0 <= since_ms < limit_ms:
                self.app.busy_steps[key] = -1, note
                note()
        return None

    # Shutdown

    def park_idle(self) -> None:
        """Let every waiting run leave memory."""
        self._is_ending.set()
        for execution in list(self.executions.values()):
            if execution.is_idle:
                execution.end(Signal.PARK)
                self.app.loop.call_later(GRACE, execution.force_cancel)

    def interrupt(self) -> None:
        """Break off everything that still runs; nothing of it becomes an outcome."""
        self._is_interrupted = True
        self._is_ending.set()
        for execution in list(self.executions.values()):
            execution.end(Signal.INTERRUPT)

    async def abandon(self, seconds: float) -> bool:
        """Carry out nothing any more; whether blocking bodies are left that go on in threads, which nobody can end.

        Their runs stay ours until this process ends. Their attempts are given back now: to be told to end in the middle
        of a step is no crash. What the database does not take within this time is left.
        """
        self._is_abandoned = True
        until = self.app.loop.time() + seconds
        stuck = [(one.run, one.fence) for one in self.executions.values() if one.thread is not None]
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, seconds))
        if stuck:
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout_at(until):
                    await self.app.store.write(runs.return_attempts, pairs=stuck)
        return bool(stuck)

    def forked(self) -> None:
        """In a forked child: no durable word of the runs that were under way in the parent acts here."""
        for execution in list(self.executions.values()):
            execution.signal = Signal.FORKED

    async def die(self) -> None:
        """Drop everything that runs, as the death of the process would; the store takes nothing more by now."""
        self.interrupt()
        forget_all(self.app.store)
        for _ in range(DEATH_ROUNDS):
            for task in self._tasks:
                task.cancel()
            if not self._tasks or not (await asyncio.wait(set(self._tasks), timeout=0.1))[1]:
                break
        for execution in list(self.executions.values()):
            self._drop(execution)

    async def wait_empty(self, seconds: float) -> bool:
        """Until no run is left in memory, and none is being started for it; False after `seconds`."""
        until = self.app.loop.time() + seconds
        while waiting := {*self._tasks, *self._starting}:
            left = until - self.app.loop.time()
            if left <= 0:
                return False
            await asyncio.wait(waiting, timeout=left)
        return True
