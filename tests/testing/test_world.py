"""A world in which time passes when the test says so."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine.testing import World

ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@turbine.step
async def note(what: Any) -> Any:
    ran.append(what)
    return what


@turbine.workflow
async def naps() -> list[str]:
    moments = [(await turbine.now()).isoformat()]
    for days in (1, 30, 365):
        await turbine.sleep(timedelta(days=days))
        moments.append((await turbine.now()).isoformat())
    return moments


@turbine.sync.workflow
def blocking_naps() -> list[str]:
    moments = [turbine.sync.now().isoformat()]
    for days in (1, 30, 365):
        turbine.sync.sleep(timedelta(days=days))
        moments.append(turbine.sync.now().isoformat())
    return moments


START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("workflow", [naps, blocking_naps])
async def test_sleeps_of_days_end_exactly_when_the_clock_says_so(database_url: str, workflow: Any) -> None:
    began = time.monotonic()
    async with World(database_url, workflows=[workflow], start=START) as world:
        handle = await world.runtime.run(workflow)
        await world.advance(days=1 + 30, hours=1)
        assert (await handle.status()).status == "PENDING"
        await world.advance(days=365)

        days = [0, 1, 31, 396]
        assert [(START + timedelta(days=day)).isoformat() for day in days] == await handle.result()
        assert START + timedelta(days=396, hours=1) == world.now
    assert time.monotonic() - began < 600


@turbine.workflow
async def impatient() -> str:
    try:
        await turbine.recv("never", timeout=timedelta(hours=8))
    except turbine.RecvTimeout:
        return (await turbine.now()).isoformat()
    return "a message"


async def test_a_receive_runs_out_at_its_virtual_time() -> None:
    async with World(workflows=[impatient], start=START) as world:
        handle = await world.runtime.run(impatient)
        await world.advance(hours=7, minutes=59)
        assert (await handle.status()).status == "PENDING"
        await world.advance(minutes=1)
        assert (START + timedelta(hours=8)).isoformat() == await handle.result()


@turbine.step(retries=4, base_interval=timedelta(minutes=10), backoff_factor=2, max_interval=timedelta(hours=1))
async def flaky() -> int:
    ran.append(turbine.current().attempt)
    if len(ran) < 5:
        raise ConnectionError("not yet")
    return len(ran)


@turbine.workflow
async def tries() -> int:
    return await flaky()


async def test_retries_come_at_their_virtual_times() -> None:
    async with World(workflows=[tries], start=START) as world:
        handle = await world.runtime.run(tries)
        counts: list[int] = []
        for minutes in (0, 10, 20, 40, 60):
            await world.advance(minutes=minutes)
            counts.append(len(ran))
        assert [1, 2, 3, 4, 5] == counts
        assert 5 == await handle.result()


@turbine.workflow
async def endless() -> None:
    while True:
        await turbine.sleep(timedelta(days=1))
        await note("day")


async def test_the_timeout_of_a_run_follows_the_clock() -> None:
    async with World(workflows=[endless]) as world:
        handle = await world.runtime.run(endless.options(timeout=timedelta(days=3, hours=1)))
        await world.advance(days=5)
        with pytest.raises(turbine.WorkflowTimeout):
            await handle.result()
        assert ["day"] * 3 == ran


@turbine.workflow(schedule="0 9 * * *")
async def each_morning(tick: datetime) -> str:
    return tick.isoformat()


async def test_schedules_follow_the_clock_and_a_crash_misses_none() -> None:
    async with World(workflows=[each_morning], start=START, gc_retention=None) as world:
        await world.advance(days=2)
        await world.crash()
        await world.restart()
        await world.advance(days=2)
        runs = (await world.runtime.list(ascending=True)).items
        assert [f"2026-03-0{day}T09:00:00+00:00" for day in (1, 2, 3, 4)] == [run.output for run in runs]
        assert {"SUCCESS"} == {str(run.status) for run in runs}


@turbine.workflow
async def asks_somebody() -> bool:
    return (await turbine.wait_for_approval("May I?", timeout=timedelta(days=1))).approved


async def test_an_approval_runs_out_or_is_given_in_virtual_time() -> None:
    async with World(workflows=[asks_somebody]) as world:
        late, given = [await world.runtime.run(asks_somebody) for _ in range(2)]
        await world.advance(hours=23)
        assert "WAITING_FOR_APPROVAL" == (await given.status()).status
        await world.runtime.approve(given.workflow_id)
        await world.advance(hours=2)
        assert await given.result()
        with pytest.raises(turbine.WorkflowFailed, match="in time"):
            await late.result()


async def test_garbage_collection_follows_the_clock() -> None:
    async with World(workflows=[impatient], start=START, gc_retention=timedelta(days=2)) as world:
        handle = await world.runtime.run(impatient)
        await world.advance(days=2)
        assert "2026-03-01T08:00:00+00:00" == await handle.result()
        await world.advance(days=1)
        with pytest.raises(turbine.WorkflowNotFound):
            await handle.status()


async def test_a_deadline_follows_the_clock() -> None:
    async with World(workflows=[endless]) as world:
        handle = await world.runtime.run(endless.options(deadline=world.now + timedelta(days=2, hours=1)))
        await world.advance(days=2)
        assert (await handle.status()).status == "PENDING"
        await world.advance(hours=1)
        assert (await handle.status()).status == "CANCELLED"


async def test_a_delayed_start_follows_the_clock() -> None:
    async with World(workflows=[naps]) as world:
        handle = await world.runtime.run(naps.options(delay=timedelta(hours=5)))
        await world.advance(hours=4)
        assert (await handle.status()).status == "ENQUEUED"
        await world.advance(hours=1)
        assert (await handle.status()).status == "PENDING"


@turbine.workflow
async def listens() -> str:
    return await turbine.recv("word", type=str)


@pytest.mark.parametrize("park_after", [0, timedelta(days=2)])
async def test_a_waiting_run_leaves_memory_when_virtual_time_says_so(park_after: Any) -> None:
    async with World(workflows=[listens], park_after=park_after) as world:
        handle = await world.runtime.run(listens)
        await world.settle()
        live = world.runtime._live
        assert live is not None
        assert (0 if park_after == 0 else 1) == len(live.runner.executions)
        await world.advance(days=2)
        assert 0 == len(live.runner.executions)
        await world.runtime.send(handle.workflow_id, "hello", "word")
        assert "hello" == await handle.result()


@turbine.step
async def really_takes(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "took its time"


@turbine.workflow
async def works_then_sleeps() -> str:
    await really_takes(0.2)
    await turbine.sleep(3600)
    return (await turbine.now()).isoformat()


async def test_time_is_virtual_while_a_step_does_something_real() -> None:
    async with World(workflows=[works_then_sleeps], start=START) as world:
        handle = await world.runtime.run(works_then_sleeps)
        await world.advance(hours=1)
        assert (START + timedelta(hours=1)).isoformat() == await handle.result()


@turbine.step(timeout=timedelta(minutes=5))
async def never_ends() -> None:
    await asyncio.Event().wait()


@turbine.step(timeout=timedelta(minutes=5))
def never_ends_blocking() -> None:
    gate.wait(120)


@turbine.sync.step(timeout=timedelta(minutes=5))
def never_ends_in_thread() -> None:
    gate.wait(120)


@turbine.workflow
async def limited() -> str:
    with pytest.raises(TimeoutError):
        await never_ends()
    with pytest.raises(TimeoutError):
        await turbine.do(never_ends_blocking)
    return (await turbine.now()).isoformat()


@turbine.sync.workflow
def limited_blocking() -> str:
    with pytest.raises(TimeoutError):
        never_ends_in_thread()
    with pytest.raises(TimeoutError):
        turbine.sync.do(never_ends)
    return turbine.sync.now().isoformat()


@pytest.mark.parametrize("workflow", [limited, limited_blocking])
async def test_the_time_limit_of_a_step_follows_the_clock(workflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turbine.testing.world.PATIENCE", 0.2)
    gate.clear()
    async with World(workflows=[workflow], start=START) as world:
        handle = await world.runtime.run(workflow)
        await world.advance(minutes=20)
        assert (START + timedelta(minutes=10)).isoformat() == await handle.result()
        gate.set()


gate = threading.Event()


@turbine.step
def stuck() -> str:
    gate.wait(120)
    return "free"


@turbine.workflow
async def gets_stuck() -> str:
    return await turbine.do(stuck)


async def test_time_goes_on_without_a_step_that_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turbine.testing.world.PATIENCE", 0.2)
    gate.clear()
    async with World(workflows=[gets_stuck, impatient], start=START) as world:
        handle = await world.runtime.run(gets_stuck)
        other = await world.runtime.run(impatient)
        await world.advance(days=1)
        assert (START + timedelta(hours=8)).isoformat() == await other.result()
        gate.set()
        assert "free" == await handle.result()


async def test_alarms_ring_in_their_order_across_runs() -> None:
    async with World(workflows=[wakes_at], start=START) as world:
        for hours in (5, 3, 9, 1):
            await world.runtime.run(wakes_at, hours)
        await world.advance(hours=10)
        assert [1, 3, 5, 9] == ran


@turbine.workflow
async def wakes_at(hours: int) -> None:
    await turbine.sleep(timedelta(hours=hours))
    await note(hours)


# Deaths


@turbine.workflow
async def three_steps() -> list[str]:
    first = await note("first")
    await turbine.sleep(timedelta(hours=1))
    second = await note("second")
    word = await turbine.recv("go", type=str)
    return [first, second, word]


async def test_a_run_goes_on_after_a_crash_where_it_was(database_url: str) -> None:
    async with World(database_url, workflows=[three_steps]) as world:
        handle = await world.runtime.run(three_steps)
        await world.settle()
        await world.crash()
        assert not world.runtime.is_launched
        await world.restart()
        await world.advance(hours=1)
        assert ["first", "second"] == ran

        await world.crash()
        await world.restart()
        await world.runtime.send(handle.workflow_id, "go", "go")
        await world.settle()
        assert ["first", "second", "go"] == await handle.result()
        assert ["first", "second"] == ran
        assert (await handle.status()).attempts >= 1


@turbine.step
async def hangs() -> str:
    ran.append("hangs")
    if len(ran) == 1:
        try:
            await asyncio.sleep(30)
        finally:
            ran.append("unwound")
    return "came through"


@turbine.workflow
async def hanging() -> str:
    return await hangs()


async def test_a_step_that_was_under_way_at_the_crash_runs_again(database_url: str) -> None:
    async with World(database_url, workflows=[hanging]) as world:
        handle = await world.runtime.run(hanging)
        while not ran:  # noqa: ASYNC110 - the list is the only witness
            await asyncio.sleep(0)
        began = time.monotonic()
        await world.crash()
        await world.restart()
        assert "came through" == await handle.result(timeout=120)
        assert time.monotonic() - began < 120
        assert ["hangs", "unwound", "hangs"] == ran
        assert 2 == (await handle.status()).attempts


async def test_nothing_of_a_life_is_written_after_its_death(database_url: str) -> None:
    async with World(database_url, workflows=[hanging]) as world:
        await world.runtime.run(hanging)
        live = world.runtime._live
        assert live is not None
        await world.crash()
        with pytest.raises(turbine.StoreUnavailable):
            await live.store.write(lambda tx: None)
        with pytest.raises(turbine.TurbineError):
            await world.runtime.run(hanging)


async def test_whoever_waits_for_a_result_hears_of_the_death() -> None:
    async with World(workflows=[listens]) as world:
        handle = await world.runtime.run(listens)
        waiting = asyncio.ensure_future(handle.result())
        await world.settle()
        await world.crash()
        with pytest.raises(turbine.StoreUnavailable):
            await waiting


@turbine.sync.workflow
def blocking_listener() -> str:
    note_blocking("listening")
    return turbine.sync.recv("word", type=str)


@turbine.sync.step
def note_blocking(what: str) -> None:
    ran.append(what)


async def test_blocking_runs_die_and_go_on_too(database_url: str) -> None:
    async with World(database_url, workflows=[blocking_listener]) as world:
        handle = await world.runtime.run(blocking_listener)
        await world.settle()
        await world.crash()
        await world.restart()
        await world.settle()
        await world.runtime.send(handle.workflow_id, "heard", "word")
        assert "heard" == await handle.result(timeout=120)
        assert ["listening"] == ran


async def test_a_restart_without_a_crash_is_a_shutdown_in_good_order() -> None:
    async with World(workflows=[three_steps]) as world:
        handle = await world.runtime.run(three_steps)
        await world.settle()
        await world.restart()
        await world.advance(hours=1)
        assert ["first", "second"] == ran
        assert 1 == (await handle.status()).attempts


async def test_the_database_of_a_world_is_removed_with_it() -> None:
    async with World(workflows=[naps]) as world:
        folder = world._folder
        assert folder is not None
        assert (folder / "turbine.db").exists()
    assert not folder.exists()


async def test_time_does_not_go_back() -> None:
    async with World() as world:
        with pytest.raises(ValueError, match="does not go back"):
            await world.advance(hours=-1)
