"""Queues: which there are, and their limits at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from turbine.engine.port import Port
from turbine.errors import QueueNotFound
from turbine.model.queues import Queue
from turbine.store import Tx
from turbine.tables import queues


async def require(port: Port, name: str, partition_key: str | None, declared: Mapping[str, Queue]) -> None:
    """Check that a run can be put into a queue that is declared here, or known in the database.

    Raises QueueNotFound, and ValueError for a run without a key in a partitioned queue, or one with a key in another.
    """
    queue = declared.get(name) or await port.store.read(queues.get, name=name)
    if queue is None:
        raise QueueNotFound(name)
    if queue.partitioned and partition_key is None:
        raise ValueError(
            f"queue {name!r} is partitioned: pass options(partition_key=...), or nobody would take the run"
        )
    if partition_key is not None and not queue.partitioned:
        raise ValueError(f"queue {name!r} is not partitioned: leave out partition_key, or declare partitioned=True")


async def change(port: Port, name: str, **changes: Any) -> Queue:
    """Change a queue for all processes. Raises QueueNotFound, ValueError."""
    queue = await port.store.write(_change, name=name, changes=changes, now_ms=port.clock.now_ms())
    assert isinstance(queue, Queue)
    return queue


def _change(tx: Tx, *, name: str, changes: dict[str, Any], now_ms: int) -> Queue | Exception:
    queue = queues.get(tx, name=name)
    if queue is None:
        return QueueNotFound(name)
    try:
        changed = replace(queue, **changes)
    except ValueError as error:
        return error
    queues.save(tx, queue=changed, now_ms=now_ms)
    return changed
