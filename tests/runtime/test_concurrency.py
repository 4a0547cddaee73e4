"""Several things at once in one run: positions do not depend on who is faster, so a replay finds its own."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter

import pytest

import turbine
from turbine import WorkflowFailed

calls: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_called():
    calls.clear()


@turbine.step
async def fetch(name: str) -> str:
    calls[name] += 1
    await asyncio.sleep(random.random() / 100)
    return name.upper()


@turbine.step
async def fail(name: str) -> str:
    calls[name] += 1
    await asyncio.sleep(0.005)
    raise ValueError(name)


@turbine.step
def fetch_in_a_thread(name: str) -> str:
    calls[name] += 1
    return name.upper()


def _positions(steps) -> dict[str, object]:
    return {step.position: step.output for step in steps if step.function_name.startswith("fetch")}


@turbine.workflow
async def gather_steps() -> list[str]:
    found = await asyncio.gather(*(fetch(name) for name in "abcde"))
    await turbine.recv("again")
    return [*found, await fetch("f")]


async def test_plain_gather_of_steps_replays_right_whatever_order_they_end_in(launch, replay):
    rt = await launch(gather_steps)

    handles = [await rt.run(gather_steps) for _ in range(5)]
    await rt.wait_idle()
    for handle in handles[1:]:
        await rt.send(handle.workflow_id, None, "again")
        await handle.result()
    await replay(rt, handles[0])

    for handle in handles:
        assert list("ABCDEF") == await handle.result()
        assert {"0": "A", "1": "B", "2": "C", "3": "D", "4": "E", "6": "F"} == _positions(await handle.steps())
    assert set(calls.values()) == {5}


async def branch(name: str, length: int) -> list[str]:
    return [await fetch(f"{name}{number}") for number in range(length)]


@turbine.workflow
async def gather_branches() -> list[list[str]]:
    first = await fetch("first")
    found = await turbine.gather(branch("a", 3), branch("b", 2), fetch("c"))
    await turbine.recv("again")
    return [[first], *found[:2], [found[2]], [await fetch("last")]]


async def test_branches_have_positions_of_their_own(launch, replay):
    rt = await launch(gather_branches)

    handle = await rt.run(gather_branches)
    await replay(rt, handle)

    assert [["FIRST"], ["A0", "A1", "A2"], ["B0", "B1"], ["C"], ["LAST"]] == await handle.result()
    assert dict.fromkeys(["first", "a0", "a1", "a2", "b0", "b1", "c", "last"], 1) == calls
    positions = {output: position for position, output in _positions(await handle.steps()).items()}
    assert "0" == positions["FIRST"]
    prefixes = [{positions[f"{name}{number}"].rpartition(".")[0] for number in range(2)} for name in "AB"]
    assert [1, 1] == [len(prefix) for prefix in prefixes]
    assert prefixes[0] != prefixes[1]
    assert ["0", "1", "2"] == [positions[f"A{number}"].rpartition(".")[2] for number in range(3)]


@turbine.workflow
async def use_a_task_group() -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(branch(name, 2)) for name in "ab"]
    await turbine.recv("again")
    return [name for task in tasks for name in task.result()]


async def test_tasks_of_a_task_group_replay_right(launch, replay):
    rt = await launch(use_a_task_group)

    handle = await rt.run(use_a_task_group)
    await replay(rt, handle)

    assert ["A0", "A1", "B0", "B1"] == await handle.result()
    assert {"a0": 1, "a1": 1, "b0": 1, "b1": 1} == calls


@pytest.mark.skipif(sys.version_info < (3, 12), reason="every task begins later")
async def test_tasks_that_begin_at_once_take_the_positions_of_those_that_begin_later(launch, replay):
    rt = await launch(use_a_task_group)
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    try:
        handle = await rt.run(use_a_task_group)
        while len(await handle.steps()) < 5:  # noqa: ASYNC110 - rows are the only witnesses
            await asyncio.sleep(0.002)
    finally:
        loop.set_task_factory(None)
    await replay(rt, handle)

    assert ["A0", "A1", "B0", "B1"] == await handle.result()
    assert {"a0": 1, "a1": 1, "b0": 1, "b1": 1} == calls


@turbine.workflow
async def do_in_the_background() -> list[str]:
    slow = turbine.do_async(fetch, "slow")
    in_thread = turbine.do_async(fetch_in_a_thread, "thread")
    failing = turbine.do_async(fail, "failing")
    soon = await fetch("soon")
    try:
        await failing
    except ValueError as error:
        told = str(error)
    await turbine.recv("again")
    return [soon, await slow, await in_thread, told]


async def test_do_async_takes_its_position_at_once_and_its_outcome_later(launch, replay):
    rt = await launch(do_in_the_background)

    handle = await rt.run(do_in_the_background)
    await replay(rt, handle)

    assert ["SOON", "SLOW", "THREAD", "failing"] == await handle.result()
    assert {"0": "SLOW", "1": "THREAD", "3": "SOON"} == _positions(await handle.steps())
    assert {"slow": 1, "thread": 1, "failing": 1, "soon": 1} == calls


@turbine.workflow
async def fail_in_a_gather() -> str:
    try:
        await asyncio.gather(fetch("a"), fail("b"), fetch("c"))
    except ValueError as error:
        calls["handled"] += 1
        told = str(error)
    await turbine.recv("again")
    return told


async def test_a_failure_in_a_gather_is_handled_alike_on_replay(launch, replay):
    rt = await launch(fail_in_a_gather)

    handle = await rt.run(fail_in_a_gather)
    await replay(rt, handle)

    assert "b" == await handle.result()

    assert 2 == calls["handled"]
    assert 1 == calls["b"]


@turbine.workflow
async def fail_in_a_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(branch("a", 2))
        group.create_task(_fail_after("b"))


async def _fail_after(name: str) -> None:
    await fetch(name)
    await fail(f"{name}!")


async def test_a_task_group_that_fails_fails_the_run_with_its_group(launch):
    rt = await launch(fail_in_a_task_group)

    with pytest.raises(WorkflowFailed, match="unhandled errors in a TaskGroup") as raised:
        await (await rt.run(fail_in_a_task_group)).result()

    assert "builtins.ExceptionGroup" == raised.value.type_name


@turbine.workflow
async def wait_in_branches() -> list[object]:
    async def nap(name: str) -> str:
        await turbine.sleep(0.02)
        return await fetch(name)

    return list(await turbine.gather(nap("a"), nap("b"), turbine.recv("go", type=str), nap("c")))


async def test_branches_may_wait_for_different_things_while_the_run_is_out_of_memory(launch):
    rt = await launch(wait_in_branches, park_after=0)

    handle = await rt.run(wait_in_branches)
    await asyncio.sleep(0.05)
    await rt.send(handle.workflow_id, "gone", "go")

    assert ["A", "B", "gone", "C"] == await handle.result()
    assert {"a": 1, "b": 1, "c": 1} == calls


@turbine.workflow
async def nest_branches() -> list[object]:
    async def inner(name: str) -> list[object]:
        return list(await turbine.gather(branch(f"{name}x", 2), branch(f"{name}y", 1)))

    found = await turbine.gather(inner("a"), inner("b"))
    await turbine.recv("again")
    return list(found)


async def test_branches_may_branch(launch, replay):
    rt = await launch(nest_branches)

    handle = await rt.run(nest_branches)
    await replay(rt, handle)

    assert [[["AX0", "AX1"], ["AY0"]], [["BX0", "BX1"], ["BY0"]]] == await handle.result()
    assert set(calls.values()) == {1}
    assert 6 == len(_positions(await handle.steps()))


@turbine.workflow
async def take_whoever_is_first() -> str:
    first = asyncio.create_task(_named("a", 0.001))
    second = asyncio.create_task(_named("b", 1))
    done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    second.cancel()
    name = done.pop().result()
    await turbine.recv("again")
    return f"{name} {await fetch('c')}"


async def _named(name: str, seconds: float) -> str:
    await turbine.sleep(seconds)
    return name


async def test_a_race_may_be_left_by_cancelling_the_loser(launch, replay):
    rt = await launch(take_whoever_is_first)

    handle = await rt.run(take_whoever_is_first)
    await replay(rt, handle)

    assert "a C" == await handle.result()
