"""Recovery: a repeated look for executors that are dead, whose runs are then set free. Never a one-shot pass."""

from __future__ import annotations

import logging
from pathlib import Path

from turbine.engine.port import Port
from turbine.loops.lease import Lease, is_dead_here
from turbine.platform import remove_file
from turbine.store import Tx
from turbine.tables import executors
from turbine.tables.executors import Executor

log = logging.getLogger("turbine")


class Recovery:
    """Buries the dead. Their runs go on in whoever claims them first."""

    def __init__(self, port: Port, lease: Lease, lease_seconds: float) -> None:
        self._port = port
        self._lease = lease
        self._lease_seconds = lease_seconds
        self._suspects: set[str] = set()

    async def tick(self) -> int | None:
        port = self._port
        roll, orphans = await port.store.read(_look)
        for executor in roll:
            if executor.executor_id != port.executor_id:
                await self._judge(executor)
        known = {executor.executor_id for executor in roll}
        port.store.believe_alone(known == {port.executor_id})
        if port.executor_id not in known:
            return None  # we were buried ourselves; the lease thread enlists us again
        # Runs of somebody who is not on the roll: dead, or about to enlist again. Two looks tell the difference.
        for executor_id in self._suspects & set(orphans):
            await self._free(executor_id)
        self._suspects = set(orphans) - {port.executor_id}
        return None

    async def _judge(self, executor: Executor) -> None:
        if is_dead_here(executor.lock_path):
            why, only_expired = "its process has ended", False
        elif executor.lease_left_ms < 0 and self._lease.healthy_for >= self._lease_seconds:
            why, only_expired = f"it has been silent for {-executor.lease_left_ms / 1000:.1f} s too long", True
        else:
            return
        freed = await self._port.store.write(
            executors.bury,
            executor_id=executor.executor_id,
            only_expired=only_expired,
            now_ms=self._port.clock.now_ms(),
        )
        if freed is None:
            return
        if not only_expired and executor.lock_path is not None:
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
        freed = await self._port.store.write(
            executors.free_orphans, executor_id=executor_id, now_ms=self._port.clock.now_ms()
        )
        if freed:
            log.warning("Executor %s is gone; %s of its runs go on", executor_id, freed)


def _look(tx: Tx) -> tuple[list[Executor], list[str]]:
    return executors.roll(tx), executors.orphans(tx)
