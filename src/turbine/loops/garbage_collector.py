"""The sweeper: collects garbage by `gc_schedule`. One process takes each tick; collecting twice would do no harm."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from turbine.cron import Cron
from turbine.engine.app import App
from turbine.tables import maintenance

log = logging.getLogger("turbine")

CHORE = "garbage"


class GarbageCollector:
    """Removes what is old when the hour has come; a tick that nobody was there for is made up.

    Also where runs are kept for ever: their logs are not.
    """

    def __init__(self, app: App, collect: Callable[[], Awaitable[int]]) -> None:
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
            maintenance.take, name=CHORE, now_ms=now_ms, next_ms=next_ms
        ):
            count = await self._collect()
            if count:
                log.info("Garbage collection removed %s runs", count)
        self._due_ms = await app.store.write(maintenance.plan, name=CHORE, next_ms=next_ms)
        return self._due_ms
