"""Death by SIGKILL: how soon many open runs go on, and how soon a long history is replayed."""

import asyncio
import time
from collections import Counter

import turbine
from bench.case import Place
from bench.child import say
from bench.ours.steps import count, echo, steps_per_second
from bench.scenes import NAP_S, kill_and_replay, kill_and_restart, pause_after

EXECUTED: set[tuple[str, int]] = set()
TICKED: Counter[str] = Counter()
ENTERED: list[float] = []
REACHED = asyncio.Event()


@turbine.step
async def tick(run_id: str, number: int) -> int:
    EXECUTED.add((run_id, number))
    return number


@turbine.workflow
async def keep_ticking(run_id: str, ticks: int) -> None:
    for number in range(1_000_000):
        await tick(run_id, number)
        # A replayed step comes back without its body, so only steps recorded by this process count.
        TICKED[run_id] += (run_id, number) in EXECUTED
        await turbine.sleep(pause_after(number, ticks))


@turbine.workflow
async def long_history(steps: int) -> None:
    ENTERED.append(time.perf_counter())
    for number in range(steps):
        await echo(number)
    REACHED.set()
    await turbine.sleep(3600)


def killed_and_restarted(place: Place) -> dict[str, float]:
    """Seconds from the return of launch until every run that was open at the kill has recorded a new step."""
    return kill_and_restart(
        place, before="bench.ours.crashes:open_runs", after="bench.ours.crashes:take_over", dead_s=NAP_S
    )


def open_runs(place: Place) -> None:
    async def work() -> None:
        async with turbine.Runtime(place.url, workflows=[keep_ticking]) as rt:
            runs, ticks = place.count("runs"), place.count("ticks")
            await asyncio.gather(*(rt.run(keep_ticking, str(number), ticks) for number in range(runs)))
            await all_have_ticked(runs, ticks)
            say(open=runs)
            await asyncio.sleep(3600)

    asyncio.run(work())


def take_over(place: Place) -> None:
    async def work() -> None:
        rt = turbine.Runtime(place.url, workflows=[keep_ticking])
        await rt.launch()
        launched_at = time.perf_counter()
        await all_have_ticked(place.count("runs"), 1)
        say(back_s=time.perf_counter() - launched_at)
        await asyncio.sleep(3600)

    asyncio.run(work())


async def all_have_ticked(runs: int, ticks: int) -> None:
    """Looked at every 2 ms, as on the peer's side."""
    while sum(ticked >= ticks for ticked in TICKED.values()) < runs:
        await asyncio.sleep(0.002)


def replay(place: Place) -> dict[str, float]:
    """How long a long history is replayed after a crash, and what a step costs in a long run against a short one."""
    return kill_and_replay(place, before="bench.ours.crashes:write_history", after="bench.ours.crashes:read_history")


def write_history(place: Place) -> None:
    async def work() -> None:
        async with turbine.Runtime(place.url, workflows=[count, long_history]) as rt:
            steps = place.count("steps")
            await steps_per_second(rt, 1, 1)
            short = await steps_per_second(rt, 1, steps // 10)
            started = time.perf_counter()
            await rt.run(long_history, steps)
            await REACHED.wait()
            say(growth=short * (time.perf_counter() - started) / steps)
            await asyncio.sleep(3600)

    asyncio.run(work())


def read_history(place: Place) -> None:
    """Seconds from the return of launch to the entry of the body, and from there to the last recorded step."""

    async def work() -> None:
        rt = turbine.Runtime(place.url, workflows=[count, long_history])
        await rt.launch()
        launched_at = time.perf_counter()
        await REACHED.wait()
        say(wait_s=max(0.0, ENTERED[0] - launched_at), body_s=time.perf_counter() - ENTERED[0])
        await asyncio.sleep(3600)

    asyncio.run(work())
