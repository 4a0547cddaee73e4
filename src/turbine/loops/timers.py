"""The timekeeper: claims runs that are due and nobody holds, and cancels those whose time is up."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.loops.runner import Runner
from turbine.store import Tx
from turbine.tables import runs
from turbine.tables.runs import Claimed

CLAIM_MAX = 250
"""Runs claimed in one statement."""
HELD_MAX = 20_000
"""Runs in memory above which no more are claimed."""


class Timers:
    """Runs whose hour has come: woken, delayed, resumed, recovered, expired."""

    def __init__(self, app: App, runner: Runner) -> None:
        self._app = app
        self._runner = runner

    async def tick(self) -> int | None:
        app = self._app
        now_ms = app.clock.now_ms()
        due_ms, deadline_ms, requeue_ms = await app.store.read(
            _next, names=app.registry.names(), executor=app.executor_id
        )
        if deadline_ms is not None and deadline_ms <= now_ms:
            await app.store.write(runs.expire, now_ms=now_ms, limit=CLAIM_MAX)
            return now_ms
        if requeue_ms is not None and requeue_ms <= now_ms:
            await app.store.write(runs.requeue, now_ms=now_ms)
            return now_ms
        if due_ms is not None and due_ms <= now_ms and not app.is_draining():
            if len(self._runner.executions) >= HELD_MAX:
                return now_ms + 100
            claimed: list[Claimed] = await app.store.write(
                runs.claim, names=app.registry.names(), limit=CLAIM_MAX, now_ms=now_ms
            )
            await self._runner.adopt_all(claimed)
            if claimed:
                return now_ms
            due_ms = None
        return min((due for due in (due_ms, deadline_ms, requeue_ms) if due is not None), default=None)


def _next(tx: Tx, *, names: list[str], executor: str) -> tuple[int | None, int | None, int | None]:
    due_ms = runs.next_due(tx, names=names, executor=executor)
    return due_ms, runs.next_deadline(tx), runs.next_requeue(tx)
