"""Garbage collection by `gc_schedule`. One process takes each tick; collecting twice would do no harm."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from turbine.cron import Cron
from turbine.engine.app import App
from turbine.loops.loop import Loop
from turbine.tables import maintenance

log = logging.getLogger("turbine")

TASK = "garbage"


class GarbageCollector(Loop):
    """Removes what is old at its hour; a tick that was missed is made up.

    It also runs where runs are kept for ever, because their logs are not.
    """

    name = "garbage_collector"

    def __init__(self, app: App, collect: Callable[[], Awaitable[int]]) -> None:
        super().__init__(app.clock)
        self._app = app
        self._collect = collect
        self._cron = Cron(app.config.gc_schedule, app.config.timezone)
        self._due_ms: int | None = None

    async def tick(self) -> int | None:
        app = self._app
        if app.is_draining():
            return None
        now_ms = app.clock.now_ms()
        if self._due_ms is not None and now_ms < self._due_ms:
            return self._due_ms
        next_ms = self._cron.next_ms(now_ms)
        if next_ms is None:
            return None
        if self._due_ms is not None and await app.store.write(
            maintenance.take, name=TASK, now_ms=now_ms, next_ms=next_ms
        ):
            count = await self._collect()
            if count:
                log.info("Garbage collection removed %s runs", count)
        self._due_ms = await app.store.write(maintenance.plan, name=TASK, next_ms=next_ms)
        return self._due_ms
