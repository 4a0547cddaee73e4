"""Messages and published values: in order, once, and also while the receiver is out of memory or not yet there."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

import turbine
from turbine import ValidationFailed, ValueTimeout, WorkflowFailed, WorkflowNotFound
from turbine.testing import World


@turbine.workflow
async def collect(count: int, topic: str = "") -> list[Any]:
    return [await turbine.recv(topic) for _ in range(count)]


async def test_messages_are_read_in_the_order_in_which_they_were_sent(launch):
    rt = await launch(collect)
    handle = await rt.run(collect, 6)

    for number in range(6):
        await rt.send(handle.workflow_id, {"number": number})

    assert [{"number": number} for number in range(6)] == await handle.result()


async def test_messages_of_one_millisecond_keep_their_order(database_url):
    async with World(database_url, workflows=[collect]) as world:  # its clock stands still
        handle = await world.runtime.run(collect.options(delay=60), 50)
        for number in range(50):
            await world.runtime.send(handle.workflow_id, number)
        await world.advance(minutes=1)

        assert list(range(50)) == await handle.result()


async def test_messages_sent_while_nobody_reads_wait(launch):
    rt = await launch(collect_late)
    handle = await rt.run(collect_late)
    for word in ("a", "b"):
        await rt.send(handle.workflow_id, word)
        await rt.send(handle.workflow_id, word.upper(), "capitals")

    assert ["A", "a", "B", "b"] == await handle.result()


@turbine.workflow
async def collect_late() -> list[str]:
    await turbine.sleep(0.02)
    return [await turbine.recv(topic, type=str) for topic in ("capitals", "", "capitals", "")]


async def test_a_parked_run_is_woken_by_its_message_from_any_process(launch):
    here, there = await launch(collect, park_after=0), await launch()
    handle = await here.run(collect, 2, "go")
    await here.wait_idle()

    await there.send(handle.workflow_id, "other topic", "stop")
    await there.send(handle.workflow_id, 1, "go")
    await here.wait_idle()
    await here.send(handle.workflow_id, 2, "go")

    assert [1, 2] == await handle.result()


async def test_a_message_to_an_unknown_run_is_refused(launch, replay):
    rt = await launch(send_to)

    with pytest.raises(WorkflowNotFound) as raised:
        await rt.send("nobody", "hello")
    assert ("nobody", "workflow", "nobody") == (raised.value.workflow_id, raised.value.kind, raised.value.id)

    handle = await rt.run(send_to, "nobody")
    await replay(rt, handle)
    assert "There is no workflow 'nobody'" in (await handle.result())[0]


@turbine.workflow
async def send_to(receiver: str) -> list[str]:
    told: list[str] = []
    try:
        await turbine.send(receiver, "hello", "greetings")
    except WorkflowNotFound as error:
        told.append(str(error))
    await turbine.recv("again")
    return told


async def test_a_message_from_a_run_is_sent_once_whatever_is_replayed(launch, replay):
    rt = await launch(send_to, collect)
    receiver = await rt.run(collect, 2, "greetings")

    sender = await rt.run(send_to, receiver.workflow_id)
    await replay(rt, sender)
    assert [] == await sender.result()
    await rt.send(receiver.workflow_id, "the end", "greetings")

    assert ["hello", "the end"] == await receiver.result()


@turbine.workflow
async def wait_in_vain(timeout: float, default: str | None = None) -> str:
    if default is not None:
        given = await turbine.recv("go", timeout=timeout, default=default)
    else:
        try:
            given = await turbine.recv("go", timeout=timedelta(seconds=timeout))
        except TimeoutError as error:
            given = f"timed out: {type(error).__name__}"
    await turbine.recv("again")
    return given


@pytest.mark.parametrize("park_after", [0, 30])
@pytest.mark.parametrize(("default", "expected"), [("nothing", "nothing"), (None, "timed out: RecvTimeout")])
async def test_a_message_that_does_not_come_in_time_is_an_error_or_the_default(
    launch, replay, park_after, default, expected
):
    rt = await launch(wait_in_vain, park_after=park_after)

    handle = await rt.run(wait_in_vain, 0.03, default)
    while len(steps := await handle.steps()) < 2:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.002)
    await replay(rt, handle)

    assert expected == await handle.result()
    assert steps[0].ended_at - steps[0].started_at >= timedelta(seconds=0.03)


async def test_a_timeout_that_nobody_handles_fails_the_run(launch):
    rt = await launch(wait_in_vain_and_fail)

    with pytest.raises(WorkflowFailed) as raised:
        await (await rt.run(wait_in_vain_and_fail)).result()

    assert "turbine.errors.RecvTimeout" == raised.value.type_name


@turbine.workflow
async def wait_in_vain_and_fail() -> None:
    await turbine.recv("go", timeout=0)


@turbine.workflow
async def look_once() -> list[str]:
    first = await turbine.recv("go", timeout=0, default="nothing")
    await turbine.recv("now")
    return [first, await turbine.recv("go", timeout=0), await turbine.recv("go", timeout=0, default="nothing more")]


async def test_a_timeout_of_zero_looks_once(launch):
    rt = await launch(look_once)
    handle = await rt.run(look_once)
    await rt.wait_idle()

    await rt.send(handle.workflow_id, "a message", "go")
    await rt.send(handle.workflow_id, None, "now")

    assert ["nothing", "a message", "nothing more"] == await handle.result()


async def test_the_rest_of_a_timeout_counts_after_a_restart(launch):
    rt = await launch(wait_in_vain)
    handle = await rt.run(wait_in_vain, 0.4, "nothing")
    await rt.wait_idle()
    await rt.shutdown()
    await asyncio.sleep(0.15)

    later = await launch(wait_in_vain)
    await later.send(handle.workflow_id, None, "again")
    assert "nothing" == await later.retrieve(handle.workflow_id).result(timeout=120)

    wait = (await later.steps(handle.workflow_id))[0]
    assert timedelta(seconds=0.4) <= wait.ended_at - wait.started_at < timedelta(seconds=1.5)


@turbine.workflow
async def take_a_number() -> int:
    return await turbine.recv("number", type=int)


async def test_a_message_of_another_type_is_an_error_in_the_receiver(launch):
    rt = await launch(take_a_number)
    handle = await rt.run(take_a_number)

    await rt.send(handle.workflow_id, "seven", "number")

    with pytest.raises(WorkflowFailed) as raised:
        await handle.result()
    assert "turbine.errors.ValidationFailed" == raised.value.type_name


@turbine.workflow
async def report_progress() -> str:
    for percent in (10, 50):
        await turbine.set_value("percent", percent)
    await turbine.recv("go")
    await turbine.set_value("percent", 100)
    await turbine.set_value("places", ["x"])
    return "done"


async def test_values_are_read_from_outside_as_they_are_set(launch):
    here, there = await launch(report_progress, park_after=0), await launch()
    handle = await here.run(report_progress)

    late = asyncio.ensure_future(there.get_value(handle.workflow_id, "places", timeout=120))
    assert 50 == await _settled(there, handle.workflow_id)
    await here.send(handle.workflow_id, None, "go")

    assert ["x"] == await late
    assert "done" == await handle.result()
    assert {"percent": 100, "places": ["x"]} == await there.values(handle.workflow_id)
    assert 100 == await there.get_value(handle.workflow_id, "percent", type=int)
    with pytest.raises(ValidationFailed):
        await there.get_value(handle.workflow_id, "places", type=int)


async def _settled(rt, workflow_id: str) -> int:
    while (percent := await rt.get_value(workflow_id, "percent", timeout=120)) != 50:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.001)
    return percent


async def test_a_value_that_is_not_set_in_time_is_an_error_or_the_default(launch):
    rt = await launch(report_progress)
    handle = await rt.run(report_progress)

    with pytest.raises(ValueTimeout) as raised:
        await rt.get_value(handle.workflow_id, "colour", timeout=timedelta(milliseconds=20))
    assert isinstance(raised.value, TimeoutError)
    assert "red" == await rt.get_value(handle.workflow_id, "colour", timeout=0, default="red")
    with pytest.raises(WorkflowNotFound):
        await rt.get_value("nobody", "colour", timeout=0, default="red")
    with pytest.raises(WorkflowNotFound):
        await rt.values("nobody")


@turbine.workflow
async def watch(workflow_id: str) -> list[Any]:
    first = await turbine.get_value(workflow_id, "places", timeout=120)
    seen = await turbine.get_value(workflow_id, "percent", type=int)
    none = await turbine.get_value(workflow_id, "colour", timeout=0.01, default="red")
    try:
        await turbine.get_value(workflow_id, "colour", timeout=0)
    except ValueTimeout:
        none += "!"
    await turbine.recv("again")
    return [first, seen, none]


@pytest.mark.parametrize("park_after", [0, 30])
async def test_a_run_reads_the_values_of_another_run_and_records_them(launch, replay, park_after):
    rt = await launch(report_progress, watch, park_after=park_after)
    watched = await rt.run(report_progress)
    handle = await rt.run(watch, watched.workflow_id)
    await rt.wait_idle()

    await rt.send(watched.workflow_id, None, "go")
    while len(await handle.steps()) < 5:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.002)
    await replay(rt, handle)

    assert [["x"], 100, "red!"] == await handle.result()
    assert [["x"], 100] == [step.output for step in await handle.steps()][:2]


async def test_a_message_to_a_finished_run_hurts_nobody(launch):
    rt = await launch(collect)
    handle = await rt.run(collect, 0)
    assert [] == await handle.result()

    await rt.send(handle.workflow_id, "too late")

    assert "SUCCESS" == (await handle.status()).status


@turbine.workflow
async def publish(count: int) -> None:
    for number in range(count):
        await turbine.set_value(f"{number}", number)


@turbine.workflow
async def follow(workflow_id: str, count: int) -> list[int]:
    return [await turbine.get_value(workflow_id, f"{number}", timeout=300) for number in range(count)]


async def test_values_that_are_set_while_somebody_begins_to_wait_are_noticed(launch):
    """A value set between the first look and the waiting must not be seen at the timeout only."""
    here, there = await launch(publish, follow), await launch()
    began = time.monotonic()
    for _ in range(4):
        published = await here.run(publish.options(delay=0.005), 25)
        followers = [await here.run(follow, published.workflow_id, 25) for _ in range(2)]
        outside = [
            asyncio.ensure_future(rt.get_value(published.workflow_id, f"{number}", timeout=300))
            for number in range(25)
            for rt in (here, there)
        ]
        assert [number for number in range(25) for _ in range(2)] == await asyncio.gather(*outside)
        assert [list(range(25))] * 2 == [await follower.result() for follower in followers]
    assert time.monotonic() - began < 250
