"""A database that refuses writes for a while: nothing of that becomes an outcome."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
from collections.abc import Callable, Iterator

import pytest

import turbine
import turbine.sync

done: list[str] = []


@turbine.step
async def charge() -> str:
    done.append("charge")
    return "x" * 4_000_000


@turbine.step
async def refund() -> None:
    done.append("refund")


@turbine.workflow
async def buy() -> str:
    try:
        await charge()
    except Exception:  # noqa: BLE001 - what a careless body does is what is tested
        await refund()
        return "refunded"
    return "bought"


@contextlib.contextmanager
def full_disk(url: str) -> Iterator[None]:
    """Let the database take 150,000 bytes and no more."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("pragma wal_checkpoint(restart)")  # its log begins anew
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "waits for the database" in record.getMessage()]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - log lines and counters are the only witnesses
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _forgotten():
    done.clear()


async def test_a_body_cannot_take_a_full_disk_for_the_failure_of_its_step(sqlite_url, caplog):
    async with turbine.Runtime(sqlite_url, workflows=[buy]) as rt:
        with full_disk(sqlite_url):
            handle = await rt.run(buy)
            await until(lambda: told(caplog))
        assert "bought" == await handle.result(timeout=120)
    assert ["charge"] == done  # its outcome was kept until the disk took it


@turbine.step
def charge_blocking() -> str:
    return charge_both("blocking")


@turbine.step
async def charge_async() -> str:
    return charge_both("async")


def charge_both(kind: str) -> str:
    done.append(kind)
    if done.count(kind) > 1:
        raise AssertionError("it was carried out again")
    return "x" * 4_000_000


@turbine.step
async def declines() -> None:
    done.append("declined")
    raise ValueError("x" * 99_000)


@turbine.workflow
async def buy_both() -> list[int]:
    return [len(one) for one in await asyncio.gather(charge_async(), turbine.do(charge_blocking))]


@turbine.sync.workflow
def buy_both_blocking() -> list[int]:
    tasks = [turbine.sync.do_async(charge_async), turbine.sync.do_async(charge_blocking)]
    return [len(task.result()) for task in tasks]


@turbine.workflow
async def is_declined() -> str:
    try:
        await declines()
    except ValueError:
        return "declined"
    return "bought"


@pytest.mark.parametrize("workflow", [buy_both, buy_both_blocking], ids=lambda workflow: workflow.name)
async def test_steps_whose_outcomes_a_full_disk_refused_are_not_carried_out_again(sqlite_url, caplog, workflow):
    async with turbine.Runtime(sqlite_url, workflows=[workflow]) as rt:
        with full_disk(sqlite_url):
            handle = await rt.run(workflow)
            await until(lambda: told(caplog))
        assert [4_000_000] * 2 == await handle.result(timeout=120)
        steps = await handle.steps()
    assert ["async", "blocking"] == sorted(done)
    assert {"0", "1"} == {step.position for step in steps}
    assert [[1], [1]] == [[attempt.number for attempt in step.attempts] for step in steps]


async def test_a_failure_that_a_full_disk_refused_is_kept_as_well(sqlite_url, caplog):
    async with turbine.Runtime(sqlite_url, workflows=[is_declined]) as rt:
        with full_disk(sqlite_url):
            handle = await rt.run(is_declined)
            await until(lambda: told(caplog))
        assert "declined" == await handle.result(timeout=120)
    assert ["declined"] == done


@turbine.step
async def keeps() -> None:
    done.append("keeps")
    await turbine.kv.set("large", "x" * 4_000_000)


@turbine.step
def keeps_blocking() -> None:
    done.append("keeps")
    turbine.sync.kv.set("large", "x" * 4_000_000)


@turbine.step
async def keeps_by_runtime() -> None:
    done.append("keeps")
    try:
        await turbine.current().runtime.kv.set("large", "x" * 4_000_000)
    except turbine.StoreUnavailable as error:
        raise ValueError("the user's own words for it") from error


@turbine.workflow
async def keeps_async() -> None:
    await keeps()


@turbine.workflow
async def keeps_in_thread() -> None:
    await turbine.do(keeps_blocking)


@turbine.sync.workflow
def keeps_in_thread_of_thread() -> None:
    keeps_blocking()


@turbine.workflow
async def keeps_by_the_runtime() -> None:
    await keeps_by_runtime()


@turbine.workflow
async def keeps_in_body() -> None:
    done.append("keeps")
    await turbine.current().runtime.kv.set("large", "x" * 4_000_000)


@pytest.mark.parametrize(
    "workflow",
    [keeps_async, keeps_in_thread, keeps_in_thread_of_thread, keeps_by_the_runtime, keeps_in_body],
    ids=lambda workflow: workflow.name,
)
async def test_a_database_that_is_away_fails_no_run_and_counts_as_no_attempt(sqlite_url, caplog, workflow):
    async with turbine.Runtime(sqlite_url, workflows=[workflow]) as rt:
        with full_disk(sqlite_url):
            handle = await rt.run(workflow)
            await until(lambda: len(done) >= 3)
            (line,) = told(caplog)  # one for all of the passes
            assert handle.workflow_id in line
            assert "disk" in line
        await handle.result(timeout=120)
        status, steps = await handle.status(), await handle.steps()
    assert 1 == status.attempts
    assert [[1]] * len(steps) == [[attempt.number for attempt in step.attempts] for step in steps]
    assert [None] * len(steps) == [step.error for step in steps]
