"""Cancelling and running out of time: whoever waits is interrupted, nothing is recorded afterwards, and it sticks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

import turbine
import turbine.sync
from turbine import AwaitedCancelled, Runtime, WorkflowNotFound, WorkflowStatus, WorkflowTimeout
from turbine.store import Statement
from turbine.store.postgres import PostgresBackend, Source
from turbine.store.tx import Identity
from turbine.tables import runs
from turbine.tables.ownership import lock

calls: Counter[str] = Counter()
client = threading.Event()


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()
    client.clear()
    yield
    client.set()


@turbine.step
async def note(word: str) -> str:
    calls[word] += 1
    return word


@turbine.step
async def hang() -> None:
    calls["hang"] += 1
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        calls["hang was interrupted"] += 1
        raise


@turbine.workflow
async def wait(kind: str) -> None:
    calls["began"] += 1
    try:
        match kind:
            case "sleep":
                await turbine.sleep(60)
            case "recv":
                await turbine.recv("go")
            case "value":
                await turbine.get_value(turbine.current().workflow_id, "go")
            case "child":
                await wait_for_go()
            case "step":
                await hang()
            case "plain":
                await asyncio.sleep(60)
            case "gather":
                await turbine.gather(turbine.sleep(60), turbine.recv("go"), hang())
            case _:
                await retry_slowly()
    except asyncio.CancelledError:
        calls["saw CancelledError"] += 1
        raise
    finally:
        calls["ended"] += 1


@turbine.workflow
async def wait_for_go() -> str:
    return await turbine.recv("go", type=str)


@turbine.step(retries=9, base_interval=60, max_interval=60)
async def retry_slowly() -> None:
    calls["tried"] += 1
    raise ValueError("again")


async def _until(name: str) -> None:
    while not calls[name]:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.001)


async def _cancelled(rt, handle, reason: str | None) -> None:
    status = await handle.status()
    assert (WorkflowStatus.CANCELLED, reason) == (status.status, status.reason)
    assert status.completed_at is not None
    with pytest.raises(AwaitedCancelled) as raised:
        await handle.result(timeout=120)
    assert (handle.workflow_id, reason) == (raised.value.workflow_id, raised.value.reason)


async def test_cancel_interrupts_at_once_whatever_a_run_waits_for(launch):
    rt = await launch(wait, wait_for_go, park_after=3600)

    for kind in ("sleep", "recv", "value", "child", "step", "plain", "gather", "retry"):
        calls.clear()
        handle = await rt.run(wait, kind)
        await _until({"step": "hang", "gather": "hang", "retry": "tried"}.get(kind, "began"))
        if kind not in ("step", "plain", "gather"):
            await rt.wait_idle()

        assert await rt.cancel(handle.workflow_id, "of rain")

        await _cancelled(rt, handle, "of rain")
        await _until("ended")
        assert 1 == calls["saw CancelledError"]
        assert calls["hang"] == calls["hang was interrupted"]
        assert not await rt.cancel(handle.workflow_id)


async def test_a_run_is_cancelled_from_another_process(launch):
    here, there = await launch(wait), await launch()
    handle = await here.run(wait, "step")
    await _until("hang")

    assert await there.cancel(handle.workflow_id)

    await _until("saw CancelledError")
    await _cancelled(here, handle, (await handle.status()).reason)


async def test_a_parked_run_is_cancelled_too(launch):
    rt = await launch(wait, park_after=0)
    handle = await rt.run(wait, "recv")
    await rt.wait_idle()

    assert await rt.cancel(handle.workflow_id, "of rain")

    await rt.send(handle.workflow_id, "too late", "go")
    await rt.wait_idle()
    await _cancelled(rt, handle, "of rain")
    assert 1 == calls["began"]


async def test_cancelling_what_is_not_there_or_over(launch):
    rt = await launch(quick)

    with pytest.raises(WorkflowNotFound):
        await rt.cancel("nobody")
    handle = await rt.run(quick)
    await handle.result()
    assert not await rt.cancel(handle.workflow_id)
    assert WorkflowStatus.SUCCESS == (await handle.status()).status


@turbine.workflow
async def quick() -> str:
    return await note("quick")


@turbine.workflow
async def hold_on() -> str:
    for word in ("sleep", "note"):
        try:
            await (turbine.sleep(60) if word == "sleep" else note(word))
        except BaseException:  # noqa: BLE001 - that is the point
            calls["swallowed"] += 1
    return "still here"


async def test_swallowing_the_cancellation_does_not_help(launch):
    rt = await launch(hold_on)
    handle = await rt.run(hold_on)
    await rt.wait_idle()

    await rt.cancel(handle.workflow_id, "of rain")

    await _cancelled(rt, handle, "of rain")
    await rt.wait_idle()
    assert (2, 0) == (calls["swallowed"], calls["note"])
    assert None is (await handle.status()).output


_ENDLESS = """
import asyncio, os, sys, turbine

@turbine.workflow
async def hold_on_for_ever() -> None:
    while True:
        try:
            await turbine.sleep(60)
        except BaseException:
            pass

@turbine.workflow
async def quick() -> str:
    return "quick"

async def main():
    async with turbine.Runtime(sys.argv[1], workflows=[hold_on_for_ever, quick]) as rt:
        handle = await rt.run(hold_on_for_ever)
        while not await handle.steps():
            await asyncio.sleep(0.01)
        await rt.cancel(handle.workflow_id)
        print(await (await rt.run(quick)).result(timeout=120), (await handle.status()).status, flush=True)
        os._exit(0)  # asyncio.run would wait for a task that never ends

asyncio.run(main())
"""


def test_a_body_that_never_lets_go_does_not_take_the_process_with_it(database_url):
    seen = subprocess.run([sys.executable, "-c", _ENDLESS, database_url], capture_output=True, text=True, timeout=50)

    assert ("quick CANCELLED\n", 0) == (seen.stdout, seen.returncode)


@turbine.workflow
async def have_a_family(depth: int) -> None:
    if depth:
        await turbine.run(have_a_family.options(id=f"depth {depth - 1}"), depth - 1)
    await turbine.recv("go")


async def test_children_are_cancelled_with_their_parent(launch):
    rt = await launch(have_a_family, wait_for_go)
    handle = await rt.run(have_a_family.options(id="depth 2"), 2)
    stranger = await rt.run(wait_for_go)
    await rt.wait_idle()

    await rt.cancel(handle.workflow_id, "of rain")

    for depth in range(3):
        assert WorkflowStatus.CANCELLED == (await rt.retrieve(f"depth {depth}").status()).status
    assert WorkflowStatus.PENDING == (await stranger.status()).status


@turbine.workflow
def block(kind: str) -> None:
    calls["began"] += 1
    try:
        if kind == "sleep":
            turbine.sync.sleep(60)
        elif kind == "step":
            turbine.sync.do(wait_at_the_door)
            turbine.sync.do(note, "after")
        else:
            while True:
                turbine.sync.check_cancelled()
    except turbine.Cancelled:
        calls["saw Cancelled"] += 1
        raise


def wait_at_the_door() -> None:
    calls["at the door"] += 1
    client.wait(120)


@pytest.mark.parametrize("kind", ["sleep", "step", "loop"])
async def test_a_blocking_run_is_cancelled_at_its_next_durable_call(launch, kind):
    rt = await launch(block, park_after=3600)
    handle = await rt.run(block, kind)
    await _until("at the door" if kind == "step" else "began")

    assert await rt.cancel(handle.workflow_id, "of rain")
    await _cancelled(rt, handle, "of rain")
    assert 0 == (calls["saw Cancelled"] if kind == "step" else 0)
    client.set()

    await _until("saw Cancelled")
    assert 0 == calls["after"]


@turbine.step
async def check_often() -> None:
    calls["began"] += 1
    while True:
        try:
            turbine.check_cancelled()
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            calls["swallowed"] += 1
            try:
                turbine.check_cancelled()
            except asyncio.CancelledError:
                calls["saw CancelledError"] += 1
            raise


@turbine.workflow
async def run_check_often() -> None:
    await check_often()


async def test_check_cancelled_raises_again_and_again(launch):
    rt = await launch(run_check_often)
    handle = await rt.run(run_check_often)
    await _until("began")

    await rt.cancel(handle.workflow_id)

    await _until("saw CancelledError")


@turbine.workflow
async def take_a_while(seconds: float) -> str:
    calls["began"] += 1
    await turbine.sleep(seconds)
    return "done"


@turbine.workflow(timeout=0.05)
async def limited() -> None:
    await turbine.sleep(60)


@pytest.mark.parametrize("park_after", [0, 30])
async def test_a_run_that_takes_too_long_is_cancelled_with_the_reason_timeout(launch, park_after):
    rt = await launch(take_a_while, limited, park_after=park_after)
    soon = datetime.now(UTC) + timedelta(milliseconds=50)

    handles = [
        await rt.run(take_a_while.options(timeout=0.05), 60),
        await rt.run(take_a_while.options(timeout=timedelta(seconds=50), deadline=soon), 60),
        await rt.run(take_a_while.options(deadline=soon), 60),
        await rt.run(limited),
    ]

    for handle in handles:
        with pytest.raises(WorkflowTimeout) as raised:
            await handle.result(timeout=120)
        assert isinstance(raised.value, TimeoutError)
        status = await handle.status()
        assert (WorkflowStatus.CANCELLED, "timeout") == (status.status, status.reason)
        assert status.completed_at >= status.deadline
    assert "done" == await (await rt.run(take_a_while.options(timeout=30), 0.001)).result()


async def test_a_timeout_interrupts_a_step_that_runs(launch):
    rt = await launch(wait)

    with pytest.raises(WorkflowTimeout):
        await (await rt.run(wait.options(timeout=0.05), "step")).result(timeout=120)

    await _until("hang was interrupted")


async def test_a_timeout_counts_from_the_first_execution_and_survives_a_restart(launch):
    rt = await launch(take_a_while)
    handle = await rt.run(take_a_while.options(timeout=0.25, delay=0.1), 60)
    assert None is (await handle.status()).deadline
    await _until("began")
    await rt.wait_idle()
    deadline = (await handle.status()).deadline
    await rt.shutdown()

    later = await launch(take_a_while)
    with pytest.raises(WorkflowTimeout):
        await later.retrieve(handle.workflow_id).result(timeout=120)

    status = await later.retrieve(handle.workflow_id).status()
    assert (deadline, timedelta(seconds=0.25)) == (status.deadline, status.timeout)
    assert status.deadline - status.started_at == status.timeout


async def test_cancel_before_a_delayed_run_began(launch):
    rt = await launch(take_a_while)
    handle = await rt.run(take_a_while.options(delay=60), 0)

    assert await rt.cancel(handle.workflow_id)

    await rt.wait_idle()
    assert (WorkflowStatus.CANCELLED, 0) == ((await handle.status()).status, calls["began"])


async def test_a_run_may_cancel_itself_and_others_only_through_the_runtime(launch):
    rt = await launch(cancel_itself)

    handle = await rt.run(cancel_itself)

    with pytest.raises(AwaitedCancelled):
        await handle.result(timeout=120)


@turbine.workflow
async def cancel_itself() -> str:
    here = turbine.current()
    await here.runtime.cancel(here.workflow_id)
    await turbine.sleep(0)
    return "still here"


async def test_a_body_that_ignores_its_timeout_has_no_result(launch):
    rt = await launch(hold_on)
    handle = await rt.run(hold_on.options(timeout=0.05))

    with pytest.raises(WorkflowTimeout):
        await handle.result(timeout=120)

    await rt.wait_idle()
    status = await handle.status()
    assert (WorkflowStatus.CANCELLED, "timeout", None) == (status.status, status.reason, status.output)
    assert (2, 0) == (calls["swallowed"], calls["note"])


@turbine.workflow
async def act_at_once(deed: str) -> None:
    while not client.is_set():  # noqa: ASYNC110 - no durable word: whoever cancels holds the row
        await asyncio.sleep(0.002)
    await (wait_for_go.options(id="child")() if deed == "child" else turbine.wait_for_approval())


@pytest.mark.postgres
@pytest.mark.parametrize("deed", ["child", "gate"])
async def test_what_a_run_begins_while_another_process_cancels_it_ends_with_it(postgres_url, deed):
    async with Runtime(postgres_url, workflows=[act_at_once, wait_for_go], shutdown_timeout=0) as rt:
        handle = await rt.run(act_at_once, deed)
        elsewhere = PostgresBackend(Source(postgres_url), Identity(), lane=None)
        tx = elsewhere.begin()
        run = runs.run_of(tx, workflow_id=handle.workflow_id)
        assert runs.cancel(tx, run=run, reason="elsewhere", now_ms=1)
        client.set()
        with psycopg.connect(postgres_url, autocommit=True) as watch:
            for _ in range(500):
                if watch.execute("select 1 from pg_locks where not granted").fetchone():
                    break
                await asyncio.sleep(0.002)
        elsewhere.commit()
        elsewhere.close()
        with pytest.raises(AwaitedCancelled, match="elsewhere"):
            await handle.result(timeout=120)
        await rt.wait_idle()

        assert [] == (await rt.approvals.list()).items
        assert [WorkflowStatus.CANCELLED] == [status.status for status in (await rt.list()).items]


@pytest.mark.postgres
async def test_a_child_that_was_being_started_while_its_parent_was_cancelled_is_cancelled_too(postgres_url):
    async with Runtime(postgres_url, workflows=[wait_for_go], shutdown_timeout=0) as rt:
        parent = await rt.run(wait_for_go.options(id="parent"))
        await rt.wait_idle()
        elsewhere = PostgresBackend(Source(postgres_url), Identity(), lane=None)
        tx = elsewhere.begin()
        run = runs.run_of(tx, workflow_id="parent")
        lock(tx, [run])
        made = "insert into pt_runs (id, status, name, inputs, application_version, application_id,"
        made += (
            " recovery_attempts, attempt_owed, created_at_epoch_ms, updated_at_epoch_ms, priority, fence, parent_run)"
        )
        made += " select 'child', 'ENQUEUED', name, inputs, application_version, application_id, 0, 1, 1, 1, 0, 1, run"
        tx.rows(Statement.of(made + " from pt_runs where id = 'parent' returning id"))
        cancelling = asyncio.ensure_future(rt.cancel("parent"))
        with psycopg.connect(postgres_url, autocommit=True) as watch:
            while not watch.execute("select 1 from pg_locks where not granted").fetchone():  # noqa: ASYNC110 - locks tell nobody
                await asyncio.sleep(0.002)
        elsewhere.commit()
        elsewhere.close()

        assert await cancelling
        assert WorkflowStatus.CANCELLED == (await rt.status("child")).status == (await parent.status()).status
