"""The driver of all duties: tick, sleep until due or nudged, and never die of an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from turbine.clock import Alarm, Clock

log = logging.getLogger("turbine")

SLOW_POLL = 1.0
"""Seconds after which a duty looks even if nobody called it."""
BACKOFF_MAX = 5.0


class Tick(Protocol):
    """What a duty does: act on what is due, and answer when to come back (epoch ms), or None for the slow poll."""

    async def __call__(self) -> int | None: ...


class Loop:
    """One named loop."""

    def __init__(self, name: str, tick: Tick, clock: Clock, *, slow_poll: float = SLOW_POLL) -> None:
        self.name = name
        self._tick = tick
        self._clock = clock
        self._slow_poll = slow_poll
        self._called = asyncio.Event()
        self._alarm: Alarm | None = None
        self._alarm_ms: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._is_ticking = False
        self.is_resting = False
        """Whether the last tick is over and nobody has called since."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._drive(), name=f"turbine {self.name}")

    async def stop(self, seconds: float = BACKOFF_MAX) -> None:
        """End the loop after the tick that is in progress, or break it off when it takes longer than this."""
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
        """End the loop where it stands, in the middle of a tick if need be."""
        self._stopping = True
        if self._alarm is not None:
            self._alarm.cancel()
        if self._task is not None:
            self._task.cancel()

    @property
    def is_torn_down(self) -> bool:
        """Whether somebody else has cancelled the loop: only the end of the event loop does, to all of its tasks."""
        return self._task is not None and not self._stopping and self._task.cancelling() > 0

    def call(self) -> None:
        """Look as soon as possible."""
        self.is_resting = False
        self._called.set()

    def call_at(self, due_ms: int) -> None:
        """Look at a time, unless an earlier look is planned."""
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
            try:
                due_ms = await self._look()
                backoff = 0.1
            except Exception as error:  # noqa: BLE001 - whatever a tick met, the next one looks at the rows again
                log.warning("%s failed and is tried again in %.1f s: %r", self.name, backoff, error)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, BACKOFF_MAX)
                continue
            if due_ms is not None:
                self.call_at(due_ms)
            if self._called.is_set() or self._stopping:
                continue
            self.is_resting = True
            poll = loop.call_later(self._slow_poll, self._called.set)
            try:
                await self._called.wait()
            finally:
                poll.cancel()
                self.is_resting = False

    async def _look(self) -> int | None:
        self._is_ticking = True
        try:
            return await self._tick()
        finally:
            self._is_ticking = False


async def stop_together(loops: Iterable[Loop], seconds: float) -> None:
    """End loops side by side, so that one that hangs costs the others nothing."""
    await asyncio.gather(*(loop_task.stop(seconds) for loop_task in loops))
