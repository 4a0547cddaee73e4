"""The sweeper: collects garbage by `gc_schedule`. One process takes each tick; collecting twice would do no harm."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from turbine.cron import Cron
from turbine.engine.port import Port
from turbine.tables import chores

log = logging.getLogger("turbine")

CHORE = "garbage"


class Sweeper:
    """Removes what is old when the hour has come; a tick that nobody was there for is made up.

    Also where runs are kept for ever: their logs are not.
    """

    def __init__(self, port: Port, collect: Callable[[], Awaitable[int]]) -> None:
        self._port = port
        self._collect = collect
        self._cron = Cron(port.config.gc_schedule, port.config.timezone)
        self._due_ms: int | None = None

    async def tick(self) -> int | None:
        port = self._port
        if port.is_draining():
            return None
        now_ms = port.clock.now_ms()
        if self._due_ms is not None and now_ms < self._due_ms:
            return self._due_ms
        next_ms = self._cron.next_ms(now_ms)
        if next_ms is None:
            return None
        if self._due_ms is not None and await port.store.write(chores.take, name=CHORE, now_ms=now_ms, next_ms=next_ms):
            count = await self._collect()
            if count:
                log.info("Garbage collection removed %s runs", count)
        self._due_ms = await port.store.write(chores.plan, name=CHORE, next_ms=next_ms)
        return self._due_ms
