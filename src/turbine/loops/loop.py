"""The base of all loops: tick, sleep until due or woken, and survive every error."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable

from turbine.clock import Alarm, Clock

log = logging.getLogger("turbine")

BACKOFF_MAX = 5.0


class Loop(ABC):
    """A named task that finds rows which are due and acts on them.

    A wake only makes a tick come early: every loop also ticks by itself after `interval` seconds.
    """

    name: str
    interval = 1.0
    """Seconds after which it ticks without a wake."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._called = asyncio.Event()
        self._alarm: Alarm | None = None
        self._alarm_ms: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._is_ticking = False
        self.is_resting = False
        """Whether the last tick is over and no call has come since."""

    @abstractmethod
    async def tick(self) -> int | None:
        """Act on what is due. Returns when to come back (epoch ms), or None for the next interval."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._drive(), name=f"turbine {self.name}")

    async def stop(self, seconds: float) -> None:
        """End the loop after the tick in progress, which is broken off when it takes longer than this."""
        self._stopping = True
        self._called.set()
        if self._alarm is not None:
            self._alarm.cancel()
        task, self._task = self._task, None
        if task is not None:
            if self._is_ticking:
                await asyncio.wait({task}, timeout=max(0.0, seconds))
            task.cancel()
            await asyncio.wait({task}, timeout=max(0.0, seconds))

    def drop(self) -> None:
        """End the loop at once, in the middle of a tick if need be."""
        self._stopping = True
        if self._alarm is not None:
            self._alarm.cancel()
        if self._task is not None:
            self._task.cancel()

    def call(self) -> None:
        """Tick as soon as possible."""
        self.is_resting = False
        self._called.set()

    def call_at(self, due_ms: int) -> None:
        """Tick at a time, unless an earlier tick is planned."""
        if due_ms <= self._clock.now_ms():
            self.call()
        elif self._alarm_ms is None or due_ms < self._alarm_ms:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_ms = due_ms
            self._alarm = self._clock.call_at(asyncio.get_running_loop(), due_ms, self._ring)

    def _ring(self) -> None:
        self._alarm = self._alarm_ms = None
        self.call()

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = 0.1
        while not self._stopping:
            self._called.clear()
            self._is_ticking = True
            try:
                due_ms = await self.tick()
                backoff = 0.1
            except Exception as error:  # noqa: BLE001 - whatever a tick met, the next one looks at the rows again
                self._is_ticking = False
                log.warning("Loop %s failed and is tried again in %.1f s: %r", self.name, backoff, error)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, BACKOFF_MAX)
                continue
            self._is_ticking = False
            if due_ms is not None:
                self.call_at(due_ms)
            if self._called.is_set() or self._stopping:
                continue
            self.is_resting = True
            poll = loop.call_later(self.interval, self._called.set)
            try:
                await self._called.wait()
            finally:
                poll.cancel()
                self.is_resting = False


async def stop_together(loops: Iterable[Loop], seconds: float) -> None:
    """Stop loops side by side, so that one that hangs does not delay the others."""
    await asyncio.gather(*(loop.stop(seconds) for loop in loops))
