"""Process metrics that go into the executor's row with each renewal of the lease."""

from __future__ import annotations

import asyncio

from turbine.platform import resident_memory
from turbine.tables.executors import ProcessMetrics
from turbine.threads import Threads

BEAT = 0.25
"""Seconds between two measurements of how late the event loop is."""


class Heartbeat:
    """Measures how late the event loop is, and what else the process uses."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: Threads) -> None:
        self._loop = loop
        self._threads = threads
        self._due: float | None = None
        self._latest = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._due = self._loop.time() + BEAT
        self._timer = self._loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        if self._due is not None:
            self._latest = max(self._latest, self._loop.time() - self._due)
        self.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = None

    def take(self) -> ProcessMetrics:
        """The metrics since the last call, from any thread.

        The delay is the largest by which the event loop was late; what blocks it now counts too.
        """
        due = self._due
        delay = self._latest if due is None else max(self._latest, self._loop.time() - due)
        self._latest = 0.0
        return ProcessMetrics(
            threads=self._threads.in_use + self._threads.given_up,
            threads_max=self._threads.maximum,
            loop_delay_ms=None if due is None else max(0, round(delay * 1000)),
            memory_bytes=resident_memory(),
        )
