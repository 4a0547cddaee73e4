"""A process of the outbox tests: a worker that can be told at which of the courier's writes it dies.

python outbox_worker.py '{"url": …, "journal": …, "config": {…}, "workflows": null or [names]}'
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence

from worker import Worker, main

from turbine.loops import delivery_worker
from turbine.store.writer import Job
from turbine.tables import runs


class Death:
    """SIGKILL at a commit: before it, so that it is lost, or right after it."""

    def __init__(self, write: str, side: str) -> None:
        self._write = write
        self._side = side

    def before(self, jobs: Sequence[Job]) -> None:
        self._deregister("before", jobs)

    def after(self, jobs: Sequence[Job]) -> None:
        self._deregister("after", jobs)

    def _deregister(self, side: str, jobs: Sequence[Job]) -> None:
        if side == self._side and self._write in {kind_of(job) for job in jobs}:
            os.kill(os.getpid(), signal.SIGKILL)


def kind_of(job: Job) -> str:
    """Which of the writes between an outcome and its delivery this is."""
    if job.function is runs.finish:
        return "finish"
    if job.function is delivery_worker._note_and_claim:
        return "settle" if job.argument["attempts"] else "claim"
    return "another"


class OutboxWorker(Worker):
    """It tells a webhook of every end."""

    async def tell(self, url: str) -> None:
        await self._rt.webhooks.create(url=url, events=["workflow.*"])

    async def die_at(self, write: str, side: str) -> None:
        live = self._rt._live
        assert live is not None
        live.store.writer.crash_point = Death(write, side)

    async def until_idle(self) -> None:
        await self._rt.wait_idle()


if __name__ == "__main__":
    main(OutboxWorker, logging.ERROR)
