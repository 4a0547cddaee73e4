"""Several processes that drain the same queues of one Postgres: how fast, and what they do to each other."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

import turbine
from bench.case import Place
from bench.child import Child, listen, say
from bench.scenes import PATIENCE_S

WORKER = "bench.ours.shared_queues:worker"
PROCESSES = (2, 4, 8)
LIMITS: dict[str, Any] = {
    "worker_concurrency": 20,
    "global_concurrency": 60,
    "rate_limit": turbine.RateLimit(100_000, per=timedelta(seconds=1)),
}
AT_ONCE = 200
LOOK_S = 0.005
ENTERED: list[int] = []
"""The numbers of the runs whose bodies this process has entered."""


@turbine.step
async def mark(number: int) -> int:
    return number


@turbine.workflow
async def job(number: int) -> int:
    ENTERED.append(number)
    return await mark(number)


def one_process(place: Place) -> dict[str, float]:
    """What one process does, under the names of the others' figures."""
    figures = drained(place, place.url, 1)
    return {**{f"per_s_{processes}": figures["per_s"] for processes in PROCESSES}, **figures}


def many_processes(place: Place) -> dict[str, float]:
    """The same work by 2, 4 and 8 processes, each time in a new database; faults are counted over all of them."""
    speeds: dict[str, float] = {}
    faults: Counter[str] = Counter()
    for processes in PROCESSES:
        with sibling(place.url, processes) as url:
            figures = drained(place, url, processes)
        speeds[f"per_s_{processes}"] = figures.pop("per_s")
        faults.update(figures)
    return {**speeds, **faults}


@contextmanager
def sibling(url: str, number: int) -> Iterator[str]:
    """Another database of the same server, for a while."""
    old = urlsplit(url).path[1:]
    name = f"{old}_{number}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield url.replace(f"/{old}", f"/{name}", 1)
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def drained(place: Place, url: str, processes: int) -> dict[str, float]:
    """Let one of these processes enqueue, and all of them carry out.

    Answers runs a second, from the first one enqueued to the end of the last one, and what must not happen: deadlocks,
    executors that were taken for dead, bodies that were entered twice.
    """
    runs = place.count("runs")
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Child(WORKER, Place(place.folder, url, {**place.size, "number": number})))
            for number in range(processes)
        ]
        for worker in workers:
            worker.hear(PATIENCE_S)
        started = time.perf_counter()
        for worker in workers:
            worker.tell()
        with psycopg.connect(url, autocommit=True) as connection:
            while ended(connection) < runs:
                time.sleep(LOOK_S)
            took = time.perf_counter() - started
            evicted = count(connection, "select count(*) from pt_past_executors where taken_by is not null")
            for worker in workers:
                worker.tell()
            entered = Counter(number for worker in workers for number in worker.hear(PATIENCE_S)["entered"])
            for worker in workers:
                worker.hear(PATIENCE_S)
            deadlocks = count(connection, "select deadlocks from pg_stat_database where datname = current_database()")
    if len(entered) != runs:
        raise AssertionError(f"{runs} runs are over, and the bodies of {len(entered)} were entered")
    twice = sum(times - 1 for times in entered.values())
    return {"per_s": runs / took, "deadlocks": deadlocks, "evicted": evicted, "twice": twice}


def ended(connection: psycopg.Connection[Any]) -> int:
    """How many runs are over."""
    return count(connection, "select count(*) from pt_runs where completed_at_epoch_ms is not null")


def count(connection: psycopg.Connection[Any], statement: str) -> int:
    (number,) = connection.execute(statement).fetchone() or (0,)  # type: ignore[call-overload]
    return number


def worker(place: Place) -> dict[str, float]:
    """One of the processes: it says that it is ready, works from the first word on, and leaves at the second."""

    async def work() -> None:
        rt = turbine.Runtime(place.url, workflows=[job])
        names = [f"queue {number}" for number in range(place.count("queues"))]
        for name in names:
            rt.queue(name, **(LIMITS if place.count("limits") else {}))
        async with rt:
            say(ready=True)
            await asyncio.to_thread(listen)
            if place.count("number") == 0:
                await enqueue(rt, names, place.count("runs"))
            await asyncio.to_thread(listen)
            say(entered=ENTERED)

    asyncio.run(work())
    return {}


async def enqueue(rt: turbine.Runtime, names: list[str], runs: int) -> None:
    for first in range(0, runs, AT_ONCE):
        numbers = range(first, min(runs, first + AT_ONCE))
        await asyncio.gather(*(rt.run(job.options(queue=names[n % len(names)]), n) for n in numbers))
