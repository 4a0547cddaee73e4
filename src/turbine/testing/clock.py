"""Time that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from turbine.clock import to_datetime, to_ms


class VirtualClock:
    """A clock for `Runtime(clock=…)`: it shows the same time until it is moved, and then rings the alarms that are due.

    Any thread may read it and set alarms. `turbine.testing.World` moves one and lets the runtime settle in between; a
    test that moves it by hand has to wait for that.
    """

    is_virtual = True

    def __init__(self, start: datetime | None = None) -> None:
        """Begin at `start` (aware), by default at the real time of now."""
        self._now_ms = to_ms(datetime.now(UTC) if start is None else start, "start")
        self._alarms: list[_VirtualAlarm] = []
        self._made = 0
        self._lock = threading.Lock()

    @property
    def now(self) -> datetime:
        """The time as an aware UTC datetime."""
        return to_datetime(self._now_ms)

    def now_ms(self) -> int:
        return self._now_ms

    def call_at(self, loop: asyncio.AbstractEventLoop, due_ms: int, callback: Callable[[], None]) -> _VirtualAlarm:
        with self._lock:
            self._made += 1
            alarm = _VirtualAlarm(due_ms, self._made, loop, callback)
            if due_ms > self._now_ms:
                heapq.heappush(self._alarms, alarm)
                return alarm
        alarm.ring()
        return alarm

    def next_due_ms(self) -> int | None:
        """When the next alarm rings (epoch ms), if there is any."""
        with self._lock:
            while self._alarms and self._alarms[0].is_off:
                heapq.heappop(self._alarms)
            return self._alarms[0].due_ms if self._alarms else None

    def move_to(self, when_ms: int) -> int:
        """Set the time, never back, and ring all alarms up to it, in their order. Returns how many rang."""
        with self._lock:
            self._now_ms = max(self._now_ms, when_ms)
            due: list[_VirtualAlarm] = []
            while self._alarms and self._alarms[0].due_ms <= self._now_ms:
                due.append(heapq.heappop(self._alarms))
        ringing = [alarm for alarm in due if not alarm.is_off]
        for alarm in ringing:
            alarm.ring()
        return len(ringing)

    def forget_alarms(self) -> None:
        """Drop all alarms: the process that set them has crashed."""
        with self._lock:
            self._alarms.clear()


class _VirtualAlarm:
    """A callback in its event loop, at a virtual time."""

    __slots__ = ("_callback", "_loop", "_number", "due_ms", "is_off")

    def __init__(self, due_ms: int, number: int, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self.due_ms = due_ms
        self.is_off = False
        self._number = number
        self._loop = loop
        self._callback = callback

    def __lt__(self, other: _VirtualAlarm) -> bool:
        return (self.due_ms, self._number) < (other.due_ms, other._number)

    def ring(self) -> None:
        """Run the callback in its event loop, from any thread; a closed loop is skipped."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._call)

    def _call(self) -> None:
        if not self.is_off:
            self.is_off = True
            self._callback()

    def cancel(self) -> None:
        self.is_off = True
