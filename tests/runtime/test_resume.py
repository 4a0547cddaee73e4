"""Resuming: what was recorded stays, what ended the run is forgotten, and what needs no help is left alone."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

import turbine
import turbine.sync
from turbine import Deduplicated, WorkflowFailed, WorkflowNotFound, WorkflowStatus, WorkflowTimeout

calls: Counter[str] = Counter()
broken: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()
    broken.clear()


@turbine.step
async def work(name: str) -> str:
    calls[name] += 1
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name.upper()


@turbine.workflow
async def three_steps() -> list[str]:
    done = [await work("a")]
    try:
        done.append(await work("optional"))
    except ValueError as error:
        done.append(f"went on although {error}")
    return [*done, await work("b"), await work("c")]


async def test_only_the_step_that_ended_the_run_runs_again(launch):
    rt = await launch(three_steps)
    broken.update({"b", "optional"})
    handle = await rt.run(three_steps)
    with pytest.raises(WorkflowFailed, match="b is broken"):
        await handle.result()

    broken.clear()
    resumed = await rt.resume(handle.workflow_id)

    # The handled failure stays, although its cause is gone by now.
    assert ["A", "went on although optional is broken", "B", "C"] == await resumed.result()
    assert {"a": 1, "optional": 1, "b": 2, "c": 1} == calls
    status = await resumed.status()
    assert (WorkflowStatus.SUCCESS, None, handle.workflow_id) == (status.status, status.error, resumed.workflow_id)
    assert [None, "ValueError: optional is broken", None, None] == [step.error for step in await resumed.steps()]


async def test_a_run_may_fail_and_be_resumed_again(launch):
    rt = await launch(three_steps)
    broken.add("c")
    handle = await rt.run(three_steps)

    for _ in range(2):
        with pytest.raises(WorkflowFailed, match="c is broken"):
            await handle.result()
        await rt.resume(handle.workflow_id)
    with pytest.raises(WorkflowFailed, match="c is broken"):
        await handle.result()
    broken.clear()
    await rt.resume(handle.workflow_id)

    assert ["A", "OPTIONAL", "B", "C"] == await handle.result()
    assert {"a": 1, "optional": 1, "b": 1, "c": 4} == calls


@turbine.step(retries=2, base_interval=0)
async def force_cancel() -> str:
    calls["insist"] += 1
    if "insist" in broken:
        raise ValueError("insist is broken")
    return "INSIST"


@turbine.workflow
async def wrap_errors() -> str:
    try:
        return await force_cancel()
    except Exception as error:
        raise RuntimeError("wrapped") from error


async def test_a_failure_is_found_behind_the_error_that_was_raised_from_it(launch):
    rt = await launch(wrap_errors)
    broken.add("insist")
    handle = await rt.run(wrap_errors)
    with pytest.raises(WorkflowFailed, match="wrapped"):
        await handle.result()

    broken.clear()
    resumed = await rt.resume(handle.workflow_id)

    assert "INSIST" == await resumed.result()
    # A step that is taken up again has all its attempts again.
    assert 4 == calls["insist"]
    assert [1] == [attempt.number for attempt in (await resumed.steps())[0].attempts]


@turbine.workflow
async def fail_in_the_body() -> str:
    done = await work("a")
    if "body" in broken:
        raise RuntimeError("the body is broken")
    return done


async def test_a_body_that_failed_by_itself_runs_again_over_its_records(launch):
    rt = await launch(fail_in_the_body)
    broken.add("body")
    handle = await rt.run(fail_in_the_body)
    with pytest.raises(WorkflowFailed):
        await handle.result()

    broken.clear()
    await rt.resume(handle.workflow_id)

    assert "A" == await handle.result()
    assert 1 == calls["a"]


@turbine.workflow
async def have_a_child() -> str:
    return await fail_in_the_body()


async def test_a_child_that_failed_with_its_parent_is_taken_up_with_it(launch):
    rt = await launch(have_a_child, fail_in_the_body)
    broken.add("body")
    handle = await rt.run(have_a_child)
    with pytest.raises(WorkflowFailed):
        await handle.result()

    broken.clear()
    await rt.resume(handle.workflow_id)

    assert "A" == await handle.result(timeout=120)
    assert 1 == calls["a"]
    assert 2 == len((await rt.list(status="SUCCESS")).items)


@turbine.workflow
async def wait_for_go(seconds: float = 60) -> str:
    calls["began"] += 1
    await work("before")
    return await turbine.recv("go", type=str, timeout=seconds)


@pytest.mark.parametrize("park_after", [0, 30])
async def test_a_cancelled_run_goes_on_where_it_was(launch, park_after):
    rt = await launch(wait_for_go, park_after=park_after)
    handle = await rt.run(wait_for_go.options(timeout=60))
    await rt.wait_idle()
    await rt.cancel(handle.workflow_id, "of rain")

    resumed = await rt.resume(handle.workflow_id)
    status = await resumed.status()
    assert (WorkflowStatus.PENDING, None, None, None) == (
        status.status,
        status.reason,
        status.deadline,
        status.completed_at,
    )
    await rt.send(handle.workflow_id, "gone", "go")

    assert "gone" == await resumed.result()
    assert 1 == calls["before"]


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
async def test_a_run_out_of_time_goes_on_without_a_deadline(launch, limit):
    rt = await launch(wait_for_go)
    span = timedelta(milliseconds=50)
    options = {"timeout": span} if limit == "timeout" else {"deadline": datetime.now(UTC) + span}
    handle = await rt.run(wait_for_go.options(**options))
    with pytest.raises(WorkflowTimeout):
        await handle.result()

    await rt.resume(handle.workflow_id)
    await rt.wait_idle()
    status = await handle.status()
    assert (rt.executor_id, None) == (status.executor_id, status.deadline)
    await rt.send(handle.workflow_id, "gone", "go")

    assert "gone" == await handle.result()


async def test_a_cancellation_that_is_heard_late_leaves_the_resumed_run_alone(launch):
    rt = await launch(wait_for_go)
    handle = await rt.run(wait_for_go)
    await rt.wait_idle()
    run, fence = rt._live.runner.by_id[handle.workflow_id].run, 1

    await rt.cancel(handle.workflow_id)
    await rt.resume(handle.workflow_id)
    await rt.wait_idle()
    rt._live.runner.cancelled(run, fence)
    await rt.send(handle.workflow_id, "gone", "go")

    assert "gone" == await handle.result(timeout=120)


@turbine.workflow
async def wait_with_children() -> list[str]:
    beside = await turbine.run(wait_for_go.options(id="beside"))
    return [await wait_for_go.options(id="called")(), await beside.result()]


async def test_children_that_were_cancelled_with_their_parent_are_taken_up_with_it(launch):
    rt = await launch(wait_with_children, wait_for_go)
    handle = await rt.run(wait_with_children)
    await rt.wait_idle()
    await rt.cancel(handle.workflow_id)
    assert 3 == len((await rt.list(status="CANCELLED")).items)

    await rt.resume(handle.workflow_id)
    for child in ("called", "beside"):
        await rt.send(child, child, "go")

    assert ["called", "beside"] == await handle.result(timeout=120)


async def test_a_run_goes_on_although_its_history_could_not_be_read_at_first(launch, monkeypatch):
    rt = await launch(wait_for_go, park_after=0)
    handle = await rt.run(wait_for_go)
    await rt.wait_idle()
    read, store, away = rt._live.store.read, rt._live.store, [turbine.errors.StoreUnavailable("away for a moment")]

    async def read_later(function, **asked):
        if function.__name__ == "histories" and away:
            raise away.pop()
        return await read(function, **asked)

    monkeypatch.setattr(store, "read", read_later)
    await rt.send(handle.workflow_id, "gone", "go")

    assert "gone" == await handle.result(timeout=120)
    assert not away


async def test_what_needs_no_help_is_left_alone(launch):
    rt = await launch(wait_for_go, three_steps)
    waiting, done = await rt.run(wait_for_go), await rt.run(three_steps)
    await done.result()
    await rt.wait_idle()
    before = [await waiting.status(), await done.status()]

    for handle in (waiting, done):
        assert handle.workflow_id == (await rt.resume(handle.workflow_id)).workflow_id

    await rt.wait_idle()
    assert before == [await waiting.status(), await done.status()]
    assert {"began": 1, "before": 1, "a": 1, "optional": 1, "b": 1, "c": 1} == calls
    with pytest.raises(WorkflowNotFound):
        await rt.resume("nobody")


async def test_a_run_whose_deduplication_id_was_given_away_is_not_resumed(launch):
    rt = await launch(wait_for_go)
    first = await rt.run(wait_for_go.options(deduplication_id="nightly"))
    await rt.cancel(first.workflow_id)
    second = await rt.run(wait_for_go.options(deduplication_id="nightly"))

    with pytest.raises(Deduplicated) as raised:
        await rt.resume(first.workflow_id)

    assert second.workflow_id == raised.value.workflow_id
    assert WorkflowStatus.CANCELLED == (await first.status()).status


async def test_attempts_count_from_the_resume(launch):
    rt = await launch(fail_in_the_body)
    broken.add("body")
    handle = await rt.run(fail_in_the_body)
    with pytest.raises(WorkflowFailed):
        await handle.result()
    broken.clear()

    await (await rt.resume(handle.workflow_id)).result()

    assert 1 == (await handle.status()).attempts


async def test_a_resumed_run_goes_on_in_any_process(launch):
    here, there = await launch(three_steps), await launch()
    broken.add("b")
    handle = await here.run(three_steps)
    with pytest.raises(WorkflowFailed):
        await handle.result()
    broken.clear()

    # The one that resumes it does not know the workflow; another one does.
    resumed = await there.resume(handle.workflow_id)

    assert ["A", "OPTIONAL", "B", "C"] == await resumed.result(timeout=120)
    assert here.executor_id == (await resumed.status()).executor_id


doors = {1: threading.Event(), 2: threading.Event()}


def wait_at_its_door() -> int:
    calls["thread"] += 1
    incarnation = calls["thread"]
    doors[incarnation].wait(120)
    return incarnation


@turbine.sync.workflow
def work_in_a_thread() -> int:
    return turbine.sync.do(wait_at_its_door)


async def test_a_resumed_run_takes_nothing_from_a_thread_of_its_life_before(launch):
    for client in doors.values():
        client.clear()
    rt = await launch(work_in_a_thread)
    handle = await rt.run(work_in_a_thread)
    while calls["thread"] < 1:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.002)

    await rt.cancel(handle.workflow_id)
    await rt.resume(handle.workflow_id)
    doors[1].set()
    while calls["thread"] < 2:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.002)
    doors[2].set()

    assert 2 == await handle.result()
    assert [2] == [step.output for step in await handle.steps()]


@turbine.workflow
async def publish_twice() -> None:
    await turbine.set_value("size", "large")
    await turbine.recv("again")
    await turbine.set_value("size", 5)


@turbine.workflow
async def read_the_size(publisher: str) -> int:
    return await turbine.get_value(publisher, "size", type=int)


async def test_a_resumed_run_looks_again_at_a_value_that_was_of_another_type(launch):
    rt = await launch(publish_twice, read_the_size)
    publisher = await rt.run(publish_twice)
    await rt.get_value(publisher.workflow_id, "size")
    reader = await rt.run(read_the_size, publisher.workflow_id)
    with pytest.raises(WorkflowFailed, match="size"):
        await reader.result()
    await rt.send(publisher.workflow_id, None, "again")
    await publisher.result()

    resumed = await rt.resume(reader.workflow_id)

    assert 5 == await resumed.result(timeout=120)
