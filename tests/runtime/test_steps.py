"""Steps: run at least once, recorded once, given back on every replay; in each form in which they are called."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections import Counter
from functools import partial

import pytest

import turbine
import turbine.sync
from turbine import NotInWorkflow, WorkflowFailed

calls: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_called():
    calls.clear()


@turbine.step
async def add(one: int, other: int = 1) -> int:
    calls["add"] += 1
    return one + other


@turbine.step(name="fetch", checkpoint=False)
async def open_connection(url: str) -> object:
    calls["open_connection"] += 1
    return object()


@turbine.step
async def add_twice(one: int) -> int:
    return await add(await add(one))


@turbine.step
def block(word: str) -> str:
    calls["block"] += 1
    return f"{word} in {'another' if threading.current_thread() is not threading.main_thread() else 'the main'} thread"


@turbine.workflow
async def count() -> list[int]:
    calls["count"] += 1
    first = await add(1)
    await turbine.recv("again")
    second = await add(first, other=10)
    await turbine.recv("again")
    return [first, second]


async def test_a_recorded_step_comes_back_without_running_again(launch, replay):
    rt = await launch(count)

    handle = await rt.run(count)
    await replay(rt, handle)
    await replay(rt, handle)

    assert [2, 12] == await handle.result()
    assert {"count": 3, "add": 2} == calls
    steps = await handle.steps()
    assert [
        ("0", 0, "add", 2),
        ("1", 1, "turbine.recv", None),
        ("2", 2, "add", 12),
        ("3", 3, "turbine.recv", None),
    ] == [(step.position, step.function_id, step.function_name, step.output) for step in steps]
    assert all(step.error is None and step.started_at <= step.ended_at for step in steps)
    assert {handle.workflow_id} == {step.workflow_id for step in steps}


@turbine.workflow
async def use_a_connection() -> int:
    first = await open_connection("a")
    assert type(first) is object
    await turbine.recv("again")
    return await add(1)


async def test_a_step_without_checkpoint_runs_again_on_each_replay_and_is_listed(launch, replay):
    rt = await launch(use_a_connection)

    handle = await rt.run(use_a_connection)
    await replay(rt, handle)

    assert 2 == await handle.result()
    assert {"open_connection": 2, "add": 1} == calls
    assert [("0", "fetch", None), ("1", "turbine.recv", None), ("2", "add", 2)] == [
        (step.position, step.function_name, step.output) for step in await handle.steps()
    ]


@turbine.workflow
async def add_in_a_step() -> int:
    return await add_twice(1)


async def test_a_step_in_a_step_runs_inline(launch):
    rt = await launch(add_in_a_step)

    handle = await rt.run(add_in_a_step)

    assert 3 == await handle.result()
    assert [("0", "add_twice", 3)] == [
        (step.position, step.function_name, step.output) for step in await handle.steps()
    ]


async def test_outside_of_a_workflow_a_step_is_its_function():
    assert 2 == await add(1)
    assert 5 == await add.options(retries=3)(1, other=4)
    assert 2 == await add.fn(1)
    assert "x in the main thread" == block("x")


@turbine.workflow
async def call_a_blocking_step() -> str:
    return block("called")


@turbine.workflow
async def do_a_blocking_step() -> str:
    return await turbine.do(block, "done")


async def test_a_blocking_step_called_in_an_async_workflow_is_a_type_error_that_tells_the_way(launch):
    rt = await launch(call_a_blocking_step)

    handle = await rt.run(call_a_blocking_step)

    with pytest.raises(WorkflowFailed, match=r"turbine\.do\(block") as raised:
        await handle.result()
    assert "builtins.TypeError" == raised.value.type_name
    assert ({}, []) == (calls, await handle.steps())


async def test_a_blocking_step_is_done_in_a_thread(launch):
    rt = await launch(do_a_blocking_step)

    assert "done in another thread" == await (await rt.run(do_a_blocking_step)).result()


class Till:
    def __init__(self, start: int) -> None:
        self.start = start

    async def ring(self, amount: int) -> int:
        return self.start + amount

    def ring_loudly(self, amount: int) -> int:
        return self.start + amount

    @turbine.step
    async def declared(self, amount: int) -> int:
        return self.start + amount


async def double(number: int, *, times: int = 2) -> int:
    return number * times


@turbine.workflow
async def do_all_kinds() -> list[object]:
    till = Till(100)
    return [
        await turbine.do(lambda: 1),
        await turbine.do(till.ring, 2),
        await turbine.do(till.ring_loudly, 3),
        await till.declared(4),
        await turbine.do(double, 5, times=3),
        await turbine.do(partial(double, times=4), 6),
        await turbine.do(max, 7, 8),
        await turbine.do(turbine.step(double, name="twice", retries=1), 9),
        await turbine.do(add, 10),
    ]


async def test_do_takes_any_callable(launch):
    rt = await launch(do_all_kinds)

    handle = await rt.run(do_all_kinds)

    assert [1, 102, 103, 104, 15, 24, 8, 18, 11] == await handle.result()
    names = [step.function_name for step in await handle.steps()]
    assert ["<lambda>", "ring", "ring_loudly", "declared", "double", "double", "max", "twice", "add"] == names


@turbine.workflow
async def use_options() -> int:
    return await add.options(name="plus", retries=9)(1)


async def test_options_of_a_step_hold_for_that_call(launch):
    rt = await launch(use_options)

    handle = await rt.run(use_options)

    assert 2 == await handle.result()
    assert ["plus"] == [step.function_name for step in await handle.steps()]
    assert ("add", "plus") == (add.name, add.options(name="plus").name)


@pytest.mark.parametrize(
    "wrong", [{"retries": -1}, {"base_interval": -1}, {"jitter": 2}, {"timeout": -1}, {"max_interval": float("nan")}]
)
def test_options_of_a_step_that_can_never_be_right_are_a_value_error(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        turbine.step(double, **wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        add.options(**wrong)


@turbine.workflow
async def throw_dice() -> list[str]:
    thrown = [str(await turbine.now()), str(await turbine.uuid4()), str(await turbine.random())]
    calls["throw_dice"] += 1
    await turbine.recv("again")
    return thrown


async def test_time_and_chance_are_recorded(launch, replay):
    rt = await launch(throw_dice)

    handle = await rt.run(throw_dice)
    await replay(rt, handle)

    thrown = await handle.result()
    steps = await handle.steps()
    assert 2 == calls["throw_dice"]
    assert thrown[1:] == [str(step.output) for step in steps[1:3]]
    assert thrown[0][:10] == steps[0].output[:10]


@turbine.step
async def look_around() -> list[object]:
    here = turbine.current()
    turbine.logger().info("looking around")
    return [here.workflow_id, here.step_id, here.attempt]


@turbine.workflow
async def look() -> list[object]:
    here = turbine.current()
    before = [here.workflow_id, here.step_id, here.attempt, here.is_replaying]
    inside = await look_around()
    await turbine.recv("again")
    return [before, inside, turbine.current().is_replaying]


async def test_current_tells_where_the_code_stands(launch, replay):
    rt = await launch(look)

    handle = await rt.run(look.options(id="one"))
    await replay(rt, handle)

    before, inside, is_replaying = await handle.result()
    # The result is that of the last pass, which began as a replay.
    assert ["one", None, 1, True] == before
    assert (["one", "0", 1], False) == (inside, is_replaying)
    with pytest.raises(NotInWorkflow):
        turbine.current()


@turbine.step
async def sleep_inside() -> str:
    try:
        await turbine.sleep(1)
    except NotInWorkflow as error:
        return str(error)
    return "slept"


@turbine.workflow
async def sleep_in_a_step() -> str:
    return await sleep_inside()


async def test_durable_words_inside_a_step_are_refused_and_say_why(launch):
    rt = await launch(sleep_in_a_step)

    told = await (await rt.run(sleep_in_a_step)).result()

    assert "sleep" in told
    assert "step" in told


@pytest.mark.parametrize(
    "word",
    [
        lambda: turbine.sleep(1),
        lambda: turbine.send("one", "x"),
        lambda: turbine.recv(),
        lambda: turbine.set_value("key", 1),
        lambda: turbine.get_value("one", "key"),
        lambda: turbine.do(double, 1),
        lambda: turbine.now(),
        lambda: turbine.patched("change"),
        lambda: turbine.run(count),
    ],
)
async def test_words_of_a_body_are_refused_outside_of_a_workflow(word):
    with pytest.raises(NotInWorkflow):
        await word()


@turbine.workflow
async def forget_to_await() -> int:
    add(1).close()
    later = add(2)
    now = await add(3)
    return await later + now


async def test_a_step_takes_its_position_when_it_is_called(launch):
    rt = await launch(forget_to_await)

    handle = await rt.run(forget_to_await)

    assert 7 == await handle.result()
    assert {"1": 3, "2": 4} == {step.position: step.output for step in await handle.steps()}


async def test_the_loop_stays_free_while_a_blocking_step_runs(launch):
    rt = await launch(do_a_blocking_step, wait_in_a_thread)
    client.clear()

    handle = await rt.run(wait_in_a_thread)
    assert "done in another thread" == await (await rt.run(do_a_blocking_step)).result()
    client.set()

    assert await asyncio.wait_for(handle.result(), 120)


client = threading.Event()


@turbine.workflow
async def wait_in_a_thread() -> bool:
    return await turbine.do(client.wait, 10)


class Thing:
    """Something that can be seen to be gone."""


made: list[weakref.ref[Thing]] = []


def make() -> Thing:
    thing = Thing()
    made.append(weakref.ref(thing))
    return thing


async def make_in_the_loop() -> Thing:
    return make()


HOURS = {"timeout": 7200.0, "checkpoint": False}
BLOCKING, IN_LOOP = turbine.step(make, **HOURS), turbine.step(make_in_the_loop, **HOURS)


@turbine.workflow
async def make_things(blocking: bool) -> None:
    await (turbine.do(BLOCKING) if blocking else turbine.do(IN_LOOP))


@turbine.sync.workflow
def make_things_in_a_thread(blocking: bool) -> None:
    turbine.sync.do(BLOCKING if blocking else IN_LOOP)


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "async"])
@pytest.mark.parametrize("workflow", [make_things, make_things_in_a_thread], ids=lambda workflow: workflow.name)
async def test_nothing_of_a_step_is_kept_alive_until_its_timeout(launch, workflow, blocking):
    rt = await launch(workflow)
    made.clear()

    await (await rt.run(workflow, blocking)).result()

    for _ in range(1200):
        gc.collect()
        if made[0]() is None:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the value of the step is still in memory")
