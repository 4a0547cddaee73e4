"""The peer's side of the queues; see `bench.peer_dbos`."""

import asyncio
import threading
import time

from dbos import DBOS, DBOSClient

from bench.case import Place
from bench.child import listen, say
from bench.peer_dbos import start
from bench.scenes import hear_from_afar, latencies

QUEUE = "bench"
PAUSE_S = 0.02
AWAKE_S = 2.5
"""The peer looks for new queues each second; this is waited for and not counted."""
BEST_POLL_S = 0.05
DONE = threading.Event()
LATE_MS: list[float] = []
WAITING = {"runs": 0}


@DBOS.workflow()
async def job(number: int) -> int:
    WAITING["runs"] -= 1
    if WAITING["runs"] == 0:
        DONE.set()
    return number


@DBOS.workflow()
async def note(sent_at: float) -> None:
    LATE_MS.append((time.time() - sent_at) * 1000)
    DONE.set()


def drain(place: Place) -> dict[str, float]:
    async def measure() -> dict[str, float]:
        start(place)
        await DBOS.register_queue_async(QUEUE, global_concurrency=50, polling_interval_sec=BEST_POLL_S)
        await asyncio.sleep(AWAKE_S)
        await drained_in(1)
        return {"per_s": place.count("runs") / await drained_in(place.count("runs"))}

    return asyncio.run(measure())


async def drained_in(runs: int) -> float:
    DONE.clear()
    WAITING["runs"] = runs
    started = time.perf_counter()
    await asyncio.gather(*(DBOS.enqueue_workflow_async(QUEUE, job, number) for number in range(runs)))
    await asyncio.to_thread(DONE.wait)
    return time.perf_counter() - started


def idle(place: Place) -> dict[str, float]:
    async def measure() -> dict[str, float]:
        start(place)
        await DBOS.register_queue_async(QUEUE)
        await asyncio.sleep(AWAKE_S)
        await send(1)
        LATE_MS.clear()
        await send(place.count("runs"))
        return latencies(LATE_MS)

    return asyncio.run(measure())


async def send(runs: int) -> None:
    for _ in range(runs):
        DONE.clear()
        handle = await DBOS.enqueue_workflow_async(QUEUE, note, time.time())
        await asyncio.to_thread(DONE.wait)
        await handle.get_result()
        await asyncio.sleep(PAUSE_S)


def remote(place: Place) -> dict[str, float]:
    return hear_from_afar(place, listener="bench.peer_dbos_queues:listener", sender="bench.peer_dbos_queues:sender")


def listener(place: Place) -> dict[str, float]:
    start(place)
    DBOS.register_queue(QUEUE)
    time.sleep(AWAKE_S)
    say(ready=True)
    while len(LATE_MS) <= place.count("runs"):
        DONE.clear()
        DONE.wait(1)
    return latencies(LATE_MS[1:])


def sender(place: Place) -> None:
    client = DBOSClient(system_database_url=place.url)
    say(ready=True)
    listen()
    for _ in range(place.count("runs") + 1):
        client.enqueue({"queue_name": QUEUE, "workflow_name": note.__qualname__}, time.time())
        time.sleep(place.size["pause_ms"] / 1000)
