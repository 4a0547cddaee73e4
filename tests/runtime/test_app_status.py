"""App status: what a run says of itself, written once for each place in its body."""

from __future__ import annotations

from typing import Any

import pytest

import turbine
import turbine.sync


@turbine.step
async def paint(label: str) -> None:
    await turbine.set_app_status(label, "pink")


@turbine.sync.step
def paint_blocking(label: str) -> None:
    turbine.sync.set_app_status(label, "lime")


@turbine.workflow
async def in_body_and_steps() -> list[Any]:
    seen: list[Any] = []

    async def look() -> None:
        status = await turbine.current().runtime.status(turbine.current().workflow_id)
        seen.append([status.app_status, status.app_status_color])

    await turbine.set_app_status("begun", "blue")
    await look()
    await paint("painted")
    await look()
    await turbine.do(paint_blocking, "from a thread")
    await look()
    return seen


@turbine.sync.workflow
def in_a_thread() -> None:
    turbine.sync.set_app_status("threaded", "cyan")
    turbine.sync.do(paint, "threaded step")


async def test_bodies_and_steps_show_what_they_do(launch) -> None:
    rt = await launch(in_body_and_steps)
    handle = await rt.run(in_body_and_steps)
    assert [["begun", "blue"], ["painted", "pink"], ["from a thread", "lime"]] == await handle.result()
    assert "from a thread" == (await handle.status()).app_status


async def test_blocking_bodies_show_what_they_do(launch) -> None:
    rt = await launch(in_a_thread)
    handle = await rt.run(in_a_thread)
    await handle.result()
    status = await handle.status()
    assert ("threaded step", "pink") == (status.app_status, status.app_status_color)


async def test_it_is_no_step_and_moves_no_position(launch) -> None:
    rt = await launch(in_body_and_steps)
    handle = await rt.run(in_body_and_steps)
    await handle.result()
    assert [("0", 0), ("1", 1)] == [(step.position, step.function_id) for step in await handle.steps()]


async def test_it_is_recorded_once_and_set_anew_in_a_fork(launch) -> None:
    @turbine.workflow
    async def shows() -> None:
        await turbine.set_app_status("shown", "blue")
        await paint("painted")

    rt = await launch(shows)
    handle = await rt.run(shows)
    await handle.result()
    forked = await rt.fork(handle.workflow_id, 1)
    await forked.result()
    status = await forked.status()
    assert ("shown", "blue") == (status.app_status, status.app_status_color)


async def test_a_replay_leaves_a_later_status_alone(launch, replay) -> None:
    @turbine.workflow
    async def early_then_step() -> str | None:
        await turbine.set_app_status("early", "blue")
        await paint("late")
        await turbine.recv("again")
        return (await turbine.current().runtime.status(turbine.current().workflow_id)).app_status

    rt = await launch(early_then_step)
    handle = await rt.run(early_then_step)
    await replay(rt, handle)
    assert "late" == await handle.result()


async def test_a_status_set_after_the_last_recorded_step_is_not_lost_in_recovery(launch, replay) -> None:
    @turbine.workflow
    async def sets_between() -> None:
        await paint("step")
        await turbine.recv("again")
        await turbine.set_app_status("between", "green")

    rt = await launch(sets_between)
    handle = await rt.run(sets_between)
    await replay(rt, handle)
    await handle.result()
    assert "between" == (await rt.status(handle.workflow_id)).app_status


async def test_unknown_colours_and_empty_labels_are_refused(launch) -> None:
    @turbine.workflow
    async def wrong(label: str, color: str) -> None:
        await turbine.set_app_status(label, color)

    rt = await launch(wrong)
    for label, color in (("", "red"), ("ok", "Red"), ("ok", "magenta")):
        with pytest.raises(turbine.WorkflowFailed) as caught:
            await (await rt.run(wrong, label, color)).result()
        assert "builtins.ValueError" == caught.value.type_name
    with pytest.raises(turbine.NotInWorkflow):
        await turbine.set_app_status("outside", "red")


async def test_a_body_may_say_again_what_a_step_has_changed(launch) -> None:
    @turbine.workflow
    async def alternates() -> None:
        await turbine.set_app_status("working", "blue")
        await paint("painted")
        await turbine.set_app_status("working", "blue")

    rt = await launch(alternates)
    handle = await rt.run(alternates)
    await handle.result()
    status = await handle.status()
    assert ("working", "blue") == (status.app_status, status.app_status_color)
