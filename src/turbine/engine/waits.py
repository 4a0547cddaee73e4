"""A wait in memory: one position of one run that can be nudged, for coroutines and for threads."""

from __future__ import annotations

import asyncio
import threading


class OpenWait:
    """A wait that is opened before the first look at the rows, so that no nudge is lost between look and wait."""

    __slots__ = ("_event", "_future", "_loop", "due_ms", "is_expedited", "is_paused", "is_timer", "met", "position")

    def __init__(self, position: str, loop: asyncio.AbstractEventLoop | None, *, is_timer: bool) -> None:
        self.position = position
        self.met = False
        self.is_timer = is_timer
        """Whether only time can end it."""
        self.is_expedited = False
        """Whether its row says that its time is over, whatever the clock says."""
        self.is_paused = False
        self.due_ms: int | None = None
        self._loop = loop
        self._future: asyncio.Future[None] | None = None
        self._event = None if loop is not None else threading.Event()

    def nudge(self) -> None:
        """Make the waiting call look again. Called in the loop, any number of times."""
        self.met = True
        if self._event is not None:
            self._event.set()
        elif self._future is not None and not self._future.done():
            self._future.set_result(None)

    def abort(self, error: BaseException) -> None:
        """End the wait with an error (coroutines); threads look at the signal of their execution."""
        self.met = True
        if self._event is not None:
            self._event.set()
        elif self._future is not None and not self._future.done():
            self._future.set_exception(error)

    async def pause(self) -> None:
        """Until nudged. In a thread this blocks and never suspends."""
        if self._event is not None:
            self._event.wait()
            self._event.clear()
        elif not self.met:
            assert self._loop is not None
            self._future = self._loop.create_future()
            try:
                await self._future
            finally:
                self._future = None
        self.met = False
