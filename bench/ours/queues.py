"""Queues: how fast a full one is drained, and how soon an idle one starts what is put into it."""

import asyncio
import time

import turbine
from bench.case import Place
from bench.child import listen, say
from bench.scenes import hear_from_afar, latencies

QUEUE = "bench"
PAUSE_S = 0.02
DONE = asyncio.Event()
LATE_MS: list[float] = []
WAITING = {"runs": 0}


@turbine.workflow
async def job(number: int) -> int:
    WAITING["runs"] -= 1
    if WAITING["runs"] == 0:
        DONE.set()
    return number


@turbine.workflow
async def note(sent_at: float) -> None:
    """Notes how long ago it was enqueued; `sent_at` is in seconds since the epoch."""
    LATE_MS.append((time.time() - sent_at) * 1000)
    DONE.set()


def runtime(place: Place, **limits: int) -> turbine.Runtime:
    rt = turbine.Runtime(place.url, workflows=[job, note])
    rt.queue(QUEUE, **limits)
    return rt


def drain(place: Place) -> dict[str, float]:
    """Runs a second, from the first one enqueued to the end of the last body."""

    async def measure() -> dict[str, float]:
        async with runtime(place, global_concurrency=50) as rt:
            await drained_in(rt, 1)
            return {"per_s": place.count("runs") / await drained_in(rt, place.count("runs"))}

    return asyncio.run(measure())


async def drained_in(rt: turbine.Runtime, runs: int) -> float:
    DONE.clear()
    WAITING["runs"] = runs
    started = time.perf_counter()
    await asyncio.gather(*(rt.run(job.options(queue=QUEUE), number) for number in range(runs)))
    await DONE.wait()
    return time.perf_counter() - started


def idle(place: Place) -> dict[str, float]:
    """Milliseconds from the call that enqueues to the first line of the body, in a queue that is empty each time."""

    async def measure() -> dict[str, float]:
        async with runtime(place) as rt:
            await send(rt, 1)
            LATE_MS.clear()
            await send(rt, place.count("runs"))
        return latencies(LATE_MS)

    return asyncio.run(measure())


async def send(rt: turbine.Runtime, runs: int) -> None:
    for _ in range(runs):
        DONE.clear()
        handle = await rt.run(note.options(queue=QUEUE), time.time())
        await DONE.wait()
        await handle.result()
        await asyncio.sleep(PAUSE_S)


def remote(place: Place) -> dict[str, float]:
    """The same, when the process that enqueues and the one that listens are two."""
    return hear_from_afar(place, listener="bench.ours.queues:listener", sender="bench.ours.queues:sender")


def listener(place: Place) -> dict[str, float]:
    async def work() -> dict[str, float]:
        async with runtime(place):
            say(ready=True)
            while len(LATE_MS) <= place.count("runs"):
                DONE.clear()
                await DONE.wait()
        return latencies(LATE_MS[1:])

    return asyncio.run(work())


def sender(place: Place) -> None:
    async def work() -> None:
        rt = runtime(place)
        rt.listen()
        async with rt:
            say(ready=True)
            listen()
            for _ in range(place.count("runs") + 1):
                await rt.run(note.options(queue=QUEUE), time.time())
                await asyncio.sleep(place.size["pause_ms"] / 1000)

    asyncio.run(work())
