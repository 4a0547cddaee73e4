"""Shutting down: running steps may finish, waiting runs leave at once, and an interruption is never an outcome."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest

import turbine
import turbine.sync
from turbine import Runtime, ShuttingDown, WorkflowStatus

calls: Counter[str] = Counter()
client = threading.Event()


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()
    client.clear()
    yield
    client.set()


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
    rt = await launch(wait_for_go, shutdown_timeout=3600)
    handle = await rt.run(wait_for_go)
    await rt.wait_idle()

    began = time.monotonic()
    await rt.shutdown()
    assert time.monotonic() - began < 600

    later = await launch(wait_for_go)
    status = await later.retrieve(handle.workflow_id).status()
    assert (WorkflowStatus.PENDING, 1, None) == (status.status, status.attempts, status.error)
    await later.send(handle.workflow_id, "gone", "go")
    assert "gone" == await later.retrieve(handle.workflow_id).result(timeout=120)
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

    assert ["worked", "worked"] == await rt.retrieve(handle.workflow_id).result(timeout=120)
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

    assert "done" == await later.retrieve(handle.workflow_id).result(timeout=120)
    assert 1 == calls["CancelledError"]


@turbine.workflow
def block() -> str:
    calls["block began"] += 1
    turbine.sync.do(wait_at_the_door)
    return turbine.sync.do(str.upper, "done")


def wait_at_the_door() -> None:
    calls["at the door"] += 1
    if calls["at the door"] == 1:
        client.wait(120)


async def test_a_thread_that_cannot_be_interrupted_does_not_hold_up_a_shutdown_for_ever(launch):
    rt = await launch(block, lease=1)
    handle = await rt.run(block)
    await _until("at the door")

    await rt.shutdown()
    client.set()

    later = await launch(block, lease=1)
    assert "DONE" == await later.retrieve(handle.workflow_id).result(timeout=120)
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
    assert "child" == await later.retrieve(handle.workflow_id).result(timeout=120)
    assert ["worked", "worked"] == await later.retrieve("child").result(timeout=120)
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
        assert ["worked", "worked"] == await later.retrieve(workflow_id).result(timeout=120)


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
            connection.execute("lock table pt_runs in exclusive mode")
            yield


async def test_a_start_that_is_being_written_when_the_shutdown_begins_is_carried_out_before_its_end(
    launch, database_url
):
    rt = await launch(work_twice, shutdown_timeout=120)
    with nobody_writes(database_url):
        starting = asyncio.ensure_future(rt.run(work_twice.options(id="run"), 0.1))
        while not rt._app().store.depth:  # noqa: ASYNC110 - nothing else tells that a write has entered
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


# Whatever is away


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Another program is in the middle of a transaction."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield


@contextmanager
def not_our_turn(path: str) -> Iterator[None]:
    """Another process of ours was stopped while it had its turn."""
    with Path(f"{path}-locks/writer.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def stopped(server: Any) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def silent(server: Any) -> Iterator[None]:
    """The server is there, takes connections, and does not answer."""
    postmaster = psutil.Process(server._process.pid)
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.suspend()
    yield
    for process in processes:
        process.resume()


Away = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["locked", "not our turn", "stopped", "silent"])
def away(request: pytest.FixtureRequest, sqlite_url: str) -> tuple[str, Away]:
    """A database, and what takes it away."""
    if request.param in ("locked", "not our turn"):
        path = sqlite_url.removeprefix("sqlite:///")
        return sqlite_url, lambda: locked(path) if request.param == "locked" else not_our_turn(path)
    server = request.getfixturevalue("own_postgres")
    return server.url(), lambda: stopped(server) if request.param == "stopped" else silent(server)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("before", [0, 3])
async def test_a_shutdown_ends_in_time_while_the_database_is_away(away: tuple[str, Away], before: float) -> None:
    url, take_away = away
    rt = Runtime(url, workflows=[wait_for_go, work_twice], shutdown_timeout=1, lease=2)
    await rt.launch()
    waiting = await rt.run(wait_for_go)
    running = await rt.run(work_twice, 60)
    await _until("work began")
    calls_: dict[str, asyncio.Future[Any]] = {}
    with take_away():
        calls_["result"] = asyncio.ensure_future(waiting.result())
        calls_["value"] = asyncio.ensure_future(rt.get_value(waiting.workflow_id, "progress"))
        calls_["write"] = asyncio.ensure_future(rt.kv.set("key", 1))
        calls_["events"] = asyncio.ensure_future(_listen(rt))
        await asyncio.sleep(before)

        began = time.monotonic()
        await asyncio.gather(rt.shutdown(), rt.shutdown())
        took = time.monotonic() - began
        _, pending = await asyncio.wait(calls_.values(), timeout=120)

        # Its own second, two and two for what has to be broken off, and what a loaded machine takes.
        assert took < 1 + 4 + 115
        assert not pending
        assert (False, True) == (rt.is_launched, rt.is_draining)
        await rt.shutdown()
    assert None is calls_.pop("events").result()
    for name, call in calls_.items():
        assert isinstance(call.exception(), (ShuttingDown, turbine.StoreUnavailable)), (name, call)

    # Nothing is lost: it goes on where it was.
    calls.clear()
    async with Runtime(url, workflows=[wait_for_go, work_as_before], shutdown_timeout=0, lease=2) as later:
        await later.send(waiting.workflow_id, "gone", "go")
        assert "gone" == await later.retrieve(waiting.workflow_id).result(timeout=120)
        assert WorkflowStatus.PENDING == (await later.status(running.workflow_id)).status


@turbine.workflow(name="another")
async def work_as_before() -> None: ...


async def _listen(rt: Runtime) -> None:
    async for _ in rt.events():
        pass


async def test_who_waits_when_the_runtime_is_shut_down_is_told(launch) -> None:
    rt = await launch(wait_for_go)
    handles = [await rt.run(wait_for_go) for _ in range(5)]
    waits: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(one)
        for handle in handles
        for one in (handle.result(), handle.result(timeout=3600), rt.get_value(handle.workflow_id, "v"))
    ]
    listening = asyncio.ensure_future(_listen(rt))
    await asyncio.sleep(0.1)

    await rt.shutdown()
    await asyncio.wait([*waits, listening], timeout=120)

    assert {ShuttingDown} == {type(one.exception()) for one in waits}
    assert None is listening.result()
    for act in (rt.run(wait_for_go), rt.kv.get("k"), handles[0].result(), rt.schedules.list()):
        with pytest.raises(ShuttingDown):
            await act


async def test_a_call_that_is_cancelled_when_the_runtime_is_shut_down_is_cancelled(launch) -> None:
    rt = await launch(wait_for_go)
    handle = await rt.run(wait_for_go)
    waiting = asyncio.ensure_future(handle.result())
    await asyncio.sleep(0.1)
    waiting.cancel()
    await rt.shutdown()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    # And a timeout of the caller stays one.
    await rt.launch()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await handle.result()


def test_threads_that_wait_are_told_too_and_the_first_shutdown_serves_all(database_url) -> None:
    rt = turbine.sync.Runtime(database_url, workflows=[wait_for_go], shutdown_timeout=1)
    rt.launch()
    handle = rt.run(wait_for_go)
    said: list[str] = []

    def wait(act: Callable[[], Any]) -> None:
        try:
            act()
        except turbine.TurbineError as error:
            said.append(type(error).__name__)
        else:
            said.append("came to its end")

    events = rt.events()
    acts = [handle.result, lambda: rt.get_value(handle.workflow_id, "v"), lambda: list(events)]
    threads = [threading.Thread(target=wait, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    ending = [threading.Thread(target=rt.shutdown) for _ in range(5)]
    for thread in ending:
        thread.start()
    for thread in [*threads, *ending]:
        thread.join(120)
        assert not thread.is_alive()
    assert ["ShuttingDown", "ShuttingDown", "came to its end"] == sorted(said)
    with pytest.raises(ShuttingDown):
        rt.kv.get("k")


async def test_a_shutdown_may_be_asked_for_in_another_event_loop(launch) -> None:
    rt = await launch(work_twice, shutdown_timeout=10)
    handle = await rt.run(work_twice, 0.2)
    await _until("work began")
    thread = threading.Thread(target=lambda: asyncio.run(rt.shutdown()))
    thread.start()
    while thread.is_alive():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert (False, True) == (rt.is_launched, rt.is_draining)
    later = await launch()
    assert ["worked", "worked"] == await later.retrieve(handle.workflow_id).result(timeout=0)


def test_a_runtime_whose_event_loop_was_closed_lets_go_of_everything(database_url) -> None:
    loop = asyncio.new_event_loop()
    pod = f"pod-{uuid4()}"
    rt = Runtime(database_url, workflows=[wait_for_go], executor_id=pod)
    loop.run_until_complete(rt.launch())
    asyncio.run(rt.shutdown())
    assert (False, True) == (rt.is_launched, rt.is_draining)
    with turbine.sync.Runtime(
        database_url, workflows=[wait_for_go], executor_id=f"pod-{database_url}"[-200:]
    ) as next_one:
        next_one.run(wait_for_go)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@turbine.sync.workflow
def block_on_a_coroutine() -> str:
    return turbine.sync.do(work, 60 if calls["work began"] == 0 else 0)


async def test_a_coroutine_for_which_a_blocking_body_waits_is_interrupted(launch) -> None:
    rt = await launch(block_on_a_coroutine)
    handle = await rt.run(block_on_a_coroutine)
    await _until("work began")
    await rt.shutdown()
    status = await (await launch()).retrieve(handle.workflow_id).status()
    assert (WorkflowStatus.PENDING, 0) == (status.status, status.attempts)

    later = await launch(block_on_a_coroutine)
    assert "worked" == await later.retrieve(handle.workflow_id).result(timeout=120)
    assert 1 == (await later.retrieve(handle.workflow_id).status()).attempts


async def test_the_attempt_of_a_thread_that_cannot_be_interrupted_is_not_counted(launch) -> None:
    rt = await launch(block, lease=1)
    handle = await rt.run(block)
    await _until("at the door")
    await rt.shutdown()
    watcher = await launch(lease=1)
    assert 0 == (await watcher.retrieve(handle.workflow_id).status()).attempts

    # The same runtime may begin anew at once; what its thread still does is fenced off.
    await rt.launch()
    assert "DONE" == await rt.retrieve(handle.workflow_id).result(timeout=120)
    assert 1 == (await rt.retrieve(handle.workflow_id).status()).attempts


@turbine.step
async def starts_in_step() -> str:
    calls["step began"] += 1
    while not client.is_set():  # noqa: ASYNC110 - the test opens it
        await asyncio.sleep(0.002)
    return (await turbine.current().runtime.run(work_twice.options(id="late"), 0)).workflow_id


@turbine.workflow
async def starts_late() -> str:
    return await starts_in_step()


async def test_a_step_that_a_shutdown_refuses_has_not_failed(launch):
    rt = await launch(starts_late, work_twice, shutdown_timeout=60)
    handle = await rt.run(starts_late)
    await _until("step began")
    ending = asyncio.ensure_future(rt.shutdown())
    while not rt.is_draining:  # noqa: ASYNC110 - nothing else tells
        await asyncio.sleep(0.002)
    client.set()
    await ending

    later = await launch()
    assert WorkflowStatus.PENDING == (await later.status(handle.workflow_id)).status
    await rt.launch()
    assert "late" == await rt.retrieve(handle.workflow_id).result(timeout=120)
    (step,) = await rt.steps(handle.workflow_id)
    assert [(1, None)] == [(attempt.number, attempt.error) for attempt in step.attempts]
    assert 1 == (await rt.status(handle.workflow_id)).attempts


@turbine.workflow
async def hides_a_cancellation() -> str:
    try:
        return await work(600)
    except asyncio.CancelledError:
        return "hidden"


@turbine.workflow
async def works_in_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(work(600))
        group.create_task(work(600))


@turbine.workflow
async def waits_for_itself() -> None:
    calls["waits"] += 1
    await asyncio.sleep(600)


LEFT = [work_twice, hides_a_cancellation, works_in_group, waits_for_itself]


async def _launch_and_leave(url: str) -> None:
    rt = Runtime(url, workflows=LEFT)
    await rt.launch()
    await rt.run(work_twice.options(id="work_twice"), 600)
    for workflow in LEFT[1:]:
        await rt.run(workflow.options(id=workflow.name))
    while calls["work began"] < 4 or not calls["waits"]:  # noqa: ASYNC110 - counters are the only witnesses
        await asyncio.sleep(0.002)


async def test_an_event_loop_that_ends_under_a_runtime_fails_no_run(launch, in_another_process):
    assert 0 == await asyncio.to_thread(in_another_process, _launch_and_leave)
    rt = await launch()
    for workflow in LEFT:
        status = await rt.status(workflow.name)
        assert (workflow.name, WorkflowStatus.PENDING, None) == (workflow.name, status.status, status.error)
        assert [] == [step.error for step in await rt.steps(workflow.name) if step.error is not None]
