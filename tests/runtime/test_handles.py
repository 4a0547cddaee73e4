"""Handles: the way to a result from anywhere, as often as wanted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import turbine
from turbine import ResultTimeout, Runtime, WorkflowFailed, WorkflowNotFound


class Receipt(BaseModel):
    total: int


@turbine.workflow
async def buy(total: int) -> Receipt:
    if total < 0:
        raise ValueError("negative")
    return Receipt(total=total)


@turbine.workflow
async def wait_for_go() -> str:
    return await turbine.recv("go", type=str)


async def test_a_result_may_be_asked_for_any_number_of_times(launch):
    rt = await launch(buy)
    handle = await rt.run(buy, 3)

    assert [Receipt(total=3)] * 3 == [await handle.result() for _ in range(3)]
    assert [Receipt(total=3)] * 3 == await asyncio.gather(*(handle.result() for _ in range(3)))
    failing = await rt.run(buy, -1)
    for _ in range(2):
        with pytest.raises(WorkflowFailed):
            await failing.result()


async def test_a_result_has_the_type_that_is_asked_for(launch):
    here, there = await launch(buy), await launch()
    handle = await here.run(buy, 3)
    await handle.result()

    assert Receipt(total=3) == await there.retrieve(handle.workflow_id, Receipt).result()
    assert {"total": 3} == await there.retrieve(handle.workflow_id).result()


async def test_many_may_wait_for_one_run_in_several_processes(launch):
    here, there = await launch(wait_for_go), await launch()
    handle = await here.run(wait_for_go)
    waiting = [
        asyncio.ensure_future(one.result())
        for one in (handle, there.retrieve(handle.workflow_id), handle, here.retrieve(handle.workflow_id))
    ]
    await here.wait_idle()

    await there.send(handle.workflow_id, "gone", "go")

    assert ["gone"] * 4 == await asyncio.gather(*waiting)


@pytest.mark.parametrize("park_after", [0, 30])
@pytest.mark.parametrize("timeout", [0, 0.02, timedelta(milliseconds=20)], ids=str)
async def test_waiting_too_long_is_a_result_timeout_and_the_run_goes_on(launch, timeout, park_after):
    rt = await launch(wait_for_go, park_after=park_after)
    handle = await rt.run(wait_for_go)

    with pytest.raises(ResultTimeout) as raised:
        await handle.result(timeout)
    assert isinstance(raised.value, TimeoutError)
    assert handle.workflow_id == raised.value.workflow_id

    await rt.send(handle.workflow_id, "gone", "go")
    assert "gone" == await handle.result()


async def test_waiting_may_be_given_up_by_cancelling_the_waiter(launch):
    rt = await launch(wait_for_go)
    handle = await rt.run(wait_for_go)
    waiter = asyncio.ensure_future(handle.result())
    await rt.wait_idle()

    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter

    await rt.send(handle.workflow_id, "gone", "go")
    assert "gone" == await handle.result()


async def test_who_asks_again_and_again_leaves_nothing_behind(launch):
    rt = await launch(wait_for_go)
    handle = await rt.run(wait_for_go)

    for _ in range(3):
        with pytest.raises(ResultTimeout):
            await handle.result(timeout=0.001)

    assert [] == rt._live.runner.by_id[handle.workflow_id].listeners


async def test_an_unknown_id_is_found_out_when_it_is_used(launch):
    rt = await launch(buy)

    handle = rt.retrieve("nobody")

    assert "nobody" == handle.workflow_id
    with pytest.raises(WorkflowNotFound):
        await handle.result(timeout=1)


async def test_a_waiter_hears_of_a_resume_not_of_the_end_before(launch):
    rt = await launch(wait_for_go, park_after=0)
    handle = await rt.run(wait_for_go)
    await rt.wait_idle()
    await rt.cancel(handle.workflow_id)
    await rt.resume(handle.workflow_id)

    waiter = asyncio.ensure_future(handle.result(timeout=120))
    await rt.send(handle.workflow_id, "gone", "go")

    assert "gone" == await waiter


async def test_a_waiter_is_told_when_the_runtime_ends_under_it(launch):
    rt = await launch(wait_for_go)
    handle = await rt.run(wait_for_go)
    waiter = asyncio.ensure_future(handle.result())
    await rt.wait_idle()

    await rt.shutdown()

    with pytest.raises(turbine.TurbineError):
        await asyncio.wait_for(waiter, 120)


async def test_who_hears_nothing_looks_as_often_as_was_asked(launch, database_url):
    here, deaf = await launch(wait_for_go), Runtime(database_url)
    heard: list[Any] = []

    def deafen(live: Any) -> None:
        live._on_wakes = heard.extend

    deaf._instrument = deafen
    async with deaf:
        handle = await here.run(wait_for_go)
        far = deaf.retrieve(handle.workflow_id, str)
        often = asyncio.ensure_future(far.result(poll_interval=0.01))
        seldom = asyncio.ensure_future(far.result(poll_interval=timedelta(hours=1)))
        await here.wait_idle()
        await here.send(handle.workflow_id, "gone", "go")

        assert "gone" == await often
        await asyncio.sleep(1.2)  # longer than it waits between looks of its own accord
        assert not seldom.done()
        seldom.cancel()
