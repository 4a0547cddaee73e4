"""The surveyor: notes once an hour how large the database is. One process does it for all."""

from __future__ import annotations

from turbine.engine.port import Port
from turbine.tables import storage

HOUR_MS = 3_600_000
LOOK = 60.0
"""Seconds between looks at the clock."""


class Surveyor:
    """What the growth of the database is told from.

    The first look is left out: a process that is only there for a moment, as a command is, measures nothing.
    """

    def __init__(self, port: Port) -> None:
        self._port = port
        self._measured_ms: int | None = None

    async def tick(self) -> int | None:
        port = self._port
        if self._measured_ms is None:
            self._measured_ms = 0
            return None
        now_ms = port.clock.now_ms()
        hour_ms = now_ms - now_ms % HOUR_MS
        if hour_ms == self._measured_ms or port.is_draining():
            return None
        if not await port.store.read(storage.is_measured, hour_ms=hour_ms):
            await port.store.write(storage.measure, hour_ms=hour_ms)
        self._measured_ms = hour_ms
        return None
