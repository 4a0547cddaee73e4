"""Throughput: one long run, many runs at once, many short ones, and all of it beside a computing thread."""

import asyncio
import threading
import time

import turbine
from bench.case import Place

STOP = threading.Event()
COMPUTING = threading.Event()


@turbine.step
async def echo(number: int) -> int:
    return number


@turbine.workflow
async def count(steps: int) -> int:
    total = 0
    for number in range(steps):
        total += await echo(number)
    return total


@turbine.step
def compute() -> int:
    COMPUTING.set()
    rounds = 0
    while not STOP.is_set():
        rounds += sum(range(10_000)) > 0
    return rounds


@turbine.workflow
async def crunch() -> int:
    return await turbine.do(compute)


def one_run(place: Place) -> dict[str, float]:
    return asyncio.run(many_counts(place, runs=1, steps=place.count("steps")))


def many_runs(place: Place) -> dict[str, float]:
    return asyncio.run(many_counts(place, runs=place.count("runs"), steps=place.count("steps")))


def one_step_runs(place: Place) -> dict[str, float]:
    return asyncio.run(many_counts(place, runs=place.count("runs"), steps=1))


async def many_counts(place: Place, *, runs: int, steps: int) -> dict[str, float]:
    """Steps a second after one run that warms the connection."""
    async with turbine.Runtime(place.url, workflows=[count]) as rt:
        await steps_per_second(rt, 1, 1)
        return {"per_s": await steps_per_second(rt, runs, steps)}


async def steps_per_second(rt: turbine.Runtime, runs: int, steps: int) -> float:
    started = time.perf_counter()
    handles = await asyncio.gather(*(rt.run(count, steps) for _ in range(runs)))
    totals = await asyncio.gather(*(handle.result() for handle in handles))
    spent = time.perf_counter() - started
    if set(totals) != {sum(range(steps))}:
        raise AssertionError("a run returned another sum than its steps")
    return runs * steps / spent


def beside_a_busy_thread(place: Place) -> dict[str, float]:
    async def measure() -> dict[str, float]:
        async with turbine.Runtime(place.url, workflows=[count, crunch]) as rt:
            await steps_per_second(rt, 1, 1)
            computing = await rt.run(crunch)
            await asyncio.to_thread(COMPUTING.wait)
            try:
                return {"per_s": await steps_per_second(rt, place.count("runs"), place.count("steps"))}
            finally:
                STOP.set()
                await computing.result()

    return asyncio.run(measure())
