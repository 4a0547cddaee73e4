"""Parking: when a run that only waits leaves memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from typing import Any

from turbine.engine.app import App
from turbine.engine.execution import GRACE, Execution
from turbine.engine.outcomes import Signal
from turbine.engine.scope import WorkflowScope
from turbine.registry import current_scope

SETTLE_MS = 50
"""How long a run of a queue that releases waiting slots must be idle before it parks, if its body may still go on."""


def _is_of_body(timer: Any, execution: Execution) -> bool:
    if timer.cancelled():
        return False
    scope = timer._context.get(current_scope)
    is_ours = (getattr(timer._callback, "__module__", None) or "").startswith("turbine.")
    return type(scope) is WorkflowScope and scope.execution is execution and not is_ours


class Parking:
    """Decides for each pause of a run whether it leaves memory now, later, or not at all."""

    def __init__(self, app: App, executions: dict[int, Execution]) -> None:
        self._app = app
        self._executions = executions
        self._paused: deque[tuple[int, Execution]] = deque()
        self._is_sweep_planned = False
        self._releasing: set[str] = set()
        """Queues with `release_while_waiting`: a waiting run of theirs gives its slot up by parking."""
        app.threads.crowded = self._on_crowded_threads

    def set_releasing(self, queue: str, is_releasing: bool) -> None:
        (self._releasing.add if is_releasing else self._releasing.discard)(queue)

    def paused(self, execution: Execution, by_itself: bool) -> None:
        """Called when an execution only waits.

        `by_itself` when the waiting call says so; otherwise a call has just ended beside waits, and the code that
        awaited it may go on with the next one.
        """
        # Not the current time: `sweep` recognises by it whether this is still the same pause.
        since_ms = execution.paused_since_ms
        if since_ms is None or execution.signal is not None or not execution.is_idle:
            return
        app = self._app
        if app.is_draining() and by_itself:
            execution.end(Signal.PARK)
            return
        now_ms = app.clock.now_ms()
        due_ms = execution.timer_due_ms()
        # If only the body's own task waits, no other task of it can be under way unnoticed.
        is_alone = len(execution.waits) == 1 and (not execution.is_async or asyncio.current_task() is execution.main)
        is_remote = due_ms is not None and due_ms - now_ms > app.park_after_ms
        is_releasing = execution.claimed.queue in self._releasing and not self._may_time_out(execution)
        is_crowded = not execution.is_async and app.threads.is_crowded
        if by_itself and ((is_alone and (is_remote or is_releasing)) or is_crowded):
            execution.end(Signal.PARK)
            return
        if is_releasing and app.park_after_ms > SETTLE_MS:
            app.clock.call_at(app.loop, since_ms + SETTLE_MS, lambda: self._park_settled(execution, since_ms))
        else:
            self._park_later(execution, since_ms)

    def _park_settled(self, execution: Execution, since_ms: int) -> None:
        if self._may_time_out(execution):
            self._park_later(execution, since_ms)
        else:
            self._park_if_same(execution, since_ms)

    def _park_later(self, execution: Execution, since_ms: int) -> None:
        self._paused.append((since_ms, execution))
        if not self._is_sweep_planned:
            self._sweep_at(since_ms + self._app.park_after_ms)

    def _sweep_at(self, due_ms: int) -> None:
        self._is_sweep_planned = True
        self._app.clock.call_at(self._app.loop, due_ms, self._sweep)

    def _sweep(self) -> None:
        """Park runs that have waited for `park_after`."""
        self._is_sweep_planned = False
        limit_ms = self._app.clock.now_ms() - self._app.park_after_ms
        while self._paused:
            since_ms, execution = self._paused[0]
            if since_ms > limit_ms:
                self._sweep_at(since_ms + self._app.park_after_ms)
                return
            self._paused.popleft()
            self._park_if_same(execution, since_ms)

    def _park_if_same(self, execution: Execution, since_ms: int) -> None:
        if execution.paused_since_ms == since_ms and execution.signal is None and execution.is_idle:
            self._park(execution)

    def _may_time_out(self, execution: Execution) -> bool:
        """Whether a timer of asyncio that the body has set (`asyncio.timeout`, `asyncio.sleep`) is pending.

        It would be lost with the body, so such a run stays in memory for `park_after`.
        """
        if not execution.is_async:
            return False
        timers: list[Any] | None = getattr(self._app.loop, "_scheduled", None)
        return timers is None or any(_is_of_body(timer, execution) for timer in timers)

    def _park(self, execution: Execution) -> None:
        execution.end(Signal.PARK)
        self._app.loop.call_later(GRACE, execution.force_cancel)

    def park_idle(self, executions: Iterable[Execution]) -> None:
        """Park every run that only waits."""
        for execution in list(executions):
            if execution.is_idle:
                self._park(execution)

    def _on_crowded_threads(self) -> None:
        """Called in any thread when a call waits because all threads are taken."""
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._app.loop.call_soon_threadsafe(self._free_threads)

    def _free_threads(self) -> None:
        """Park waiting blocking runs at once, because they hold threads that other calls need."""
        for execution in list(self._executions.values()):
            if not execution.is_async and execution.is_idle:
                execution.end(Signal.PARK)
