"""The text index of runs, filled in the background in small writes when there is little else to write."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.loops.loop import Loop
from turbine.tables import search

BATCH_MAX = {"sqlite": 100, "postgres": 50}
"""Runs in one write: five to ten milliseconds of the writer's time."""
BUSY_JOBS = 500
"""Writes since the last tick above which the indexer steps aside for the runs."""
PATIENCE = 30
"""Ticks in a row in which it steps aside, before it writes a little anyway."""
SETTLED_MS = 10_000


class Indexer(Loop):
    """Makes runs searchable, so that `rt.list(search=…)` need not read every run."""

    name = "indexer"

    def __init__(self, app: App) -> None:
        super().__init__(app.clock)
        self._app = app
        self._jobs = 0
        self._stepped_aside = 0

    async def tick(self) -> int | None:
        app = self._app
        jobs, self._jobs = self._jobs, app.store.jobs
        if self._jobs - jobs > BUSY_JOBS and self._stepped_aside < PATIENCE:
            self._stepped_aside += 1
            return None
        self._stepped_aside = 0
        if app.is_draining() or not await app.store.read(search.is_waiting):
            return None
        now_ms = app.clock.now_ms()
        # SQLite has one writer, so its keys are committed in order.
        settled_ms = now_ms - SETTLED_MS if app.store.dialect == "postgres" else 1 << 62
        is_all = await app.store.write(search.index, settled_ms=settled_ms, limit=BATCH_MAX[app.store.dialect])
        return None if is_all else now_ms
