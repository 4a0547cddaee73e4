"""The surveyor: notes once an hour how large the database is. One process does it for all."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.tables import storage

HOUR_MS = 3_600_000
LOOK = 60.0
"""Seconds between looks at the clock."""


class SizeSampler:
    """What the growth of the database is told from.

    The first look is left out: a process that is only there for a moment, as a command is, measures nothing.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._measured_ms: int | None = None

    async def tick(self) -> int | None:
        app = self._app
        if self._measured_ms is None:
            self._measured_ms = 0
            return None
        now_ms = app.clock.now_ms()
        hour_ms = now_ms - now_ms % HOUR_MS
        if hour_ms == self._measured_ms or app.is_draining():
            return None
        if not await app.store.read(storage.is_measured, hour_ms=hour_ms):
            await app.store.write(storage.measure, hour_ms=hour_ms)
        self._measured_ms = hour_ms
        return None
