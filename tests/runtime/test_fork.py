"""Forking: a new run that begins with what another one has recorded up to a position."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

import turbine
from turbine import WorkflowConflict, WorkflowFailed, WorkflowNotFound, WorkflowStatus

calls: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_called():
    calls.clear()


@turbine.step
async def double(number: int) -> int:
    calls["double"] += 1
    return number * 2


@turbine.step
async def fail(number: int) -> int:
    calls["fail"] += 1
    raise ValueError(number)


@turbine.workflow(tags=["numbers"], summary=lambda start, *, step=1: f"from {start}")
async def three_steps(start: int, *, step: int = 1) -> list[int]:
    first = await double(start)
    await turbine.set_value("progress", first)
    second = await double(first + step)
    return [first, second, await double(second + step)]


async def _finished(rt, workflow=three_steps, *args, **kwargs):
    handle = await rt.run(workflow, *args, **kwargs)
    await handle.result()
    return handle


async def test_steps_before_the_position_are_copied_others_run(launch):
    rt = await launch(three_steps)
    handle = await _finished(rt, three_steps, 1)
    calls.clear()

    forked = await rt.fork(handle.workflow_id, 2)

    assert [2, 6, 14] == await forked.result()
    assert {"double": 2} == calls
    status = await forked.status()
    assert (handle.workflow_id, "three_steps", ["numbers"], "from 1", {"args": [1], "kwargs": {}}) == (
        status.forked_from,
        status.name,
        status.tags,
        status.summary,
        status.input,
    )
    assert ["0", "1", "2", "3"] == [step.position for step in await forked.steps()]
    assert {"progress": 2} == await rt.values(forked.workflow_id)
    assert WorkflowStatus.SUCCESS == (await handle.status()).status


async def test_a_fork_may_begin_anywhere(launch):
    rt = await launch(three_steps)
    handle = await _finished(rt, three_steps, 1)

    for from_step, count in [(0, 3), ("0", 3), (1, 2), (3, 1), (4, 0), (99, 0)]:
        calls.clear()
        assert [2, 6, 14] == await (await rt.fork(handle.workflow_id, from_step)).result()
        assert count == calls["double"]


async def test_recorded_outputs_may_be_edited(launch):
    rt = await launch(three_steps)
    handle = await _finished(rt, three_steps, 1)
    calls.clear()

    forked = await rt.fork(handle.workflow_id, 3, edits={0: 100, "2": 7}, new_id="edited")

    assert [100, 7, 16] == await forked.result()
    assert ("edited", {"double": 1}) == (forked.workflow_id, calls)
    assert [2, 6, 14] == await handle.result()


async def test_a_fork_may_have_another_input(launch):
    rt = await launch(three_steps)
    handle = await _finished(rt, three_steps, 1)

    forked = await rt.fork(handle.workflow_id, args=[10], kwargs={"step": 5})

    assert [20, 50, 110] == await forked.result()
    assert {"args": [10], "kwargs": {"step": 5}} == (await forked.status()).input


async def test_a_fork_before_a_failed_step_runs_it_again(launch):
    rt = await launch(fail_at_the_end)
    handle = await rt.run(fail_at_the_end, 1)
    with pytest.raises(WorkflowFailed):
        await handle.result()
    calls.clear()

    forked = await rt.fork(handle.workflow_id, 1)
    with pytest.raises(WorkflowFailed):
        await forked.result()
    assert {"fail": 1} == calls

    edited = await rt.fork(handle.workflow_id, 2, edits={1: 5})
    assert [2, 5] == await edited.result()
    assert {"fail": 1} == calls


@turbine.workflow
async def fail_at_the_end(start: int) -> list[int]:
    return [await double(start), await fail(start)]


@turbine.workflow
async def converse() -> list[Any]:
    return [await turbine.recv("a"), await double(1), await turbine.recv("b")]


async def test_messages_that_nobody_has_read_are_not_copied(launch):
    rt = await launch(converse)
    handle = await rt.run(converse)
    await rt.send(handle.workflow_id, 1, "a")
    await rt.wait_idle()
    forked = await rt.fork(handle.workflow_id, 2)
    await rt.send(handle.workflow_id, "for the first", "b")

    await rt.send(forked.workflow_id, "for the fork", "b")

    assert [[1, 2, "for the first"], [1, 2, "for the fork"]] == [await handle.result(), await forked.result()]


@turbine.workflow
async def branches() -> list[list[int]]:
    async def branch(number: int) -> list[int]:
        return [await double(number), await double(number + 1)]

    return list(await turbine.gather(branch(1), branch(10)))


async def test_a_position_may_lie_inside_a_branch(launch):
    rt = await launch(branches)
    handle = await _finished(rt, branches)
    position = next(step.position for step in await handle.steps() if step.output == 22)
    calls.clear()

    forked = await rt.fork(handle.workflow_id, position)

    assert [[2, 4], [20, 22]] == await forked.result()
    assert {"double": 1} == calls


async def test_a_fork_that_can_never_be_right_is_refused_and_leaves_no_row(launch):
    rt = await launch(three_steps)
    handle = await _finished(rt, three_steps, 1)

    for wrong in (
        {"from_step": -1},
        {"from_step": "x"},
        {"from_step": 2, "edits": {2: 1}},
        {"from_step": 2, "edits": {3: 1}},
        {"from_step": 3, "edits": {"0.7": 1}},
        {"from_step": 3, "edits": {-1: 1}},
        {"new_id": ""},
    ):
        with pytest.raises(ValueError, match=r".+"):
            await rt.fork(handle.workflow_id, **wrong)
    with pytest.raises(TypeError):
        await rt.fork(handle.workflow_id, args=[1, 2, 3])
    with pytest.raises(WorkflowNotFound):
        await rt.fork("nobody")
    with pytest.raises(WorkflowConflict):
        await rt.fork(handle.workflow_id, new_id=handle.workflow_id)

    assert [handle.workflow_id] == [run.workflow_id for run in (await rt.list()).items]


async def test_a_timeout_starts_anew(launch):
    rt = await launch(converse)
    handle = await rt.run(converse.options(timeout=30))

    forked = await rt.fork(handle.workflow_id)
    await rt.wait_idle()

    first, second = await handle.status(), await forked.status()
    assert first.timeout == second.timeout
    assert second.deadline - second.started_at == second.timeout


@turbine.workflow
async def ask_and_double() -> int:
    try:
        number = await turbine.recv("number", type=int)
    except ValueError as error:
        return len(str(error))
    return await double(number)


async def test_an_edit_may_end_what_was_under_way_with_a_value_or_with_an_error(launch):
    rt = await launch(ask_and_double, three_steps)
    handle = await rt.run(ask_and_double)
    while not await handle.steps():  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.002)
    await rt.cancel(handle.workflow_id)

    skipped = await rt.fork(handle.workflow_id, 1, edits={0: 21})
    failed = await rt.fork(handle.workflow_id, 1, edits={0: ValueError("four")})

    assert (42, 4) == (await skipped.result(), await failed.result())
    first = (await failed.steps())[0]
    assert ("ValueError: four", True) == (first.error, first.ended_at is not None)
    with pytest.raises(ValueError, match="no recorded step at 0"):
        await rt.fork((await rt.run(three_steps.options(id="none", delay=60), 1)).workflow_id, 1, edits={0: 1})
