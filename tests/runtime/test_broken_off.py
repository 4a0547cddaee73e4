"""Steps that their body breaks off: recorded as such, not carried out again, and broken off again by each replay."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import AwaitedCancelled, WorkflowFailed, WorkflowStatus
from turbine.testing import replay as fits

began: Counter[str] = Counter()
ended: Counter[str] = Counter()
client = threading.Event()
broken: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh():
    began.clear()
    ended.clear()
    broken.clear()
    client.clear()
    yield
    client.set()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - counters and rows are the only witnesses
            await asyncio.sleep(0.005)


@turbine.step
async def pays() -> str:
    began["pays"] += 1
    await asyncio.sleep(600)
    return "paid"


@turbine.step
def pays_blocking() -> str:
    began["pays"] += 1
    client.wait(120)
    ended["pays"] += 1
    return "paid"


@turbine.step
async def checks() -> None:
    await until(lambda: began["pays"] or ended["replayed"])
    began["checks"] += 1
    if "checks" in broken:
        raise ValueError("no stock")


@turbine.step
async def notes() -> str:
    began["notes"] += 1
    return "noted"


def payment(kind: str) -> Awaitable[str]:
    return pays() if kind == "async" else turbine.do(pays_blocking)


async def began_to_pay() -> None:
    """So that what is tested happens to a step whose body runs; in a replay it never does."""
    if not turbine.current().is_replaying:
        await until(lambda: began["pays"])


@turbine.workflow
async def by_timeout(kind: str) -> str:
    try:
        async with asyncio.timeout(None) as limit:
            task = asyncio.ensure_future(payment(kind))
            await began_to_pay()
            limit.reschedule(asyncio.get_running_loop().time())
            said = await task
    except TimeoutError:
        said = await notes()
    await turbine.recv("again")
    return said


@turbine.workflow
async def by_wait_for(kind: str) -> str:
    try:
        said = await asyncio.wait_for(payment(kind), 0.2)
    except TimeoutError:
        said = await notes()
    await turbine.recv("again")
    return said


@turbine.workflow
async def by_cancel(kind: str) -> str:
    task = asyncio.ensure_future(payment(kind))
    await asyncio.sleep(0)
    await began_to_pay()
    task.cancel()
    try:
        said = await task
    except asyncio.CancelledError:
        said = await notes()
    await turbine.recv("again")
    return said


@turbine.workflow
async def by_group(kind: str) -> str:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(payment(kind))
            group.create_task(checks())
        said = "sold"
    except* ValueError:
        said = ""
    said = said or await notes()
    await turbine.recv("again")
    return said


WAYS = [by_timeout, by_wait_for, by_cancel, by_group]


@pytest.mark.parametrize("kind", ["async", "blocking"])
@pytest.mark.parametrize("workflow", WAYS, ids=lambda workflow: workflow.name)
async def test_a_step_that_its_body_breaks_off_is_recorded_and_broken_off_again(launch, replay, workflow, kind):
    broken.add("checks")
    rt = await launch(workflow)
    handle = await rt.run(workflow, kind)
    await until(lambda: began["notes"])
    for _ in range(3):  # lives
        await rt.shutdown()
        await rt.launch()
    await replay(rt, handle)
    assert "noted" == await handle.result()

    steps = {step.function_name: step for step in await handle.steps()}
    name = "pays" if kind == "async" else "pays_blocking"
    assert ("CancelledError", None, 1) == (steps[name].error, steps[name].output, len(steps[name].attempts))
    assert steps[name].ended_at is not None
    assert {"pays": 1, "notes": 1} == {one: began[one] for one in ("pays", "notes")}
    assert (await fits(await rt.export(handle.workflow_id), workflow)).ok


async def test_the_outcome_of_a_blocking_step_that_was_given_up_changes_nothing(launch, replay):
    rt = await launch(by_wait_for)
    handle = await rt.run(by_wait_for, "blocking")
    await until(lambda: began["notes"])
    client.set()
    await until(lambda: ended["pays"])
    await replay(rt, handle)
    assert "noted" == await handle.result()
    assert "CancelledError" == (await handle.steps())[0].error
    assert 1 == began["pays"]


@turbine.workflow
async def sells() -> str:
    async with asyncio.TaskGroup() as group:
        paying = group.create_task(turbine.do(pays_blocking))
        group.create_task(checks())
    return paying.result()


async def test_what_was_broken_off_because_of_the_failure_of_a_run_runs_again_when_that_is_resumed(launch):
    broken.add("checks")
    rt = await launch(sells)
    handle = await rt.run(sells)
    with pytest.raises(WorkflowFailed, match="TaskGroup"):
        await handle.result()
    broken.clear()
    client.set()
    assert "paid" == await (await rt.resume(handle.workflow_id)).result()
    assert [None, None] == [step.error for step in await handle.steps()]


@turbine.step
async def notes_late() -> str:
    await until(lambda: ended["held"])
    ended["noted"] += 1
    return "noted"


@turbine.workflow
async def gives_up_at_the_last_moment() -> str:
    is_live = not turbine.current().is_replaying
    task = asyncio.ensure_future(notes_late())
    await asyncio.sleep(0)
    if is_live:
        await until(lambda: ended["noted"])
        task.cancel()
        ended["cancelled"] += 1
    said = await task
    await turbine.recv("again")
    return said


async def test_an_outcome_that_was_on_its_way_to_the_database_stands(launch, replay):
    rt = await launch(gives_up_at_the_last_moment)
    go = threading.Event()

    def hold(tx: Any) -> None:
        ended["held"] += 1
        go.wait(120)

    handle = await rt.run(gives_up_at_the_last_moment)
    holding = asyncio.ensure_future(rt._app().store.write(hold))
    await until(lambda: ended["cancelled"])
    go.set()
    await holding
    await replay(rt, handle)
    assert "noted" == await handle.result()
    assert [None, None] == [step.error for step in await handle.steps()]


# Threads that nobody waits for


@turbine.step(timeout=0.05, retries=3, base_interval=0)
def stuck() -> None:
    began["stuck"] += 1
    client.wait(120)
    ended["stuck"] += 1


@turbine.step
def quick() -> str:
    return "quick"


@turbine.workflow
async def outlasts() -> None:
    await turbine.do(stuck)


@turbine.sync.workflow
def outlasts_blocking() -> None:
    stuck()


@turbine.workflow
async def is_quick() -> str:
    return await turbine.do(quick)


@pytest.mark.parametrize("workflow", [outlasts, outlasts_blocking], ids=lambda workflow: workflow.name)
async def test_threads_of_attempts_that_outlast_their_time_starve_nobody_and_are_seen(launch, caplog, workflow):
    rt = await launch(workflow, is_quick, max_threads=1)
    with caplog.at_level(logging.WARNING, "turbine"), pytest.raises(WorkflowFailed) as failed:
        await (await rt.run(workflow)).result()
    assert "turbine.errors.MaxStepRetriesExceeded" == failed.value.type_name
    assert "quick" == await (await rt.run(is_quick)).result()
    live = rt._live
    assert live is not None
    threads = live.app.threads
    assert (4, 0, 4) == (began["stuck"], ended["stuck"], threads.given_up)
    assert live.heartbeat.take().threads >= 4
    assert 4 == len([record for record in caplog.records if "'stuck'" in record.getMessage()])
    client.set()
    await until(lambda: ended["stuck"] == 4 and threads.given_up == 0)
    assert threads.alive <= 1
    assert "quick" == await (await rt.run(is_quick)).result()


@turbine.step(timeout=0.05)
def never_begins() -> None:
    began["never"] += 1


@turbine.workflow
async def waits_in_vain() -> str:
    task = turbine.do_async(pays_blocking)
    await until(lambda: began["pays"])
    try:
        await turbine.do(never_begins)
    except TimeoutError:
        client.set()
    return await task


async def test_a_step_whose_time_is_up_before_a_thread_is_free_does_not_run(launch):
    rt = await launch(waits_in_vain, is_quick, max_threads=1)
    assert "paid" == await (await rt.run(waits_in_vain)).result()
    assert "quick" == await (await rt.run(is_quick)).result()
    assert 0 == began["never"]


@turbine.step
def polls() -> None:
    began["polls"] += 1
    try:
        while True:
            turbine.check_cancelled()
            client.wait(0.002)
    except BaseException as error:
        ended[type(error).__module__ + "." + type(error).__name__] += 1
        raise


@turbine.step(timeout=0.05)
def polls_in_time() -> None:
    polls()


@turbine.step
async def polls_async() -> None:
    began["polls"] += 1
    try:
        while True:
            turbine.check_cancelled()
            await asyncio.sleep(0.002)
    except BaseException as error:
        ended[type(error).__module__ + "." + type(error).__name__] += 1
        raise


@turbine.workflow
async def polls_in_async() -> None:
    await turbine.do(polls)


@turbine.sync.workflow
def polls_in_blocking() -> None:
    polls()


@turbine.workflow
async def polls_async_in_async() -> None:
    await polls_async()


@turbine.sync.workflow
def polls_async_in_blocking() -> None:
    turbine.sync.do(polls_async)


@pytest.mark.parametrize(
    ("workflow", "seen"),
    [
        (polls_in_async, "turbine.errors.Cancelled"),
        (polls_in_blocking, "turbine.errors.Cancelled"),
        (polls_async_in_async, "asyncio.exceptions.CancelledError"),
        (polls_async_in_blocking, "asyncio.exceptions.CancelledError"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
async def test_a_cancellation_is_to_each_half_what_it_knows(launch, workflow, seen):
    rt = await launch(workflow)
    handle = await rt.run(workflow)
    await until(lambda: began["polls"])
    await rt.cancel(handle.workflow_id)
    with pytest.raises(AwaitedCancelled):
        await handle.result()
    await until(lambda: ended)
    assert {seen: 1} == ended
    await rt.wait_idle()
    assert WorkflowStatus.CANCELLED == (await handle.status()).status


@pytest.mark.parametrize(
    ("workflow", "seen"),
    [
        (polls_in_async, "turbine.errors.Cancelled"),
        (polls_in_blocking, "turbine.errors.Cancelled"),
        (polls_async_in_async, "asyncio.exceptions.CancelledError"),
        (polls_async_in_blocking, "asyncio.exceptions.CancelledError"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_a_step_that_a_shutdown_interrupts_sees_a_cancellation_too(launch, workflow, seen):
    rt = await launch(workflow)
    handle = await rt.run(workflow)
    await until(lambda: began["polls"])
    await rt.shutdown()
    await until(lambda: ended)
    assert {seen: 1} == ended
    await rt.launch()
    assert WorkflowStatus.PENDING == (await handle.status()).status


@turbine.workflow
async def gives_up_polling() -> None:
    try:
        async with asyncio.timeout(None) as limit:
            task = asyncio.ensure_future(turbine.do(polls))
            await until(lambda: began["polls"])
            limit.reschedule(asyncio.get_running_loop().time())
            await task
    except TimeoutError:
        pass
    with contextlib.suppress(TimeoutError):
        await turbine.do(polls_in_time)


@turbine.sync.workflow
def gives_up_polling_blocking() -> None:
    for _ in range(2):
        with contextlib.suppress(TimeoutError):
            polls_in_time()


@pytest.mark.parametrize("workflow", [gives_up_polling, gives_up_polling_blocking], ids=lambda workflow: workflow.name)
async def test_a_blocking_step_that_was_given_up_is_told_so_when_it_asks(launch, workflow):
    rt = await launch(workflow)
    await (await rt.run(workflow)).result()
    await until(lambda: ended["turbine.errors.Cancelled"] == 2)


# The next pass of the same run, in the same process


@turbine.workflow
async def pays_once() -> str:
    return await turbine.do(pays_blocking)


@turbine.sync.workflow
def pays_once_beside() -> str:
    task = turbine.sync.do_async(pays_blocking)
    turbine.sync.recv("never", timeout=600)
    return task.result()


async def test_a_resumed_run_takes_over_the_thread_that_its_former_life_left(launch):
    rt = await launch(pays_once)
    handle = await rt.run(pays_once)
    await until(lambda: began["pays"])
    await rt.cancel(handle.workflow_id)
    with pytest.raises(AwaitedCancelled):
        await handle.result()
    await rt.wait_idle()
    await rt.resume(handle.workflow_id)
    await until(lambda: rt._live and rt._live.app.busy_steps)
    client.set()
    assert "paid" == await handle.result()
    assert 1 == began["pays"]


async def test_a_relaunched_runtime_takes_over_the_thread_that_its_former_life_left(launch):
    rt = await launch(pays_once)
    handle = await rt.run(pays_once)
    await until(lambda: began["pays"])
    await rt.shutdown()
    await rt.launch()
    await until(lambda: rt._live and rt._live.app.busy_steps)
    client.set()
    assert "paid" == await rt.retrieve(handle.workflow_id).result()
    assert 1 == began["pays"]
    (step,) = await rt.steps(handle.workflow_id)
    assert [1] == [attempt.number for attempt in step.attempts]


async def test_a_thread_that_ended_because_its_run_was_cancelled_is_not_taken_over(launch):
    rt = await launch(polls_in_async)
    handle = await rt.run(polls_in_async)
    await until(lambda: began["polls"])
    await rt.cancel(handle.workflow_id)
    with pytest.raises(AwaitedCancelled):
        await handle.result()
    await rt.wait_idle()
    await rt.resume(handle.workflow_id)
    await until(lambda: began["polls"] == 2)
    await rt.cancel(handle.workflow_id)
