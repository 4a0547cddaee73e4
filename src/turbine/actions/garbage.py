"""Garbage: what is over and old, removed in small transactions between which everybody else gets a turn."""

from __future__ import annotations

from collections.abc import Callable

from turbine.actions import products
from turbine.engine.port import Port
from turbine.store import Tx
from turbine.tables import deliveries, failures, kv, logs, storage, workflows
from turbine.tables.storage import Collectable

RUNS_AT_ONCE = 100
"""Runs in one transaction: they may have many steps each."""
ROWS_AT_ONCE = 2000
LOGS_KEPT_MS = 5 * 24 * 3600 * 1000


async def collect(port: Port, older_than_ms: int | None) -> int:
    """Remove what is over for longer than this: runs with all that is theirs, settled deliveries. How many runs.

    And kinds of failures of which no run is left, and what deleted keys had held.

    None removes none of these. In any case log records older than 5 days go, and bytes of products that nobody owns.
    Runs with a delivery that is still to be made are left for the next time; what is open is never touched.
    """
    now_ms = port.clock.now_ms()
    count = 0
    if older_than_ms is not None:
        before_ms = now_ms - older_than_ms
        count = await _in_batches(port, _forget_runs, before_ms, RUNS_AT_ONCE)
        await _in_batches(port, deliveries.collect, before_ms, ROWS_AT_ONCE)
        await _in_batches(port, failures.collect, before_ms, ROWS_AT_ONCE)
        await _in_batches(port, kv.forget_deleted, before_ms, ROWS_AT_ONCE)
    await _in_batches(port, logs.forget, now_ms - LOGS_KEPT_MS, ROWS_AT_ONCE)
    await products.sweep(port)
    return count


async def preview(port: Port, older_than_ms: int | None) -> Collectable:
    """What `collect` would remove now; nothing changes."""
    now_ms = port.clock.now_ms()
    before_ms = None if older_than_ms is None else now_ms - older_than_ms
    return await port.store.read(storage.collectable, before_ms=before_ms, logs_before_ms=now_ms - LOGS_KEPT_MS)


async def _in_batches(port: Port, forget: Callable[..., int], before_ms: int, limit: int) -> int:
    count = 0
    while True:
        forgotten = await port.store.write(forget, before_ms=before_ms, limit=limit)
        count += forgotten
        if forgotten < limit:
            return count


def _forget_runs(tx: Tx, *, before_ms: int, limit: int) -> int:
    runs = workflows.finished_before(tx, before_ms=before_ms, limit=limit)
    return workflows.delete(tx, runs=runs) if runs else 0
