"""Event streams: what a runtime does, for code in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable

from turbine.errors import ForkedProcess
from turbine.model.workflows import Event
from turbine.probe import Probe

BACKLOG_MAX = 10_000


def event_stream(probe: Probe, is_forked: Callable[[], bool]) -> AsyncIterator[Event]:
    """Yields events from this call on until the probe ends; a slow reader loses the oldest of `BACKLOG_MAX` events."""
    queue: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG_MAX)
    loop = asyncio.get_running_loop()

    def put(event: Event | None) -> None:
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(event)

    def listen(event: Event | None = None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop of the reader is closed
            loop.call_soon_threadsafe(put, event)

    probe.listeners.append(listen)
    probe.watchers.append(listen)
    stream = _events_of(queue, is_forked)
    weakref.finalize(stream, probe.listeners.remove, listen).atexit = False
    weakref.finalize(stream, probe.watchers.remove, listen).atexit = False
    return stream


async def _events_of(queue: asyncio.Queue[Event | None], is_forked: Callable[[], bool]) -> AsyncIterator[Event]:
    while not is_forked():
        event = await queue.get()
        if event is None:
            return
        yield event
    raise ForkedProcess
