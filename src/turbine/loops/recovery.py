"""Recovery: a repeated look for executors that are dead, whose runs are then set free. Never a one-shot pass."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.engine.app import App
from turbine.loops.lease import Lease, is_dead_here
from turbine.loops.runner import Runner
from turbine.platform import remove_file
from turbine.store import Tx
from turbine.tables import executors, runs
from turbine.tables.executors import ExecutorRow

log = logging.getLogger("turbine")

AUDIT_INTERVAL = 5.0
"""Seconds between looks whether all runs that are ours are in memory."""


ABSENCE = 2.0
"""Seconds between two looks after which this process itself was stopped, or has no say for another reason."""


class Watch(NamedTuple):
    """What was seen of an executor's lease, and since when it is so (monotonic seconds)."""

    seen: tuple[int, int]
    since: float


class Recovery:
    """Evicts dead executors. Their runs go on in whichever process claims them first."""

    def __init__(self, app: App, lease: Lease, runner: Runner, lease_seconds: float) -> None:
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
        live, orphans = await app.store.read(_look)
        self._watch(live)
        for executor in live:
            if executor.executor_id != app.executor_id:
                await self._judge(executor)
        known = {executor.executor_id for executor in live}
        app.store.believe_alone(known == {app.executor_id})
        if app.executor_id not in known:
            return None  # we were evicted ourselves; the lease thread registers us again
        # Runs of an executor that is not registered: dead, or about to register again. Two looks tell the difference.
        for executor_id in self._suspects & set(orphans):
            await self._free(executor_id)
        self._suspects = set(orphans) - {app.executor_id}
        await self._audit()
        return None

    def _watch(self, live: Sequence[ExecutorRow]) -> None:
        """Note since when each lease has not been renewed, by our own monotonic clock."""
        now = time.monotonic()
        if now - self._looked > max(self._lease_seconds / 2, ABSENCE):
            self._watched.clear()  # we were stopped ourselves, and do not know what happened meanwhile
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
        """Whether a lease has run out. No wall clock decides that alone: it may be set while everybody lives.

        On Postgres it is the server's clock, and the lease must not have been renewed for half of its time while we
        looked; on SQLite, where the clock is this machine's own, for all of it.
        """
        still = time.monotonic() - self._watched[executor.executor_id].since
        if self._app.store.dialect == "sqlite":
            return still * 1000 >= executor.lease_ms
        return executor.lease_left_ms < 0 and still * 1000 >= executor.lease_ms / 2

    async def _audit(self) -> None:
        """Give runs back that the database says are ours and that are not in memory here.

        A claim whose answer was lost leaves such runs, and so does an earlier process with our id that was stopped.
        """
        now = time.monotonic()
        if now - self._audited < AUDIT_INTERVAL and not self._strays:
            return
        self._audited = now
        app = self._app
        held = await app.store.read(executors.held_runs, executor_id=app.executor_id)
        strays = {pair for pair in held if not self._runner.knows(pair[0])}
        lost = strays & self._strays
        self._strays = strays - lost
        if lost:
            await asyncio.gather(*(app.store.submit(runs.release, pair) for pair in lost))
            log.warning("%s runs that were this executor's, but not in its memory, are given back", len(lost))

    async def _judge(self, executor: ExecutorRow) -> None:
        if is_dead_here(executor.lock_path, executor.lock_token):
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
            "Executor %s (process %s on %s) is dead: %s. %s of its runs go on",
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
            log.warning("Executor %s is gone; %s of its runs go on", executor_id, freed)


def _look(tx: Tx) -> tuple[list[ExecutorRow], list[str]]:
    return executors.registered(tx), executors.orphans(tx)
