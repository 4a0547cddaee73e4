"""Blocking functions of steps while they run in threads: one for each attempt, whatever becomes of the pass around it.

A thread cannot be stopped. When a pass ends under a step that runs in one, because the database went away or the
runtime shut down, the next pass of that run in this process takes the running function over instead of beginning a
second one beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turbine.engine.outcomes import Signal, Unloaded
from turbine.errors import Cancelled

if TYPE_CHECKING:
    from turbine.engine.branches import StepScope
    from turbine.engine.execution import Execution
    from turbine.registry import StepDefinition
    from turbine.store import Store

Waiter = Callable[[Any, BaseException | None], None]
"""Hears what a function gave or raised, in any thread."""


class Body:
    """A function of a step, on its way in a thread."""

    def __init__(self, execution: Execution, step: StepDefinition, frame: StepScope) -> None:
        self.frame = frame
        self._execution = execution
        self._fn = step.fn
        self._key = _key(execution, frame)
        self._lock = threading.Lock()
        self._waiter: Waiter | None = None
        self._outcome: tuple[Any, BaseException | None] | None = None

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the function and tell who waits for it. Does not raise."""
        _running[self._key] = self
        try:
            outcome = self._fn(*args, **kwargs), None
        except BaseException as error:  # noqa: BLE001 - the user's function; the step that waits for it gets it
            outcome = None, error
        with self._lock:
            self._outcome = outcome
            waiter = self._waiter
            if waiter is None and self._execution.signal is Signal.AWAY:
                self._execution.ended_bodies[self.frame.position] = self  # the pass is repeated here and looks for it
            if _running.get(self._key) is self:
                del _running[self._key]
        if waiter is not None:
            waiter(*outcome)

    def await_(self, waiter: Waiter | None) -> None:
        """Let this one know, and nobody else; None: nobody waits any more."""
        with self._lock:
            former, self._waiter = self._waiter, waiter
            outcome = self._outcome
        if waiter is not None and former is not None:
            former(None, Unloaded())
        if waiter is not None and outcome is not None:
            waiter(*outcome)

    def was_ended(self, error: BaseException | None) -> bool:
        """Whether this error only says that the pass in which the function began was over."""
        return error is not None and (isinstance(error, (Unloaded, Cancelled)) or self._execution.is_ours(error))

    def is_of(self, step: StepDefinition, frame: StepScope) -> bool:
        return self._fn == step.fn and self.frame.attempt == frame.attempt


_running: dict[tuple[object, ...], Body] = {}


def running(execution: Execution, step: StepDefinition, frame: StepScope) -> Body | None:
    """The same attempt of the same step, as a former pass of this run left it: still running, or just ended."""
    if not (_running or execution.ended_bodies):
        return None
    body = _running.get(_key(execution, frame)) or execution.ended_bodies.pop(frame.position, None)
    return body if body is not None and body.is_of(step, frame) else None


def forget_all(store: Store) -> None:
    """The process has died, as far as this store's runs can tell: its threads are no part of the next one."""
    for key in [key for key in list(_running) if key[0] == _place(store)]:
        _running.pop(key, None)


def _key(execution: Execution, frame: StepScope) -> tuple[object, ...]:
    # The start tells a run from a later one that has got its key and its id.
    claimed = execution.claimed
    return _place(execution.app.store), claimed.run, claimed.id, claimed.started_ms, frame.position, frame.attempt


def _place(store: Store) -> object:
    return id(store) if store.is_memory else store.path
