"""Runs inside runs: recorded in their parents, so that a replay finds the same children and the same outcomes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import (
    AwaitedCancelled,
    NotInWorkflow,
    NotRegistered,
    ResultTimeout,
    WorkflowConflict,
    WorkflowFailed,
    WorkflowStatus,
    WorkflowTimeout,
)

calls: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_called():
    calls.clear()


@turbine.step
async def work(name: str) -> str:
    calls[name] += 1
    return name.upper()


@turbine.workflow(tags=["child"])
async def child(name: str) -> str:
    calls["child"] += 1
    if name == "bad":
        raise ValueError("bad child")
    return await work(name)


@turbine.workflow
async def parent() -> list[str]:
    called = await child("called")
    handle = await turbine.run(child.options(id="chosen"), "started")
    started = await handle.result()
    await turbine.recv("again")
    return [called, handle.workflow_id, started, await (await turbine.run(child, "last")).result()]


async def test_children_are_recorded_and_found_again_on_replay(launch, replay):
    rt = await launch(parent, child)

    handle = await rt.run(parent)
    await replay(rt, handle)

    assert ["CALLED", "chosen", "STARTED", "LAST"] == await handle.result()
    assert {"child": 3, "called": 1, "started": 1, "last": 1} == calls
    children = (await rt.list(parent_id=handle.workflow_id)).items
    assert {("child", WorkflowStatus.SUCCESS, handle.workflow_id)} == {
        (run.name, run.status, run.parent_workflow_id) for run in children
    }
    steps = await handle.steps()
    assert ["child", "child", "turbine.result", "turbine.recv", "child", "turbine.result"] == [
        step.function_name for step in steps
    ]
    assert {run.workflow_id for run in children} == {
        step.child_workflow_id for step in steps if step.function_name == "child"
    }
    assert None is (await handle.status()).parent_workflow_id


@turbine.workflow
async def have_many(names: list[str]) -> list[str]:
    return list(await asyncio.gather(*(child(name) for name in names)))


async def test_children_may_run_at_the_same_time(launch):
    rt = await launch(have_many, child, park_after=0)
    names = [f"name {number}" for number in range(20)]

    handle = await rt.run(have_many, names)

    assert [name.upper() for name in names] == await handle.result()
    assert 20 == calls["child"]


@turbine.workflow
async def have_a_bad_child() -> list[Any]:
    told: list[Any] = []
    try:
        await child("bad")
    except WorkflowFailed as error:
        told += [error.type_name, error.message, error.workflow_id]
    await turbine.recv("again")
    return told


async def test_the_error_of_a_child_is_raised_in_its_parent_alike_on_replay(launch, replay):
    rt = await launch(have_a_bad_child, child)

    handle = await rt.run(have_a_bad_child)
    await replay(rt, handle)

    told = await handle.result()
    (run,) = (await rt.list(parent_id=handle.workflow_id)).items
    assert ["builtins.ValueError", "bad child", run.workflow_id] == told
    assert 1 == calls["child"]


async def test_the_error_of_a_child_that_nobody_handles_fails_its_parent(launch):
    rt = await launch(have_many, child)

    with pytest.raises(WorkflowFailed, match="bad child"):
        await (await rt.run(have_many, ["good", "bad"])).result()


@turbine.workflow
async def wait_for_go() -> str:
    calls["wait_for_go"] += 1
    return await turbine.recv("go", type=str)


@turbine.workflow
async def wait_for_a_waiting_child(timeout: float | None = None) -> str:
    handle = await turbine.run(wait_for_go.options(id="waiting", timeout=timeout))
    try:
        return await handle.result()
    except AwaitedCancelled as error:
        return f"cancelled because {error.reason}"
    except WorkflowTimeout:
        return "timed out"


@pytest.mark.parametrize("park_after", [0, 30])
async def test_a_parent_waits_for_its_child_in_or_out_of_memory(launch, park_after):
    rt = await launch(wait_for_a_waiting_child, wait_for_go, park_after=park_after)
    handle = await rt.run(wait_for_a_waiting_child)
    await rt.wait_idle()

    await rt.send("waiting", "gone", "go")

    assert "gone" == await handle.result()


async def test_a_parent_is_told_that_its_child_was_cancelled(launch):
    rt = await launch(wait_for_a_waiting_child, wait_for_go)
    handle = await rt.run(wait_for_a_waiting_child)
    await rt.wait_idle()

    await rt.cancel("waiting", "of rain")

    assert "cancelled because of rain" == await handle.result()


async def test_a_parent_is_told_that_its_child_ran_out_of_time(launch):
    rt = await launch(wait_for_a_waiting_child, wait_for_go)

    assert "timed out" == await (await rt.run(wait_for_a_waiting_child, 0.03)).result()


async def test_a_parent_and_its_child_go_on_after_a_restart(launch):
    rt = await launch(wait_for_a_waiting_child, wait_for_go)
    handle = await rt.run(wait_for_a_waiting_child)
    await rt.wait_idle()
    await rt.shutdown()

    later = await launch(wait_for_a_waiting_child, wait_for_go)
    await later.send("waiting", "gone", "go")

    assert "gone" == await later.retrieve(handle.workflow_id).result(timeout=120)
    assert 2 == len((await later.list()).items)


@turbine.workflow
async def have_impossible_children() -> list[str]:
    told: list[str] = []
    for start in (
        lambda: stranger("x"),
        lambda: turbine.run(stranger, "x"),
        lambda: turbine.run(child),  # type: ignore[call-arg]
        lambda: turbine.run(child.options(id="taken"), "x"),
    ):
        try:
            await start()
        except (NotRegistered, TypeError, WorkflowConflict) as error:
            told.append(type(error).__name__)
    await turbine.recv("again")
    return told


@turbine.workflow
async def stranger(name: str) -> str:
    return name


async def test_children_that_cannot_be_started_are_errors_in_the_parent(launch, replay):
    rt = await launch(have_impossible_children, child, wait_for_go)
    await rt.run(wait_for_go.options(id="taken"))

    handle = await rt.run(have_impossible_children)
    await replay(rt, handle)

    assert ["NotRegistered", "NotRegistered", "TypeError", "WorkflowConflict"] == await handle.result()
    assert [] == (await rt.list(parent_id=handle.workflow_id)).items


@turbine.workflow
async def be_impatient() -> list[str]:
    handle = await turbine.run(wait_for_go.options(id="waiting"))
    told: list[str] = []
    try:
        await handle.result(timeout=0.01)
    except ResultTimeout as error:
        told.append(str(isinstance(error, TimeoutError)))
    await turbine.send(handle.workflow_id, "gone", "go")
    return [*told, await handle.result(timeout=120)]


async def test_a_parent_may_stop_waiting_and_wait_again(launch):
    rt = await launch(be_impatient, wait_for_go, park_after=0)

    assert ["True", "gone"] == await (await rt.run(be_impatient)).result()


async def test_turbine_run_belongs_into_a_body(launch):
    await launch(child)

    with pytest.raises(NotInWorkflow):
        await turbine.run(child, "x")
    with pytest.raises(NotInWorkflow):
        child("x")


@turbine.step
async def call_a_workflow() -> str:
    try:
        await child("x")
    except NotInWorkflow as error:
        return str(error)
    return "called"


@turbine.workflow
async def call_a_workflow_in_a_step() -> str:
    return await call_a_workflow()


async def test_a_workflow_is_not_called_in_a_step(launch):
    rt = await launch(call_a_workflow_in_a_step, child)

    assert "step" in await (await rt.run(call_a_workflow_in_a_step)).result()
    assert 1 == len((await rt.list()).items)


@turbine.workflow
def blocking_parent() -> list[str]:
    started = turbine.sync.run(child, "started")
    return [turbine.sync.run(child, "called").result(), started.result(), blocking_child("last")]


@turbine.workflow
def blocking_child(name: str) -> str:
    calls["blocking_child"] += 1
    return name.upper()


@turbine.workflow
async def parent_of_a_blocking_child() -> str:
    handle = await turbine.run(blocking_child, "b")
    return await handle.result()


async def test_blocking_and_async_runs_may_be_each_others_children(launch):
    rt = await launch(blocking_parent, blocking_child, child, parent_of_a_blocking_child, park_after=0)

    assert ["CALLED", "STARTED", "LAST"] == await (await rt.run(blocking_parent)).result()
    assert "B" == await (await rt.run(parent_of_a_blocking_child)).result()
    assert {"child": 2, "blocking_child": 2, "called": 1, "started": 1} == calls


@turbine.workflow
async def lose_patience() -> str:
    calling = asyncio.ensure_future(child.options(id="left alone")("called"))
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    return await work("went on")


async def test_a_child_that_its_parent_does_not_wait_for_is_carried_out(launch):
    rt = await launch(lose_patience, child)

    assert "WENT ON" == await (await rt.run(lose_patience)).result()

    assert "CALLED" == await rt.retrieve("left alone").result(timeout=120)


async def test_a_joined_child_is_not_taken_over_by_the_parent(launch):
    rt = await launch(wait_for_a_waiting_child, wait_for_go)
    own = await rt.run(wait_for_go.options(id="waiting"))

    handle = await rt.run(wait_for_a_waiting_child)
    await rt.wait_idle()
    await rt.send("waiting", "gone", "go")

    assert ["gone", "gone"] == [await own.result(), await handle.result()]
    assert None is (await own.status()).parent_workflow_id
    assert {"wait_for_go": 1} == calls
