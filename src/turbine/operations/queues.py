"""Queues: which there are, and their limits at run time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from turbine.engine.app import App
from turbine.errors import QueueNotFound
from turbine.model.queues import Queue
from turbine.store import Tx
from turbine.tables import queues


async def change(app: App, name: str, **changes: Any) -> Queue:
    """Change a queue for all processes. Raises QueueNotFound, ValueError."""
    queue = await app.store.write(_change, name=name, changes=changes, now_ms=app.clock.now_ms())
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
