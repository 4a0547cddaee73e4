"""The peer: dbos from PyPI doing the same work with its own defaults.

The programs are the ones of `bench.ours`, word for word where the two libraries allow it. Only its console is made
quiet; it starts no server and speaks to no other machine without a key.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections import Counter

from dbos import DBOS, DBOSConfig, SetWorkflowID

from bench.case import Place
from bench.child import listen, resident_mb, say
from bench.scenes import (
    NAP_S,
    CountLocked,
    kill_and_replay,
    kill_and_restart,
    locked_among,
    pause_after,
    write_together,
)

ROUND_TRIPS: list[float] = []
STOP = threading.Event()
COMPUTING = threading.Event()
EXECUTED: set[tuple[str, int]] = set()
TICKED: Counter[str] = Counter()
REACHED = threading.Event()
ENTERED: list[float] = []


@DBOS.step()
async def echo(number: int) -> int:
    return number


@DBOS.workflow()
async def count(steps: int) -> int:
    total = 0
    for number in range(steps):
        total += await echo(number)
    return total


@DBOS.step()
def compute() -> int:
    COMPUTING.set()
    rounds = 0
    while not STOP.is_set():
        rounds += sum(range(10_000)) > 0
    return rounds


@DBOS.workflow()
def crunch() -> int:
    return compute()


@DBOS.workflow()
async def ping(messages: int) -> None:
    for number in range(messages):
        started = time.perf_counter()
        await DBOS.send_async("pong", number, "ball")
        await DBOS.recv_async("ball", 60)
        ROUND_TRIPS.append(time.perf_counter() - started)


@DBOS.workflow()
async def pong(messages: int) -> None:
    for _ in range(messages):
        number = await DBOS.recv_async("ball", 60)
        await DBOS.send_async("ping", number, "ball")


@DBOS.workflow()
async def nap() -> None:
    await DBOS.sleep_async(3600)


@DBOS.step()
async def tick(run_id: str, number: int) -> int:
    EXECUTED.add((run_id, number))
    return number


@DBOS.workflow()
async def keep_ticking(run_id: str, ticks: int) -> None:
    for number in range(1_000_000):
        await tick(run_id, number)
        # A replayed step comes back without its body, so only steps recorded by this process count.
        TICKED[run_id] += (run_id, number) in EXECUTED
        await DBOS.sleep_async(pause_after(number, ticks))


@DBOS.workflow()
async def long_history(steps: int) -> None:
    ENTERED.append(time.perf_counter())
    for number in range(steps):
        await echo(number)
    REACHED.set()
    await DBOS.sleep_async(3600)


@DBOS.workflow()
async def write_until(deadline: float) -> tuple[int, float]:
    steps, longest = 0, 0.0
    while time.time() < deadline:
        started = time.perf_counter()
        await echo(steps)
        longest = max(longest, time.perf_counter() - started)
        steps += 1
    return steps, longest


def start(place: Place, executor_id: str = "local") -> None:
    """Launch the peer. Nothing ends it: a child sends its figures and exits, as its destroy would only cost time."""
    config: DBOSConfig = {
        "name": "bench-peer",
        "system_database_url": place.url,
        "executor_id": executor_id,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()


def one_run(place: Place) -> dict[str, float]:
    return asyncio.run(many_counts(place, runs=1, steps=place.count("steps")))


def many_runs(place: Place) -> dict[str, float]:
    return asyncio.run(many_counts(place, runs=place.count("runs"), steps=place.count("steps")))


def one_step_runs(place: Place) -> dict[str, float]:
    steps = asyncio.run(many_counts(place, runs=place.count("runs"), steps=1))
    return {"per_s": steps["per_s"]}


async def many_counts(place: Place, *, runs: int, steps: int) -> dict[str, float]:
    start(place)
    await (await DBOS.start_workflow_async(count, 1)).get_result()
    return {"per_s": await steps_per_second(runs, steps)}


async def steps_per_second(runs: int, steps: int) -> float:
    started = time.perf_counter()
    handles = await asyncio.gather(*(DBOS.start_workflow_async(count, steps) for _ in range(runs)))
    totals = await asyncio.gather(*(handle.get_result() for handle in handles))
    spent = time.perf_counter() - started
    if set(totals) != {sum(range(steps))}:
        raise AssertionError("a run returned another sum than its steps")
    return runs * steps / spent


def beside_a_busy_thread(place: Place) -> dict[str, float]:
    async def measure() -> dict[str, float]:
        start(place)
        await (await DBOS.start_workflow_async(count, 1)).get_result()
        DBOS.start_workflow(crunch)
        await asyncio.to_thread(COMPUTING.wait)
        try:
            return {"per_s": await steps_per_second(place.count("runs"), place.count("steps"))}
        finally:
            STOP.set()

    return asyncio.run(measure())


def messages(place: Place) -> dict[str, float]:
    """Milliseconds from the call of send to the return of recv in the other run: half a round trip (median)."""

    async def measure() -> dict[str, float]:
        start(place)
        rounds = place.count("messages")
        with SetWorkflowID("pong"):
            answering = await DBOS.start_workflow_async(pong, rounds)
        with SetWorkflowID("ping"):
            asking = await DBOS.start_workflow_async(ping, rounds)
        await asyncio.gather(asking.get_result(), answering.get_result())
        return {"p50_ms": sorted(ROUND_TRIPS)[len(ROUND_TRIPS) // 2] / 2 * 1000}

    return asyncio.run(measure())


def asleep(place: Place) -> dict[str, float]:
    """Megabytes for 100,000 sleeping runs, from the second half of fewer: what is kept once must not be scaled."""

    async def measure() -> dict[str, float]:
        start(place)
        half = place.count("runs") // 2
        await start_naps(place, half, asleep_then=half)
        before = resident_mb()
        await start_naps(place, half, asleep_then=2 * half)
        return {"asleep_mb": (resident_mb() - before) * 100_000 / half}

    return asyncio.run(measure())


async def start_naps(place: Place, runs: int, *, asleep_then: int) -> None:
    for first in range(0, runs, 100):
        await asyncio.gather(*(DBOS.start_workflow_async(nap) for _ in range(min(100, runs - first))))
    while recorded_naps(place) < asleep_then:
        await asyncio.sleep(0.2)


def recorded_naps(place: Place) -> int:
    """How many naps are recorded; read from the peer's table because nothing public tells it in one question."""
    with sqlite3.connect(place.file) as connection:
        [recorded] = connection.execute("select count(*) from operation_outputs where function_name = 'DBOS.sleep'")
    connection.close()
    return int(recorded[0])


def killed_and_restarted(place: Place) -> dict[str, float]:
    """Seconds from the return of launch until every run that was open at the kill has recorded a new step."""
    return kill_and_restart(place, before="bench.peer_dbos:open_runs", after="bench.peer_dbos:take_over", dead_s=NAP_S)


def open_runs(place: Place) -> None:
    async def work() -> None:
        start(place)
        runs, ticks = place.count("runs"), place.count("ticks")
        await asyncio.gather(*(DBOS.start_workflow_async(keep_ticking, str(number), ticks) for number in range(runs)))
        await all_have_ticked(runs, ticks)
        say(open=runs)
        await asyncio.sleep(3600)

    asyncio.run(work())


def take_over(place: Place) -> None:
    async def work() -> None:
        start(place)
        launched_at = time.perf_counter()
        await all_have_ticked(place.count("runs"), 1)
        say(back_s=time.perf_counter() - launched_at)
        await asyncio.sleep(3600)

    asyncio.run(work())


async def all_have_ticked(runs: int, ticks: int) -> None:
    """Looked at every 2 ms: the peer runs what it recovers in another loop, where no event of this one is seen."""
    while sum(ticked >= ticks for ticked in list(TICKED.values())) < runs:
        await asyncio.sleep(0.002)


def replay(place: Place) -> dict[str, float]:
    """How long a long history is replayed after a crash, and what a step costs in a long run against a short one."""
    return kill_and_replay(place, before="bench.peer_dbos:write_history", after="bench.peer_dbos:read_history")


def write_history(place: Place) -> None:
    async def work() -> None:
        start(place)
        steps = place.count("steps")
        await steps_per_second(1, 1)
        short = await steps_per_second(1, steps // 10)
        started = time.perf_counter()
        await DBOS.start_workflow_async(long_history, steps)
        await asyncio.to_thread(REACHED.wait)
        say(growth=short * (time.perf_counter() - started) / steps)
        await asyncio.sleep(3600)

    asyncio.run(work())


def read_history(place: Place) -> None:
    """Seconds from the return of launch to the entry of the body, and from there to the last recorded step."""
    start(place)
    launched_at = time.perf_counter()
    REACHED.wait()
    say(wait_s=max(0.0, ENTERED[0] - launched_at), body_s=time.perf_counter() - ENTERED[0])
    time.sleep(3600)


def four_processes(place: Place) -> dict[str, float]:
    return write_together(place, writer="bench.peer_dbos:writer", processes=4)


def writer(place: Place) -> dict[str, float]:
    locked = CountLocked()
    logging.getLogger("dbos").addHandler(locked)

    async def work() -> dict[str, float]:
        start(place, executor_id=f"writer-{place.count('executor')}")
        await steps_per_second(1, 1)
        say(ready=True)
        listen()
        deadline = time.time() + place.size["seconds"]
        outcomes = await asyncio.gather(
            *(write_one(deadline) for _ in range(place.count("runs"))), return_exceptions=True
        )
        done = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        return {
            "steps": sum(steps for steps, _ in done),
            "longest_s": max((longest for _, longest in done), default=place.size["seconds"]),
            "locked": locked.seen + locked_among(list(outcomes)),
        }

    return asyncio.run(work())


async def write_one(deadline: float) -> tuple[int, float]:
    return await (await DBOS.start_workflow_async(write_until, deadline)).get_result()
