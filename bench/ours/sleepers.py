"""Memory: runs asleep in this process, and runs that are parked, which should be rows and nothing else."""

import asyncio
import datetime as dt
import gc
import time

import turbine
from bench.case import Place
from bench.child import resident_mb, say
from bench.ours.steps import count, steps_per_second
from bench.scenes import kill_and_restart

START_BATCH = 1000
WAKE_AFTER_S = 3.0
LATENESS: list[float] = []
WOKEN = asyncio.Event()


@turbine.workflow
async def nap() -> None:
    await turbine.sleep(dt.timedelta(days=1))


@turbine.workflow
async def alarm(due: float) -> None:
    """Sleeps until `due` (seconds since the epoch) and notes how much later it goes on."""
    await turbine.sleep_until(dt.datetime.fromtimestamp(due, dt.UTC))
    LATENESS.append(time.time() - due)
    WOKEN.set()


def asleep(place: Place) -> dict[str, float]:
    """Megabytes for 100,000 sleeping runs; measured when all of them have gone to sleep."""

    async def measure() -> dict[str, float]:
        async with turbine.Runtime(place.url, workflows=[count, nap]) as rt:
            await steps_per_second(rt, 1, 1)
            before = resident_mb()
            started = time.perf_counter()
            await start_naps(rt, place.count("runs"))
            spent = time.perf_counter() - started
            gc.collect()
            grown = resident_mb() - before
            # The figure is sent before shutdown, which parks every run and is not what is measured.
            say(asleep_mb=grown * 100_000 / place.count("runs"), started_per_s=place.count("runs") / spent)
            await asyncio.sleep(3600)
            return {}

    return asyncio.run(measure())


async def start_naps(rt: turbine.Runtime, runs: int) -> None:
    """Start the runs in batches and wait until nothing executes any more: all are asleep."""
    for first in range(0, runs, START_BATCH):
        await asyncio.gather(*(rt.run(nap) for _ in range(min(START_BATCH, runs - first))))
    await rt.wait_idle()


def parked(place: Place) -> dict[str, float]:
    """More memory of a process that is launched on a database full of parked runs, and how late a due one wakes."""
    return kill_and_restart(place, before="bench.ours.sleepers:park_all", after="bench.ours.sleepers:live_beside")


def park_all(place: Place) -> None:
    async def work() -> None:
        async with turbine.Runtime(place.url, workflows=[nap, alarm], park_after=dt.timedelta(0)) as rt:
            started = time.perf_counter()
            await start_naps(rt, place.count("runs"))
            spent = time.perf_counter() - started
        say(started_per_s=place.count("runs") / spent)

    asyncio.run(work())


def live_beside(place: Place) -> None:
    async def work() -> None:
        rt = turbine.Runtime(place.url, workflows=[nap, alarm], park_after=dt.timedelta(0))
        gc.collect()
        before = resident_mb()
        await rt.launch()
        await rt.run(alarm, time.time() + WAKE_AFTER_S)
        await WOKEN.wait()
        gc.collect()
        say(parked_mb=resident_mb() - before, late_s=LATENESS[0])
        await asyncio.sleep(3600)

    asyncio.run(work())
