"""Queue claimers: one loop for each queue that this process listens to."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.loops.loop import Loop
from turbine.loops.runner import Runner
from turbine.model.queues import Queue
from turbine.tables import queues
from turbine.tables.queues import Claim


class QueueClaimer(Loop):
    """Claims from one queue what its limits allow and hands it to the runner."""

    def __init__(self, app: App, runner: Runner, name: str) -> None:
        super().__init__(app.clock)
        self.name = f"queue {name}"
        self._app = app
        self._runner = runner
        self._queue_name = name
        self._is_called = True
        self._last: Queue | None = None

    def claim_soon(self) -> None:
        """Claim as soon as possible: a run was enqueued, or a slot is free."""
        self._is_called = True
        self.call()

    async def tick(self) -> int | None:
        app = self._app
        if app.is_draining():
            return None
        now_ms = app.clock.now_ms()
        if not self._is_called and not await app.store.read(queues.has_due, name=self._queue_name, now_ms=now_ms):
            return None  # without a wake a read is enough: it costs less than a write
        self._is_called = False
        claim: Claim = await app.store.write(
            queues.claim,
            name=self._queue_name,
            names=app.registry.names(),
            now_ms=now_ms,
            expected=self._last,
            rate_ms=now_ms if app.clock.is_virtual else None,
        )
        self._last = claim.queue
        if claim.queue is not None:
            self._runner.parking.set_releasing(self._queue_name, claim.queue.release_while_waiting)
        await self._runner.adopt_all(claim.runs, fresh=claim.fresh)
        if claim.again_ms is not None:
            self._is_called = True
        return claim.again_ms
