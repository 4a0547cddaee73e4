"""Calls from outside of runs that are in progress: `handle.result()`, `rt.kv.get(...)` and all the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from turbine.errors import ShuttingDown

T = TypeVar("T")


class OpenCalls:
    """Runs calls until they end, or until the runtime closes: those that are left then raise ShuttingDown.

    Used only in the loop that launched the runtime. A call costs no task of its own.
    """

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], int] = {}
        self._broken_off: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def run(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the call. Raises ShuttingDown, and what the call itself raises."""
        if self._is_closed:
            raise ShuttingDown("This runtime is closed; launch it again, or ask another process")
        task = asyncio.current_task()
        assert task is not None
        cancelled_before = task.cancelling()
        self._tasks[task] = self._tasks.get(task, 0) + 1
        try:
            return await act()
        except asyncio.CancelledError:
            if self._was_broken_off(task) and task.cancelling() <= cancelled_before:
                raise ShuttingDown(
                    "This runtime was shut down before the call came to its end; ask again after the next launch, or"
                    " in another process"
                ) from None
            raise
        finally:
            self._was_broken_off(task)  # the call has ended all the same: its task is not cancelled
            self._tasks[task] -= 1
            if not self._tasks[task]:
                del self._tasks[task]

    def _was_broken_off(self, task: asyncio.Task[Any]) -> bool:
        if task not in self._broken_off:
            return False
        self._broken_off.discard(task)
        task.uncancel()
        return True

    def close(self) -> None:
        """Break off calls in progress, and refuse new ones."""
        self._is_closed = True
        for task in self._tasks:
            self._broken_off.add(task)
            task.cancel()
