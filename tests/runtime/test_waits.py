"""Waiting for time: sleeps keep their remainder, and a waiting run costs no memory and no thread."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

import turbine
import turbine.sync
from turbine.testing import World

passes: list[str] = []


@pytest.fixture(autouse=True)
def _no_passes():
    passes.clear()


@turbine.workflow
async def nap(duration: float | timedelta) -> str:
    passes.append("nap")
    await turbine.sleep(duration)
    return "awake"


@pytest.mark.parametrize("duration", [0, 0.01, timedelta(milliseconds=10)], ids=str)
async def test_a_sleep_takes_its_time(launch, duration):
    rt = await launch(nap_for_seconds, nap_for_a_timedelta)
    workflow = nap_for_a_timedelta if isinstance(duration, timedelta) else nap_for_seconds
    began = time.monotonic()

    handle = await rt.run(workflow, duration)

    assert "awake" == await handle.result()
    assert time.monotonic() - began >= (0.01 if duration else 0)
    assert ["turbine.sleep"] == [step.function_name for step in await handle.steps()]


@turbine.workflow
async def nap_for_seconds(duration: float) -> str:
    await turbine.sleep(duration)
    return "awake"


@turbine.workflow
async def nap_for_a_timedelta(duration: timedelta) -> str:
    await turbine.pause(duration)
    return "awake"


@turbine.workflow
async def nap_until(moment: datetime) -> str:
    await turbine.sleep_until(moment)
    return "awake"


@pytest.mark.parametrize("milliseconds", [-1000, 30])
async def test_a_run_may_sleep_until_a_moment(launch, milliseconds):
    rt = await launch(nap_until)
    moment = datetime.now(UTC) + timedelta(milliseconds=milliseconds)

    assert "awake" == await (await rt.run(nap_until, moment)).result()

    assert datetime.now(UTC) >= moment


@turbine.workflow
async def nap_wrongly() -> list[str]:
    told: list[str] = []
    for wrong in (-1, timedelta(seconds=-1), float("nan"), float("inf")):
        try:
            await turbine.sleep(wrong)
        except ValueError as error:
            told.append(str(error))
    try:
        await turbine.sleep_until(datetime(2030, 1, 1))  # noqa: DTZ001 - whose midnight is that?
    except ValueError as error:
        told.append(str(error))
    return told


async def test_a_time_that_can_never_be_right_is_a_value_error(launch):
    rt = await launch(nap_wrongly)

    assert 5 == len(await (await rt.run(nap_wrongly)).result())


async def test_after_a_restart_only_the_rest_of_a_sleep_is_slept(launch):
    rt = await launch(nap)
    handle = await rt.run(nap, 0.4)
    began = (await handle.status()).created_at
    await rt.wait_idle()
    await rt.shutdown()
    await asyncio.sleep(0.15)

    later = await launch(nap)
    assert "awake" == await later.retrieve(handle.workflow_id).result(timeout=120)

    status = await later.retrieve(handle.workflow_id).status()
    assert timedelta(seconds=0.4) <= status.completed_at - began < timedelta(seconds=1.5)
    assert 2 == len(passes)
    assert 1 == status.attempts


async def test_crashes_in_the_middle_of_a_sleep_make_it_no_longer(database_url):
    async with World(database_url, workflows=[nap]) as world:
        began = world.now
        await world.runtime.run(nap.options(id="sleeper"), timedelta(hours=10))
        for _ in range(3):
            await world.advance(hours=3)
            await world.crash()
            await world.restart()
        await world.advance(minutes=59)
        assert "PENDING" == (await world.runtime.status("sleeper")).status

        await world.advance(minutes=1)

        status = await world.runtime.status("sleeper")
        assert ("SUCCESS", began + timedelta(hours=10)) == (status.status, status.completed_at)


async def test_a_sleep_that_ended_while_nobody_was_there_is_over_at_launch(launch):
    rt = await launch(nap)
    handle = await rt.run(nap, 0.05)
    await rt.wait_idle()
    await rt.shutdown()
    await asyncio.sleep(0.06)

    later = await launch(nap)

    assert "awake" == await later.retrieve(handle.workflow_id).result(timeout=120)


async def test_a_run_that_waits_longer_than_park_after_leaves_memory_and_wakes_by_itself(launch):
    rt = await launch(nap, park_after=timedelta(milliseconds=20))

    short, long = await rt.run(nap, 0.001), await rt.run(nap, 0.2)

    assert ["awake", "awake"] == [await short.result(), await long.result()]
    assert 3 == len(passes)
    assert 1 == (await long.status()).attempts


async def test_a_parked_run_wakes_in_any_process_that_knows_its_workflow(launch):
    here, there = await launch(nap, park_after=0), await launch(nap, park_after=0)
    handle = await here.run(nap, timedelta(days=1))
    await here.wait_idle()
    await here.shutdown()

    assert await there.release(handle.workflow_id)
    assert "awake" == await there.retrieve(handle.workflow_id).result(timeout=120)
    assert there.executor_id == (await there.retrieve(handle.workflow_id).status()).executor_id


@turbine.workflow
def nap_in_a_thread(seconds: float) -> str:
    passes.append("nap in a thread")
    turbine.sync.sleep(seconds)
    return "awake"


async def test_parked_blocking_runs_give_their_threads_back(launch):
    rt = await launch(nap_in_a_thread, max_threads=2)

    handles = [await rt.run(nap_in_a_thread, 3600) for _ in range(10)]
    quick = await rt.run(nap_in_a_thread, 0)

    # Ten sleepers in two threads do not hold up the eleventh, nor each other.
    assert "awake" == await quick.result()
    while passes.count("nap in a thread") < 11:  # noqa: ASYNC110 - the list is the only witness
        await asyncio.sleep(0.01)
    for handle in handles:
        await rt.release(handle.workflow_id)
    assert ["awake"] * 10 == [await handle.result() for handle in handles]


@turbine.workflow
async def clean_up_when_unloaded() -> str:
    try:
        await turbine.sleep(0.05)
    except BaseException:
        passes.append("unloaded")
        await turbine.set_value("left", "a trace")
        raise
    finally:
        passes.append("finally")
    return "awake"


async def test_while_a_run_is_being_unloaded_no_durable_word_acts(launch):
    rt = await launch(clean_up_when_unloaded, park_after=0)

    handle = await rt.run(clean_up_when_unloaded)

    assert "awake" == await handle.result()
    assert ["unloaded", "finally", "finally"] == passes
    assert {} == await rt.values(handle.workflow_id)
    assert ["turbine.sleep"] == [step.function_name for step in await handle.steps()]


@turbine.step
async def short_step() -> str:
    await asyncio.sleep(0.02)
    return "step"


@turbine.workflow
async def step_beside_a_wait() -> list[str]:
    passes.append("beside")
    return await asyncio.gather(short_step(), turbine.recv("go"))


async def test_a_run_leaves_memory_when_a_step_beside_its_wait_has_ended(launch):
    rt = await launch(step_beside_a_wait, park_after=0.05)
    handle = await rt.run(step_beside_a_wait)

    while (await handle.status()).executor_id is not None:  # noqa: ASYNC110 - rows are the only witness
        await asyncio.sleep(0.01)
    await rt.send(handle.workflow_id, "message", "go")

    assert ["step", "message"] == await handle.result()
    assert ["beside", "beside"] == passes


@turbine.step(timeout=10)
def step_in_time() -> str:
    return "in time"


@turbine.workflow
def call_in_time() -> str:
    return step_in_time()


async def test_a_step_with_a_timeout_finds_a_thread_where_its_run_has_taken_the_last_one(launch):
    rt = await launch(call_in_time, max_threads=1)

    assert "in time" == await (await rt.run(call_in_time)).result(timeout=120)


@turbine.workflow
def wait_in_a_thread() -> str:
    return turbine.sync.recv("go")


@turbine.workflow
async def do_in_a_thread() -> str:
    return await turbine.do(time.strftime, "%Y")


async def test_a_run_that_waits_in_a_thread_gives_it_to_a_step_that_needs_one(launch):
    rt = await launch(wait_in_a_thread, do_in_a_thread, max_threads=1)
    waiting = await rt.run(wait_in_a_thread)
    await rt.wait_idle()

    assert await (await rt.run(do_in_a_thread)).result(timeout=120)

    await rt.send(waiting.workflow_id, "gone", "go")
    assert "gone" == await waiting.result(timeout=120)
