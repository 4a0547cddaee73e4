"""Queues with their numbers, and the runs in them."""

from __future__ import annotations

from typing import Any

from turbine.clock import to_datetime
from turbine.engine.app import App
from turbine.errors import QueueNotFound
from turbine.model.queues import ListedQueue, Queue, QueueNumbers, QueuePartition, QueueSlot, QueueStats
from turbine.model.records import extended
from turbine.store import Tx
from turbine.tables import metrics, queues


async def list_queues(app: App, *, with_stats: bool) -> list[ListedQueue]:
    """All queues, by name."""
    return await app.store.read(_list, now_ms=app.clock.now_ms() if with_stats else None)


def _list(tx: Tx, *, now_ms: int | None) -> list[ListedQueue]:
    return [
        extended(ListedQueue, queue, stats=None if now_ms is None else QueueNumbers(**_numbers(tx, queue.name, now_ms)))
        for queue in queues.listing(tx)
    ]


async def get_queue(app: App, name: str) -> Queue:
    """One queue. Raises QueueNotFound."""
    queue = await app.store.read(queues.get, name=name)
    if queue is None:
        raise QueueNotFound(name)
    return queue


async def queue_stats(app: App, name: str) -> QueueStats:
    """The numbers of a queue, the runs that hold its slots, and its partitions. Raises QueueNotFound."""
    stats = await app.store.read(_stats, name=name, now_ms=app.clock.now_ms())
    if stats is None:
        raise QueueNotFound(name)
    return stats


def _stats(tx: Tx, *, name: str, now_ms: int) -> QueueStats | None:
    if queues.get(tx, name=name) is None:
        return None
    return QueueStats(
        **_numbers(tx, name, now_ms),
        holders=[
            QueueSlot(workflow_id, workflow, executor, None if since_ms is None else to_datetime(since_ms))
            for workflow_id, workflow, executor, since_ms in metrics.holders(tx, name=name)
        ],
        partitions=[QueuePartition(*row) for row in metrics.partitions(tx, name=name)],
    )


def _numbers(tx: Tx, name: str, now_ms: int) -> dict[str, Any]:
    row = metrics.queue(tx, name=name, now_ms=now_ms)
    return {
        "enqueued": row.enqueued,
        "running": row.running,
        "completed": row.completed,
        "failed": row.failed,
        "oldest_age": None if row.oldest_age_ms is None else row.oldest_age_ms / 1000,
        "throughput_per_minute": row.per_minute,
    }
