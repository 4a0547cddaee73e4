"""After a crash a run goes on from what was recorded; code that no longer fits is noticed before it does harm."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

import turbine
from turbine import Runtime, WorkflowStatus
from turbine.testing import World

calls: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_called():
    calls.clear()


@turbine.step
async def note(folder: str, word: str) -> str:
    """Leaves a line for each time it really runs, in whatever process."""
    _write(folder, word)
    return word.upper()


def _write(folder: str, word: str) -> None:
    with Path(folder, "notes").open("a") as notes:
        notes.write(f"{word}\n")


def _read(folder: Path) -> list[str]:
    return (folder / "notes").read_text().split()


@turbine.step
async def die_once(folder: str) -> str:
    if "died" not in _read(Path(folder)):
        _write(folder, "died")
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@turbine.step
async def decline(folder: str) -> None:
    _write(folder, "declined")
    raise ValueError("declined")


@turbine.workflow
async def live_through_a_crash(folder: str) -> list[str]:
    first = await note(folder, "first")
    both = await asyncio.gather(note(folder, "left"), note(folder, "right"))
    try:
        await decline(folder)
    except ValueError as error:
        handled = str(error)
    return [first, *both, handled, await die_once(folder), await note(folder, "last")]


async def start_and_die(database: str, folder: str) -> None:
    async with Runtime(database, workflows=[live_through_a_crash]) as rt:
        await (await rt.run(live_through_a_crash.options(id="one"), folder)).result()


@pytest.mark.crash
async def test_a_run_goes_on_after_its_process_was_killed(launch, in_another_process, tmp_path):
    assert -signal.SIGKILL == in_another_process(start_and_die, str(tmp_path))

    rt = await launch(live_through_a_crash)
    handle = rt.retrieve("one", list[str])

    assert ["FIRST", "LEFT", "RIGHT", "declined", "survived", "LAST"] == await handle.result(timeout=120)
    assert ["declined", "died", "first", "last", "left", "right"] == sorted(_read(tmp_path))
    assert 2 == (await handle.status()).attempts


@turbine.workflow(max_recoveries=2)
async def die_again_and_again(folder: str) -> None:
    await die_each_time(folder)


@turbine.step
async def die_each_time(folder: str) -> None:
    _write(folder, "alive")
    os.kill(os.getpid(), signal.SIGKILL)


async def be_killed(database: str, folder: str) -> None:
    async with Runtime(database, workflows=[die_again_and_again]) as rt:
        await (await rt.run(die_again_and_again.options(id="one"), folder)).result()


@pytest.mark.crash
async def test_a_run_that_kills_its_process_each_time_becomes_a_dead_letter(launch, in_another_process, tmp_path):
    for _ in range(3):
        assert -signal.SIGKILL == in_another_process(be_killed, str(tmp_path))

    rt = await launch(die_again_and_again, live_through_a_crash)

    with pytest.raises(turbine.DeadLettered):
        await rt.retrieve("one").result(timeout=120)
    status = await rt.retrieve("one").status()
    assert (WorkflowStatus.MAX_RECOVERY_ATTEMPTS_EXCEEDED, 3) == (status.status, status.attempts)
    assert ["alive"] * 3 == _read(tmp_path)


@turbine.step
async def charge(amount: int) -> str:
    calls["charge"] += 1
    return f"charged {amount}"


@turbine.step
async def ship() -> str:
    calls["ship"] += 1
    return "shipped"


@turbine.step
async def bill() -> str:
    calls["bill"] += 1
    return "billed"


@turbine.workflow(name="order")
async def order(amount: int) -> list[str]:
    done = [await charge(amount)]
    await turbine.recv("go")
    return [*done, await ship()]


@turbine.workflow(name="order")
async def order_with_a_bill_first(amount: int) -> list[str]:
    done = [await bill(), await charge(amount)]
    await turbine.recv("go")
    return [*done, await ship()]


@turbine.workflow(name="order")
async def order_without_charge(amount: int) -> list[str]:
    return [await ship()]


@turbine.workflow(name="order")
async def order_with_a_guarded_bill(amount: int) -> list[str]:
    done = [await charge(amount)]
    await turbine.recv("go")
    if await turbine.patched("bill before shipping"):
        done.append(await bill())
    return [*done, await ship()]


async def _half_done(launch, workflow, *args) -> str:
    """A run that was left at its message by a runtime that is gone."""
    rt = await launch(workflow)
    handle = await rt.run(workflow, *args)
    await rt.wait_idle()
    await rt.shutdown()
    return handle.workflow_id


async def _set_aside(rt, workflow_id):
    """Wakes the run, whose code does not fit, and waits until that was noticed."""
    await rt.send(workflow_id, "now", "go")
    return await _status_with_attention(rt, workflow_id)


async def _status_with_attention(rt, workflow_id):
    while (status := await rt.retrieve(workflow_id).status()).attention is None:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.01)
    return status


@pytest.mark.parametrize("changed", [order_with_a_bill_first, order_without_charge])
async def test_a_run_whose_code_changed_is_set_aside_and_goes_on_with_the_old_code(launch, changed):
    workflow_id = await _half_done(launch, order, 5)

    changed_rt = await launch(changed)
    status = await _set_aside(changed_rt, workflow_id)
    assert WorkflowStatus.PENDING == status.status
    assert "'charge'" in status.attention
    assert "position 0" in status.attention
    explanation = await changed_rt.explain(workflow_id)
    assert "set-aside" == explanation.reason
    assert {"charge": 1} == calls
    await changed_rt.shutdown()

    old = await launch(order)

    assert ["charged 5", "shipped"] == await old.retrieve(workflow_id).result(timeout=120)
    assert {"charge": 1, "ship": 1} == calls
    assert None is (await old.retrieve(workflow_id).status()).attention


async def test_a_run_that_was_set_aside_may_be_forked_before_the_change(launch):
    workflow_id = await _half_done(launch, order, 5)
    rt = await launch(order_with_a_bill_first)
    await _set_aside(rt, workflow_id)

    forked = await rt.fork(workflow_id, 0)
    await rt.send(forked.workflow_id, "now", "go")

    assert ["billed", "charged 5", "shipped"] == await forked.result()
    assert WorkflowStatus.PENDING == (await rt.retrieve(workflow_id).status()).status


async def test_a_run_that_was_set_aside_looks_again_when_it_is_resumed(launch):
    workflow_id = await _half_done(launch, order, 5)
    rt = await launch(order_without_charge)
    await _set_aside(rt, workflow_id)

    await rt.resume(workflow_id)

    assert "charge" in (await _status_with_attention(rt, workflow_id)).attention
    assert {"charge": 1} == calls
    assert await rt.cancel(workflow_id)


async def test_a_body_that_handles_everything_does_not_hide_that_its_code_changed(launch):
    workflow_id = await _half_done(launch, order, 5)
    rt = await launch(order_that_catches_everything)

    assert WorkflowStatus.PENDING == (await _set_aside(rt, workflow_id)).status
    assert {"charge": 1} == calls


@turbine.workflow(name="order")
async def order_that_mends_failures(amount: int) -> list[str]:
    try:
        return [await ship()]
    except Exception:  # noqa: BLE001 - that is the point
        calls["mended"] += 1
        return ["all is well"]


async def test_a_body_never_takes_changed_code_for_a_failure_of_its_step(launch):
    workflow_id = await _half_done(launch, order, 5)
    rt = await launch(order_that_mends_failures)

    assert WorkflowStatus.PENDING == (await _set_aside(rt, workflow_id)).status
    assert {"charge": 1} == calls


@turbine.workflow(name="order")
async def order_that_catches_everything(amount: int) -> list[str]:
    try:
        return [await ship()]
    except BaseException:  # noqa: BLE001 - that is the point
        return ["all is well"]


async def test_patched_lets_runs_from_before_and_after_a_change_live_side_by_side(launch):
    old = await _half_done(launch, order, 5)

    rt = await launch(order_with_a_guarded_bill)
    new = (await rt.run(order_with_a_guarded_bill, 6)).workflow_id
    for workflow_id in (old, new):
        await rt.send(workflow_id, "now", "go")

    results = [await rt.retrieve(workflow_id).result(timeout=120) for workflow_id in (old, new)]
    # The old run had not come as far as the change, so it takes the new branch as well.
    assert [["charged 5", "billed", "shipped"], ["charged 6", "billed", "shipped"]] == results


@turbine.workflow(name="order")
async def order_guarded_at_the_start(amount: int) -> list[str]:
    done = [await bill()] if await turbine.patched("bill first") else []
    done.append(await charge(amount))
    await turbine.recv("go")
    return [*done, await ship()]


async def test_patched_is_false_for_runs_that_were_further_before_the_change(launch):
    old = await _half_done(launch, order, 5)

    rt = await launch(order_guarded_at_the_start)
    new = (await rt.run(order_guarded_at_the_start, 6)).workflow_id
    await rt.wait_idle()
    await rt.shutdown()
    rt = await launch(order_guarded_at_the_start)
    for workflow_id in (old, new):
        await rt.send(workflow_id, "now", "go")

    results = [await rt.retrieve(workflow_id).result(timeout=120) for workflow_id in (old, new)]
    assert [["charged 5", "shipped"], ["billed", "charged 6", "shipped"]] == results
    assert {"charge": 2, "bill": 1, "ship": 2} == calls


@turbine.workflow(name="stranger")
async def known_to_nobody_else() -> str:
    return await turbine.recv("go", type=str)


async def test_a_run_whose_workflow_nobody_knows_is_left_alone_and_explained(launch):
    workflow_id = await _half_done(launch, known_to_nobody_else)

    rt = await launch(order)
    await rt.wait_idle()
    explanation = await rt.explain(workflow_id)
    assert "unknown-workflow" == explanation.reason
    assert "stranger" in explanation.text
    await rt.shutdown()

    rt = await launch(known_to_nobody_else)
    await rt.send(workflow_id, "hello", "go")
    assert "hello" == await rt.retrieve(workflow_id).result(timeout=120)


async def executor() -> str:
    return turbine.current().runtime.executor_id


@turbine.workflow
async def live_in_two_versions() -> list[str]:
    return [await turbine.do(executor), await turbine.recv("go"), await turbine.do(executor)]


async def test_a_run_goes_on_under_another_version_and_another_executor(database_url):
    workflows = [live_in_two_versions]
    async with World(database_url, workflows=workflows, executor_id="first", application_version="v1") as before:
        await before.runtime.run(live_in_two_versions.options(id="one"))
        await before.settle()
        await before.crash()

    async with World(database_url, workflows=workflows, executor_id="second", application_version="v2") as after:
        await after.runtime.send("one", "later", "go")
        await after.settle()

        status = await after.runtime.status("one")
        assert (["first", "later", "second"], "second", "v1") == (
            status.output,
            status.executor_id,
            status.application_version,
        )
