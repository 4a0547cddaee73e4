"""The size of the database, noted once an hour by one process for all."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.loops.loop import Loop
from turbine.tables import storage

HOUR_MS = 3_600_000


class SizeSampler(Loop):
    """Samples the size of the database, from which its growth is computed.

    The first tick is left out, so that a process that lives only for a moment, as a command does, measures nothing.
    """

    name = "size_sampler"
    interval = 60.0

    def __init__(self, app: App) -> None:
        super().__init__(app.clock)
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
