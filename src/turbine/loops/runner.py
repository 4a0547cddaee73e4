"""The runner: holds the executions of this process, starts their passes and acts on how they end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Sequence
from typing import Any

from turbine.codec import describe_error
from turbine.engine.app import App
from turbine.engine.bodies import forget_all
from turbine.engine.execution import Execution
from turbine.engine.outcomes import (
    Completed,
    Failed,
    Interrupted,
    Lost,
    Outcome,
    Parked,
    PassCancelled,
    SetAside,
    Signal,
)
from turbine.engine.passes import carry_out, carry_out_blocking
from turbine.errors import StoreUnavailable
from turbine.loops.parking import Parking
from turbine.model.history import RunRecords
from turbine.model.workflows import WorkflowStatus
from turbine.registry import WorkflowDefinition
from turbine.tables import runs, steps
from turbine.tables.ownership import Answer
from turbine.tables.runs import Claimed, Finish

log = logging.getLogger("turbine")

DEATH_ROUNDS = 20
"""How often a body that catches its cancellation is cancelled again before it is left alone."""
TRY_AGAIN = 0.5
"""Seconds until a refused write or read is tried again; they double each time."""
TRY_AGAIN_MAX = 5.0
BUSY_POLL = 0.05
"""Seconds between two checks whether the steps that a pass has left behind are over."""
LOG_INTERVAL = 10.0
"""Seconds between two lines in the log about a database that is away."""


class Runner:
    """The runs that this process carries out now. Used only in the runtime's loop."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.executions: dict[int, Execution] = {}
        self.by_id: dict[str, Execution] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._adopting: set[int] = set()
        self._starting: set[asyncio.Future[Any]] = set()
        self._is_interrupted = False
        self._is_abandoned = False
        self._is_ending = asyncio.Event()
        self._logged_at: float | None = None
        self.parking = Parking(app, self.executions)

    def adopt(self, claimed: Claimed, definition: WorkflowDefinition, history: RunRecords | None = None) -> Execution:
        """Carry out a run that this executor owns."""
        execution = Execution(self.app, claimed, definition, history, self.parking.paused)
        self.executions[claimed.run] = execution
        self.by_id[claimed.id] = execution
        task = self.app.loop.create_task(self._carry(execution), context=self.app.context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._is_interrupted:  # its start was being written when everything was interrupted
            execution.end(Signal.INTERRUPT)
        return execution

    def expect(self, entered: asyncio.Future[Any]) -> None:
        """Register a write in flight that may start a run for this executor; `adopt` is called when it is done."""
        self._starting.add(entered)
        entered.add_done_callback(self._starting.discard)

    async def adopt_all(self, claimed: Sequence[Claimed], fresh: Collection[int] = ()) -> None:
        """Carry out runs that were claimed, each against its history; `fresh` ones have none.

        No other executor takes them from the claim on, so their histories are read until the database gives them.
        """
        old = [run for run in claimed if run.run not in fresh]
        self._adopting.update(run.run for run in old)
        try:
            histories = await self._histories(old) if old else {}
            for run in claimed:
                if run.run in histories or run.run in fresh:
                    definition = self.app.registry.get(run.name)
                    assert definition is not None, f"claimed {run.name!r}, which this runtime does not know"
                    self.adopt(run, definition, histories.get(run.run, RunRecords()))
        finally:
            self._adopting.difference_update(run.run for run in old)

    def holds(self, run: int) -> bool:
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
            # The database was away for this pass. The run is still ours: once more, from its last recorded step.
            self._warn("Run %s waits for the database: %s", execution.id, execution.reason)
            pause = await self._back_off(pause)
            while execution.busy > 0 and not self._is_ending.is_set():  # a task of the body may outlive it in a step
                await self._back_off(BUSY_POLL)
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

    async def _back_off(self, pause: float) -> float:
        """Pause while the database is away, or until the runtime ends. Returns the length of the next pause."""
        if self._is_ending.is_set():
            await asyncio.sleep(TRY_AGAIN)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_ending.wait(), pause)
        return min(pause * 2, TRY_AGAIN_MAX)

    def _warn(self, message: str, *arguments: object) -> None:
        """Log a warning, unless one was logged just now: one is enough for a thousand runs that wait."""
        now = self.app.loop.time()
        if self._logged_at is None or now - self._logged_at >= LOG_INTERVAL:
            self._logged_at = now
            log.warning(message, *arguments)

    async def _histories(self, claimed: Sequence[Claimed]) -> dict[int, RunRecords]:
        """The histories of runs, as soon as the database gives them; none when the store was closed meanwhile.

        A run whose history cannot be read although the database works is set aside, alone.
        """
        pause = TRY_AGAIN
        while True:
            try:
                return await self.app.store.read(steps.histories, runs=[run.run for run in claimed])
            except StoreUnavailable as error:
                if self.app.store.writer.is_closed:
                    return {}
                self._warn("Run %s waits for the database: %s", ", ".join(run.id for run in claimed[:3]), error)
            except Exception as error:
                if len(claimed) > 1:
                    return {key: history for run in claimed for key, history in (await self._histories([run])).items()}
                (run,) = claimed
                log.exception("The history of run %s cannot be read; it is set aside", run.id)
                attention = f"Turbine could not read the history of this run: {error!r}. Resume tries again"
                await self._persist(runs.set_aside, (run.run, run.fence, attention))
                return {}
            pause = await self._back_off(pause)

    async def _carry_in_thread(self, execution: Execution) -> Outcome:
        loop = self.app.loop
        future: asyncio.Future[Outcome] = loop.create_future()

        def done(outcome: Outcome) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(lambda: future.done() or future.set_result(outcome))

        context = self.app.context.copy()
        self.app.threads.submit(lambda: carry_out_blocking(execution, context, done))
        while True:
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                if self._is_abandoned or not self.app.is_torn_down():
                    raise
                execution.end(Signal.INTERRUPT)  # the event loop ends; the thread does not know yet

    def _drop(self, execution: Execution) -> None:
        if self.executions.get(execution.run) is execution:
            del self.executions[execution.run]
        if self.by_id.get(execution.id) is execution:
            del self.by_id[execution.id]
        for listener in execution.listeners:
            if not listener.done():
                listener.set_result(None)

    async def _act(self, execution: Execution, outcome: Outcome) -> bool:
        """Write the outcome of a pass. Returns False when the pass must be repeated in this process."""
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
            case PassCancelled():
                self._resolve(execution, (WorkflowStatus.CANCELLED, None, None, execution.reason), is_stored=False)
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
            self._resolve(execution, (status, output, error, None), is_stored=True)

    def _resolve(self, execution: Execution, stored: tuple[Any, ...], *, is_stored: bool) -> None:
        for listener in execution.listeners:
            if not listener.done():
                listener.set_result(stored if is_stored else None)

    async def _persist(self, function: Any, row: Any, size: int = 0) -> Any:
        """Write an outcome, however long the database takes to come back; None when the store was closed."""
        pause = TRY_AGAIN
        while True:
            try:
                return await self.app.store.submit(function, row, size)
            except StoreUnavailable as error:
                if self.app.store.writer.is_closed:
                    return None
                self._warn("The outcome of a run waits for the database: %s", error)
                pause = await self._back_off(pause)

    # Wakes

    def nudge(self, run: int, position: str) -> None:
        execution = self.executions.get(run)
        if execution is not None:
            execution.nudge(position)

    def cancelled(self, run: int, fence: int, reason: str | None = None) -> bool:
        """End a run whose row says that it was cancelled under this fence. Returns whether it was in this process.

        The execution in memory may be of a later fence, after a resume: that one goes on.
        """
        execution = self.executions.get(run)
        if execution is None or execution.fence > fence:
            return False
        execution.end(Signal.CANCELLED, reason)
        # The row says so already, so handles need not wait until the body has ended.
        self._resolve(execution, (), is_stored=False)
        return True

    # Shutdown

    def park_idle(self) -> None:
        """Park every run that only waits."""
        self._is_ending.set()
        self.parking.park_idle(self.executions.values())

    def interrupt(self) -> None:
        """Interrupt everything that still runs; nothing of it becomes an outcome."""
        self._is_interrupted = True
        self._is_ending.set()
        for execution in list(self.executions.values()):
            execution.end(Signal.INTERRUPT)

    async def abandon(self, seconds: float) -> bool:
        """Stop carrying out runs. Returns whether blocking bodies are left that go on in threads.

        Their runs stay ours until this process ends. Their attempts are given back now: an interruption in the middle
        of a step is no crash. Writes that the database does not take within this time are given up.
        """
        self._is_abandoned = True
        until = self.app.loop.time() + seconds
        stuck = [(run.run, run.fence) for run in self.executions.values() if run.thread is not None]
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
        """Let no durable call of the parent's runs act in a forked child."""
        for execution in list(self.executions.values()):
            execution.signal = Signal.FORKED

    async def die(self) -> None:
        """Drop everything that runs, as the death of the process would; for the testing kit."""
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
        """Wait until no run is in memory, and none is being started for it. Returns False after `seconds`."""
        until = self.app.loop.time() + seconds
        while waiting := {*self._tasks, *self._starting}:
            left = until - self.app.loop.time()
            if left <= 0:
                return False
            await asyncio.wait(waiting, timeout=left)
        return True
