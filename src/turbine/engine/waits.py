"""A wait in memory: one place of one run that can be nudged, for coroutines and for threads."""

from __future__ import annotations

import asyncio
import threading


class OpenWait:
    """Opened before the first look at the rows, so that no nudge falls between look and wait."""

    __slots__ = ("_future", "_loop", "_ticket", "due_ms", "is_expedited", "is_paused", "is_timer", "met", "position")

    def __init__(self, position: str, loop: asyncio.AbstractEventLoop | None, *, is_timer: bool) -> None:
        self.position = position
        self.met = False
        self.is_timer = is_timer
        """Whether nothing but time can end it."""
        self.is_expedited = False
        """Whether its row says that its time is over, whatever the clock says."""
        self.is_paused = False
        self.due_ms: int | None = None
        self._loop = loop
        self._future: asyncio.Future[None] | None = None
        self._ticket = None if loop is not None else threading.Event()

    def nudge(self) -> None:
        """Have another look. Called in the loop; any number of times."""
        self.met = True
        if self._ticket is not None:
            self._ticket.set()
        elif self._future is not None and not self._future.done():
            self._future.set_result(None)

    def abort(self, error: BaseException) -> None:
        """End the wait with an error (coroutines); threads look at the signal of their execution."""
        self.met = True
        if self._ticket is not None:
            self._ticket.set()
        elif self._future is not None and not self._future.done():
            self._future.set_exception(error)

    async def pause(self) -> None:
        """Until nudged. In a thread this blocks and never suspends."""
        if self._ticket is not None:
            self._ticket.wait()
            self._ticket.clear()
        elif not self.met:
            assert self._loop is not None
            self._future = self._loop.create_future()
            try:
                await self._future
            finally:
                self._future = None
        self.met = False
