"""A message from one run to another and one back."""

import asyncio
import time

import turbine
from bench.case import Place

ROUND_TRIPS: list[float] = []


@turbine.workflow
async def ping(messages: int) -> None:
    for number in range(messages):
        started = time.perf_counter()
        await turbine.send("pong", number, "ball")
        await turbine.recv("ball", type=int, timeout=60)
        ROUND_TRIPS.append(time.perf_counter() - started)


@turbine.workflow
async def pong(messages: int) -> None:
    for _ in range(messages):
        number = await turbine.recv("ball", type=int, timeout=60)
        await turbine.send("ping", number, "ball")


def messages(place: Place) -> dict[str, float]:
    """Milliseconds from the call of send to the return of recv in the other run: half a round trip (median)."""

    async def measure() -> dict[str, float]:
        async with turbine.Runtime(place.url, workflows=[ping, pong]) as rt:
            rounds = place.count("messages")
            answering = await rt.run(pong.options(id="pong"), rounds)
            asking = await rt.run(ping.options(id="ping"), rounds)
            await asyncio.gather(asking.result(), answering.result())
        trips = sorted(ROUND_TRIPS)
        return {"p50_ms": trips[len(trips) // 2] / 2 * 1000, "p99_ms": trips[int(len(trips) * 0.99)] / 2 * 1000}

    return asyncio.run(measure())
