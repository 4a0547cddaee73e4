"""Recovery: looks for dead executors again and again, evicts them and releases their runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.engine.app import App
from turbine.loops.lease import Lease, is_dead_on_this_machine
from turbine.loops.loop import Loop
from turbine.loops.runner import Runner
from turbine.platform import remove_file
from turbine.store import Tx
from turbine.tables import executors, runs
from turbine.tables.executors import ExecutorRow

log = logging.getLogger("turbine")

AUDIT_INTERVAL = 5.0
"""Seconds between checks that all runs of this executor are in memory."""

ABSENCE = 2.0
"""Seconds between two ticks after which this process itself was stopped, and cannot judge others."""


class Watch(NamedTuple):
    """The last renewal seen of an executor's lease, and since when it is the last (monotonic seconds)."""

    seen: tuple[int, int]
    since: float


class Recovery(Loop):
    """Evicts dead executors and releases their runs, which go on in the process that claims them first."""

    name = "recovery"
    interval = 0.5

    def __init__(self, app: App, lease: Lease, runner: Runner, lease_seconds: float) -> None:
        super().__init__(app.clock)
        self._app = app
        self._lease = lease
        self._runner = runner
        self._lease_seconds = lease_seconds
        self._watched: dict[str, Watch] = {}
        self._looked = time.monotonic()
        self._suspects: set[str] = set()
        self._strays: set[tuple[int, int]] = set()
        self._audited = time.monotonic()

    async def tick(self) -> int | None:
        app = self._app
        live, orphans = await app.store.read(_executors)
        self._watch(live)
        for executor in live:
            if executor.executor_id != app.executor_id:
                await self._judge(executor)
        ids = {executor.executor_id for executor in live}
        app.store.set_alone(ids == {app.executor_id})
        if app.executor_id not in ids:
            return None  # this executor was evicted itself; its lease thread registers it again
        # An executor that is not registered is dead, or about to register again; it is judged at the second tick.
        for executor_id in self._suspects & set(orphans):
            await self._free(executor_id)
        self._suspects = set(orphans) - {app.executor_id}
        await self._audit()
        return None

    def _watch(self, live: Sequence[ExecutorRow]) -> None:
        """Note since when each lease has not been renewed, by our own monotonic clock."""
        now = time.monotonic()
        if now - self._looked > max(self._lease_seconds / 2, ABSENCE):
            self._watched.clear()  # this process was stopped, and does not know what happened meanwhile
        self._looked = now
        watched: dict[str, Watch] = {}
        for executor in live:
            before = self._watched.get(executor.executor_id)
            is_same = before is not None and before.seen == (executor.incarnation, executor.lease_until_ms)
            watched[executor.executor_id] = (
                before if before and is_same else Watch((executor.incarnation, executor.lease_until_ms), now)
            )
        self._watched = watched

    def _has_expired(self, executor: ExecutorRow) -> bool:
        """Whether a lease has run out. No wall clock decides that alone: it may be set while all executors live.

        On Postgres it is the server's clock, and the lease must also not have been renewed for half of its time while
        this process watched; on SQLite, where the clock is this machine's own, for all of it.
        """
        still = time.monotonic() - self._watched[executor.executor_id].since
        if self._app.store.dialect == "sqlite":
            return still * 1000 >= executor.lease_ms
        return executor.lease_left_ms < 0 and still * 1000 >= executor.lease_ms / 2

    async def _audit(self) -> None:
        """Release runs that this executor holds in the database but not in memory.

        A claim whose answer was lost leaves such runs, and so does an earlier process of this id that was stopped.
        """
        now = time.monotonic()
        if now - self._audited < AUDIT_INTERVAL and not self._strays:
            return
        self._audited = now
        app = self._app
        held = await app.store.read(executors.held_runs, executor_id=app.executor_id)
        strays = {pair for pair in held if not self._runner.holds(pair[0])}
        lost = strays & self._strays
        self._strays = strays - lost
        if lost:
            await asyncio.gather(*(app.store.submit(runs.release, pair) for pair in lost))
            log.warning("%s runs that this executor held without carrying them out are released", len(lost))

    async def _judge(self, executor: ExecutorRow) -> None:
        if is_dead_on_this_machine(executor.lock_path, executor.lock_token):
            why, seen_ms = "its process has ended", None
        elif self._lease.healthy_for >= self._lease_seconds and self._has_expired(executor):
            still = time.monotonic() - self._watched[executor.executor_id].since
            why, seen_ms = f"it has not renewed its lease for {still:.1f} s", executor.lease_until_ms
        else:
            return
        freed = await self._app.store.write(
            executors.evict,
            executor_id=executor.executor_id,
            incarnation=executor.incarnation,
            seen_lease_ms=seen_ms,
            now_ms=self._app.clock.now_ms(),
        )
        if freed is None:
            return
        if seen_ms is None and executor.lock_path is not None:
            remove_file(Path(executor.lock_path))
        log.log(
            logging.INFO if not freed else logging.WARNING,
            "ExecutorRow %s (process %s on %s) is dead: %s. %s of its runs go on",
            executor.executor_id,
            executor.process_id,
            executor.hostname,
            why,
            freed,
        )

    async def _free(self, executor_id: str) -> None:
        freed = await self._app.store.write(
            executors.release_orphans, executor_id=executor_id, now_ms=self._app.clock.now_ms()
        )
        if freed:
            log.warning("ExecutorRow %s is gone; %s of its runs go on", executor_id, freed)


def _executors(tx: Tx) -> tuple[list[ExecutorRow], list[str]]:
    return executors.registered(tx), executors.orphans(tx)
