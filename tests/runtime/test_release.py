"""Releasing: what waits for the clock alone goes on now, whoever carries it out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta

import pytest

import turbine
from turbine import WorkflowNotFound, sync

calls: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_called():
    calls.clear()


@turbine.workflow
async def nap() -> str:
    await turbine.sleep(25)
    await turbine.sleep(0.001)
    return "awake"


@turbine.workflow
def blocking_nap() -> str:
    sync.sleep(25)
    return "awake"


@turbine.step(retries=1, base_interval=25, jitter=0)
async def stumble() -> int:
    calls["stumble"] += 1
    if calls["stumble"] < 2:
        raise ValueError("not yet")
    return calls["stumble"]


@turbine.workflow
async def stumbling() -> int:
    return await stumble()


async def reason(rt, handle, wanted: str):
    async with asyncio.timeout(120):
        while (told := await rt.explain(handle.workflow_id)).reason != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return told


@pytest.mark.parametrize("park_after", [timedelta(minutes=5), timedelta(0)], ids=["in memory", "parked"])
@pytest.mark.parametrize("by", ["the process that holds it", "another process"])
@pytest.mark.parametrize(
    ("workflow", "waits", "result"),
    [(nap, "sleeping", "awake"), (blocking_nap, "sleeping", "awake"), (stumbling, "retry", 2)],
    ids=["sleep", "blocking sleep", "retry"],
)
async def test_what_waits_for_the_clock_goes_on_now(launch, workflow, waits, result, by, park_after):
    rt = await launch(workflow, park_after=park_after)
    other = rt if by.startswith("the") else await launch()
    handle = await rt.run(workflow)
    told = await reason(rt, handle, waits)

    began = time.monotonic()
    assert f"await rt.release({handle.workflow_id!r})" in (told.advice or "")
    assert await other.release(handle.workflow_id)
    assert result == await handle.result()
    assert 5 > time.monotonic() - began
    assert not await other.release(handle.workflow_id)


async def test_a_wait_for_somebody_else_is_left_alone(launch):
    @turbine.workflow
    async def listening() -> object:
        return await turbine.recv("news", timeout=60)

    rt = await launch(listening)
    handle = await rt.run(listening)
    await reason(rt, handle, "message")

    assert not await rt.release(handle.workflow_id)
    with pytest.raises(WorkflowNotFound):
        await rt.release("nobody")


async def test_explain_says_where_the_code_stands_in_the_process_that_carries_it_out(launch):
    rt = await launch(nap, blocking_nap, park_after=timedelta(minutes=5))
    other = await launch()
    for workflow in (nap, blocking_nap):
        handle = await rt.run(workflow)
        (line,) = (await reason(rt, handle, "sleeping")).stack
        assert (__file__, workflow.name) == (line.file, line.function)
        assert [] == (await other.explain(handle.workflow_id)).stack
        await rt.cancel(handle.workflow_id)
