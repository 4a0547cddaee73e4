"""A process of the queue tests: a worker that listens to one queue, whose limits come with its settings.

python queue_worker.py '{"url": …, "journal": …, "config": {"queue": {…}, …}, "workflows": null}'
"""

from __future__ import annotations

import asyncio
from typing import Any

import samples
from worker import Worker, main

import turbine

QUEUE = "narrow"


@turbine.workflow
async def job(number: int, seconds: float) -> int:
    here = turbine.current()
    with samples.journal.body(here.workflow_id, "-", here.attempt, 0):
        await asyncio.sleep(seconds)
    return number


class QueueWorker(Worker):
    """It starts runs in the queue, and carries out what the queue's limits leave to it."""

    def __init__(self, url: str, names: None, *, queue: dict[str, Any], **config: Any) -> None:
        super().__init__(url, [], **config)
        limit, seconds = queue.pop("rate")
        self._rt.register(job)
        self._rt.queue(QUEUE, rate_limit=turbine.RateLimit(limit, seconds), **queue)

    async def enqueue(self, runs: list[tuple[int, float]]) -> int:
        """Start runs of `job`, (number, seconds)."""
        await asyncio.gather(
            *(self._rt.run(job.options(id=f"job-{number}", queue=QUEUE), number, seconds) for number, seconds in runs)
        )
        return len(runs)


if __name__ == "__main__":
    main(QueueWorker)
