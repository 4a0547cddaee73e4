"""Queues: their limits at run time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from turbine.engine.app import App
from turbine.errors import QueueNotFound
from turbine.model.accounts import Actor
from turbine.model.queues import Queue
from turbine.operations.audit_entries import audit_of
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import queues


async def change(
    app: App, name: str, actor: Actor | None = None, action: str = "queue.limits", /, **changes: Any
) -> Queue:
    """Change a queue for all processes. Raises QueueNotFound, ValueError."""
    detail = {field: "none" if value is None else value for field, value in changes.items()}
    queue: Any = await app.store.write(
        _change,
        name=name,
        changes=changes,
        now_ms=app.clock.now_ms(),
        audit=audit_of(app, actor, action, name, **detail),
    )
    return queue


def _change(tx: Tx, *, name: str, changes: dict[str, Any], now_ms: int, audit: Audit | None) -> Queue | Exception:
    queue = queues.get(tx, name=name)
    if queue is None:
        return QueueNotFound(name)
    try:
        changed = replace(queue, **changes)
    except ValueError as error:
        return error
    if changed != queue:
        queues.save(tx, queue=changed, now_ms=now_ms)
        if audit is not None:
            audit(tx)
    return changed
