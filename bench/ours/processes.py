"""Several processes that write one SQLite file at the same time."""

import asyncio
import logging
import time

import turbine
from bench.case import Place
from bench.child import listen, say
from bench.ours.steps import count, echo, steps_per_second
from bench.scenes import CountLocked, locked_among, write_together

WRITER = "bench.ours.processes:writer"


@turbine.workflow
async def write_until(deadline: float) -> tuple[int, float]:
    """Steps until `deadline` (seconds since the epoch): how many, and the longest wait of one in seconds.

    It looks at the clock itself, which a workflow that must survive a crash may not do; this one is never replayed.
    """
    steps, longest = 0, 0.0
    while time.time() < deadline:
        started = time.perf_counter()
        await echo(steps)
        longest = max(longest, time.perf_counter() - started)
        steps += 1
    return steps, longest


def one_process(place: Place) -> dict[str, float]:
    return write_together(place, writer=WRITER, processes=1)


def four_processes(place: Place) -> dict[str, float]:
    return write_together(place, writer=WRITER, processes=4)


def writer(place: Place) -> dict[str, float]:
    locked = CountLocked()
    logging.getLogger().addHandler(locked)

    async def work() -> dict[str, float]:
        async with turbine.Runtime(place.url, workflows=[count, write_until]) as rt:
            await steps_per_second(rt, 1, 1)
            say(ready=True)
            listen()
            deadline = time.time() + place.size["seconds"]
            outcomes = await asyncio.gather(
                *(write_one(rt, deadline) for _ in range(place.count("runs"))), return_exceptions=True
            )
        done = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        return {
            "steps": sum(steps for steps, _ in done),
            "longest_s": max((longest for _, longest in done), default=place.size["seconds"]),
            "locked": locked.seen + locked_among(list(outcomes)),
        }

    return asyncio.run(work())


async def write_one(rt: turbine.Runtime, deadline: float) -> tuple[int, float]:
    return await (await rt.run(write_until, deadline)).result()
