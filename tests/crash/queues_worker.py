"""A process that listens to several queues: a worker whose queues come with its settings.

python queues_worker.py '{"url": …, "journal": …, "config": {"queues": 4, "limits": {…}, …}, "workflows": null}'
"""

from __future__ import annotations

import asyncio
from typing import Any

import samples
from worker import Worker, main

import turbine


@turbine.step
async def mark(number: int) -> int:
    return number


@turbine.workflow
async def job(number: int) -> int:
    here = turbine.current()
    with samples.journal.body(here.workflow_id, "-", here.attempt, 0):
        return await mark(number)


@turbine.workflow
async def child(parent: str, number: int) -> int:
    await turbine.send(parent, await mark(number), topic="hello")
    await turbine.set_value("number", number)
    return number


@turbine.workflow
async def lineage(queues: int) -> list[int]:
    """Children in every queue, so most likely in every process, that talk to their parent while it waits for them."""
    me = turbine.current().workflow_id
    children = [await turbine.run(child.options(queue=f"q{number}"), me, number) for number in range(queues)]
    said = [await turbine.recv("hello", type=int) for _ in children]
    values = [await turbine.get_value(kid.workflow_id, "number", type=int) for kid in children]
    assert sorted(said) == values
    return [await kid.result() for kid in children]


class QueuesWorker(Worker):
    """It starts runs in its queues in turn, and carries out what their limits leave to it."""

    def __init__(self, url: str, names: None, *, queues: int, limits: dict[str, Any], **config: Any) -> None:
        super().__init__(url, [], **config)
        self._queues = queues
        for workflow in (job, child, lineage):
            self._rt.register(workflow)
        rate = limits.pop("rate", None)
        for number in range(queues):
            rate_limit = None if rate is None else turbine.RateLimit(*rate)
            self._rt.queue(f"q{number}", rate_limit=rate_limit, **limits)

    async def enqueue(self, runs: int) -> int:
        for first in range(0, runs, 200):
            await asyncio.gather(
                *(
                    self._rt.run(job.options(id=f"job-{number}", queue=f"q{number % self._queues}"), number)
                    for number in range(first, min(runs, first + 200))
                )
            )
        return runs

    async def raise_families(self, runs: int, prefix: str) -> int:
        handles = [await self._rt.run(lineage.options(id=f"{prefix}-{n}"), self._queues) for n in range(runs)]
        return sum([await handle.result() == list(range(self._queues)) for handle in handles])


if __name__ == "__main__":
    main(QueuesWorker)
