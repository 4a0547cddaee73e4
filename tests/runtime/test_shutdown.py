"""Shutting down: running steps may finish, waiting runs leave at once, and an interruption is never an outcome."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

import turbine
import turbine.sync
from turbine import Runtime, ShuttingDown, WorkflowStatus

calls: Counter[str] = Counter()
door = threading.Event()


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()
    door.clear()
    yield
    door.set()


@turbine.step
async def work(seconds: float) -> str:
    calls["work began"] += 1
    await asyncio.sleep(seconds)
    calls["work done"] += 1
    return "worked"


@turbine.workflow
async def work_twice(seconds: float) -> list[str]:
    return [await work(seconds), await work(0)]


@turbine.workflow
async def wait_for_go() -> str:
    return await turbine.recv("go", type=str)


@turbine.workflow
async def start_others() -> str:
    await work(0.05)
    child = await turbine.run(work_twice.options(id="child"), 0)
    return child.workflow_id


async def _until(name: str) -> None:
    while not calls[name]:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.001)


async def test_while_draining_running_runs_finish_and_nothing_new_starts(launch):
    rt = await launch(work_twice, shutdown_timeout=10)
    handle = await rt.run(work_twice, 0.2)
    await _until("work began")

    ending = asyncio.ensure_future(rt.shutdown())
    await asyncio.sleep(0.02)
    assert (False, True) == (rt.is_launched, rt.is_draining)
    with pytest.raises(ShuttingDown):
        await rt.run(work_twice, 0)
    await ending

    later = await launch()
    assert ["worked", "worked"] == await later.retrieve(handle.workflow_id).result(timeout=0)
    assert 1 == len((await later.list()).items)


async def test_waiting_runs_do_not_hold_up_a_shutdown(launch):
    rt = await launch(wait_for_go, shutdown_timeout=30)
    handle = await rt.run(wait_for_go)
    await rt.wait_idle()

    began = time.monotonic()
    await rt.shutdown()
    assert time.monotonic() - began < 3

    later = await launch(wait_for_go)
    status = await later.retrieve(handle.workflow_id).status()
    assert (WorkflowStatus.PENDING, 1, None) == (status.status, status.attempts, status.error)
    await later.send(handle.workflow_id, "gone", "go")
    assert "gone" == await later.retrieve(handle.workflow_id).result(timeout=20)
    assert 1 == (await later.retrieve(handle.workflow_id).status()).attempts


async def test_a_run_that_was_interrupted_stays_pending_and_goes_on_later(launch):
    rt = await launch(work_twice, shutdown_timeout=0.05)
    handle = await rt.run(work_twice, 60)
    await _until("work began")

    await rt.shutdown()

    watcher = await launch()
    status = await watcher.retrieve(handle.workflow_id).status()
    # The attempt that was interrupted is given back.
    assert (WorkflowStatus.PENDING, None, None, 0) == (
        status.status,
        status.error,
        status.completed_at,
        status.attempts,
    )
    assert [] == [step for step in await watcher.steps(handle.workflow_id) if step.ended_at]


@turbine.workflow
async def work_as_long_as_told() -> list[str]:
    return [await (work(60) if calls["work began"] == 0 else work(0)), await work(0)]


async def test_an_interrupted_step_runs_again_at_the_next_launch(launch):
    rt = await launch(work_as_long_as_told)
    handle = await rt.run(work_as_long_as_told)
    await _until("work began")
    await rt.shutdown()

    await rt.launch()

    assert ["worked", "worked"] == await rt.retrieve(handle.workflow_id).result(timeout=20)
    assert {"work began": 3, "work done": 2} == calls
    assert 1 == (await rt.retrieve(handle.workflow_id).status()).attempts


@turbine.workflow
async def hide_the_interruption() -> str:
    try:
        await work(60 if calls["work began"] == 0 else 0)
    except BaseException as error:  # noqa: BLE001 - that is the point
        calls[type(error).__name__] += 1
        return "interrupted"
    return "done"


async def test_a_body_that_hides_an_interruption_has_no_result(launch):
    rt = await launch(hide_the_interruption)
    handle = await rt.run(hide_the_interruption)
    await _until("work began")
    await rt.shutdown()

    later = await launch(hide_the_interruption)

    assert "done" == await later.retrieve(handle.workflow_id).result(timeout=20)
    assert 1 == calls["CancelledError"]


@turbine.workflow
def block() -> str:
    calls["block began"] += 1
    turbine.sync.do(wait_at_the_door)
    return turbine.sync.do(str.upper, "done")


def wait_at_the_door() -> None:
    calls["at the door"] += 1
    if calls["at the door"] == 1:
        door.wait(20)


async def test_a_thread_that_cannot_be_interrupted_does_not_hold_up_a_shutdown_for_ever(launch):
    rt = await launch(block, lease=1)
    handle = await rt.run(block)
    await _until("at the door")

    began = time.monotonic()
    await rt.shutdown()
    assert time.monotonic() - began < 10
    door.set()

    later = await launch(block, lease=1)
    assert "DONE" == await later.retrieve(handle.workflow_id).result(timeout=30)
    status = await later.retrieve(handle.workflow_id).status()
    assert WorkflowStatus.SUCCESS == status.status


async def test_a_shutdown_has_one_budget_whoever_does_not_let_go(launch):
    rt = await launch(block, work_twice, shutdown_timeout=3, lease=1)
    await rt.run(block)
    await rt.run(work_twice, 60)
    await _until("at the door")
    await _until("work began")

    began = time.monotonic()
    await rt.shutdown()

    # The budget, and the little while in which whoever was interrupted may unwind.
    assert 3 <= time.monotonic() - began < 3 + 4


async def test_runs_may_still_start_children_while_the_runtime_drains(launch):
    rt = await launch(start_others, work_twice, shutdown_timeout=10)
    handle = await rt.run(start_others)
    await _until("work began")

    await rt.shutdown()

    later = await launch(start_others, work_twice)
    assert "child" == await later.retrieve(handle.workflow_id).result(timeout=20)
    assert ["worked", "worked"] == await later.retrieve("child").result(timeout=20)
    assert 2 == len((await later.list()).items)


async def test_starts_that_race_with_the_shutdown_are_kept_or_refused_but_never_lost(launch):
    rt = await launch(work_twice, shutdown_timeout=10)
    accepted: list[str] = []
    refused: list[str] = []

    async def start(number: int) -> None:
        await asyncio.sleep(number / 5000)
        try:
            accepted.append((await rt.run(work_twice.options(id=f"{number}"), 0)).workflow_id)
        except ShuttingDown:
            refused.append(f"{number}")

    starting = [asyncio.ensure_future(start(number)) for number in range(100)]
    await asyncio.sleep(0.01)
    await rt.shutdown()
    await asyncio.gather(*starting)

    assert refused
    later = await launch(work_twice)
    assert sorted(accepted) == sorted(run.workflow_id for run in (await later.list(limit=1000)).items)
    for workflow_id in accepted:
        assert ["worked", "worked"] == await later.retrieve(workflow_id).result(timeout=20)


@contextlib.contextmanager
def nobody_writes(url: str) -> Iterator[None]:
    """Keep every write waiting, as a slow disk or another process may."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute("begin immediate")
            yield
            connection.execute("rollback")
    else:
        with psycopg.connect(url) as connection:
            connection.execute("lock table pt_workflow_status in exclusive mode")
            yield


async def test_a_start_that_is_being_written_when_the_shutdown_begins_is_carried_out_before_its_end(
    launch, database_url
):
    rt = await launch(work_twice, shutdown_timeout=120)
    with nobody_writes(database_url):
        starting = asyncio.ensure_future(rt.run(work_twice.options(id="run"), 0.1))
        while not rt._port().store.depth:  # noqa: ASYNC110 - nothing else tells that a write has entered
            await asyncio.sleep(0.001)
        ending = asyncio.ensure_future(rt.shutdown())
        await asyncio.sleep(0.5)  # a shutdown that does not wait for it has let go of everything by now
        assert not starting.done()
    await starting
    await ending

    later = await launch(work_twice)
    assert ["worked", "worked"] == await later.retrieve("run").result(timeout=0)
    assert {"work began": 2, "work done": 2} == calls


async def test_leaving_the_block_by_an_error_shuts_down_too(database_url):
    rt = Runtime(database_url, workflows=[wait_for_go], shutdown_timeout=timedelta(0))

    async def fail_inside() -> None:
        async with rt:
            await rt.run(wait_for_go)
            raise LookupError

    with pytest.raises(LookupError):
        await fail_inside()
    assert (False, True) == (rt.is_launched, rt.is_draining)
