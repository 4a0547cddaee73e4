"""Histories of runs, kept as JSON, against code that has changed since."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine.testing import History, World, replay

ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@turbine.step
async def note(what: Any) -> Any:
    ran.append(what)
    return what


@turbine.step
async def refund(what: Any) -> Any:
    ran.append(what)
    return what


@turbine.step
async def refuses() -> None:
    raise ValueError("as always")


@turbine.workflow
async def child(number: int) -> int:
    return await note(number)


@turbine.workflow(name="order")
async def order(number: int) -> list[Any]:
    first = await note(number)
    await turbine.sleep(0.01)
    try:
        await refuses()
    except ValueError as error:
        second = str(error)
    else:
        second = "?"
    both = await turbine.gather(branch("left"), branch("right"))
    grown = await child(number)
    return [first, second, both, grown, await turbine.recv("nothing", timeout=0, default=None)]


async def branch(side: str) -> list[str]:
    return [await note(f"{side} 1"), await note(f"{side} 2")]


async def recorded(workflow: Any, *args: Any, others: Any = (), url: str | None = None) -> History:
    """The history of a run of a workflow, which has come as far as it does by itself."""
    async with World(url, workflows=[workflow, *others]) as world:
        handle = await world.runtime.run(workflow, *args)
        await world.advance(seconds=1)
        history = await world.runtime.export(handle.workflow_id)
    ran.clear()
    return history


async def test_an_unchanged_workflow_fits_its_own_history_and_runs_no_step(database_url: str) -> None:
    history = await recorded(order, 5, others=[child], url=database_url)
    assert "SUCCESS" == history.status
    assert [5, "as always", [["left 1", "left 2"], ["right 1", "right 2"]], 5, None] == history.output

    report = await replay(History.from_json(history.to_json()), order)

    assert report.ok
    assert (None, None, None) == (report.position, report.recorded, report.asked)
    assert [] == ran


async def test_a_history_is_plain_json_and_comes_back_equal() -> None:
    history = await recorded(order, 5, others=[child])
    document = json.loads(history.to_json())
    assert {"args": [5], "kwargs": {}} == document["input"]
    assert ["note", "turbine.sleep", "refuses"] == [step["name"] for step in document["steps"]][:3]
    assert history == History.from_json(history.to_json()) == History.from_json(document)
    with pytest.raises(ValueError, match="not an exported run"):
        History.from_json("{}")


@turbine.workflow(name="order")
async def renamed_step(number: int) -> list[Any]:
    return [await refund(number)]


@turbine.workflow(name="order")
async def inserted_sleep(number: int) -> list[Any]:
    first = await note(number)
    await note("new")
    await turbine.sleep(0.01)
    return [first]


@turbine.workflow(name="order")
async def other_branch(number: int) -> list[Any]:
    first = await note(number)
    await turbine.sleep(0.01)
    with contextlib.suppress(ValueError):
        await refuses()
    return [first, await turbine.gather(branch("left"), changed_branch())]


async def changed_branch() -> Any:
    return [await note("right 1"), await refund("right 2")]


@turbine.workflow(name="order")
async def shorter(number: int) -> list[Any]:
    first = await note(number)
    await turbine.sleep(0.01)
    return [first]


@turbine.workflow(name="order")
async def other_arguments(number: int, currency: str) -> list[Any]:
    return [await note(number), currency]


@pytest.mark.parametrize(
    ("code", "position", "was", "asked"),
    [
        (renamed_step, "0", "note", "refund"),
        (inserted_sleep, "1", "turbine.sleep", "note"),
        (other_branch, "3.1.1", "note", "refund"),
        (shorter, "2", "refuses", None),
        (other_arguments, "0", "note", None),
    ],
)
async def test_code_that_does_not_fit_is_told_with_its_place(
    code: Any, position: str, was: str, asked: str | None
) -> None:
    report = await replay(await recorded(order, 5, others=[child]), code)
    assert not report.ok
    assert (position, was, asked) == (report.position, report.recorded, report.asked)
    assert [] == ran


@turbine.workflow(name="waits")
async def waits() -> Any:
    await note("first")
    return await turbine.recv("never")


@turbine.workflow(name="waits")
async def waits_and_goes_on() -> Any:
    await note("first")
    message = await turbine.recv("never")
    await refund(message)
    return await child(1)


@turbine.workflow(name="waits")
async def goes_on_elsewhere() -> Any:
    await note("first")
    return await refund("instead of waiting")


async def test_code_may_go_on_as_it_likes_beyond_the_history() -> None:
    history = await recorded(waits)
    assert "PENDING" == history.status
    assert (await replay(history, waits_and_goes_on)).ok
    report = await replay(history, goes_on_elsewhere)
    assert ("1", "turbine.recv", "refund") == (report.position, report.recorded, report.asked)
    assert [] == ran


@turbine.workflow(name="short")
async def short() -> Any:
    return await note("first")


@turbine.workflow(name="short")
async def longer() -> Any:
    first = await note("first")
    await asyncio.sleep(0.02)
    await turbine.uuid4()
    await turbine.do(ran.append, "a side effect")
    await child(1)
    await turbine.run(child, 2)
    await turbine.send("somebody", first)
    return first


async def test_new_code_at_the_end_starts_nothing_and_runs_nothing() -> None:
    assert (await replay(await recorded(short), longer)).ok
    assert [] == ran


@turbine.workflow(name="short")
async def raises_now() -> Any:
    raise KeyError(await note("first"))


async def test_another_kind_of_end_does_not_fit() -> None:
    report = await replay(await recorded(short), raises_now)
    assert (False, None, "SUCCESS") == (report.ok, report.position, report.recorded)
    assert "KeyError" in str(report.asked)


@turbine.sync.step
def note_blocking(what: Any) -> Any:
    ran.append(what)
    return what


@turbine.sync.workflow(name="blocking")
def blocking() -> list[Any]:
    first = note_blocking("first")
    turbine.sync.sleep(0.01)
    return [first, note_blocking("second")]


@turbine.sync.workflow(name="blocking")
def blocking_goes_on() -> list[Any]:
    first = note_blocking("first")
    turbine.sync.sleep(0.01)
    note_blocking("second")
    return [first, note_blocking("third"), turbine.sync.recv("word")]


@turbine.sync.workflow(name="blocking")
def blocking_changed() -> list[Any]:
    turbine.sync.sleep(0.01)
    return [note_blocking("first")]


async def test_blocking_workflows_are_replayed_too() -> None:
    history = await recorded(blocking)
    assert (await replay(history, blocking)).ok
    assert (await replay(history, blocking_goes_on)).ok
    report = await replay(history, blocking_changed)
    assert ("0", "note_blocking", "turbine.sleep") == (report.position, report.recorded, report.asked)
    assert [] == ran


@turbine.step(retries=5, base_interval=3600, max_interval=3600)
async def keeps_failing() -> None:
    ran.append("tried")
    raise ConnectionError


@turbine.workflow(name="retrying")
async def retrying() -> None:
    await keeps_failing()


async def test_a_step_between_two_attempts_stays_there() -> None:
    history = await recorded(retrying)
    assert 1 == len(history.failures)
    assert (await replay(history, retrying)).ok
    assert [] == ran


@turbine.step(checkpoint=False)
async def unchecked() -> Any:
    ran.append("unchecked")
    return 1


@turbine.workflow(name="unchecked")
async def with_unchecked() -> Any:
    await unchecked()
    return await note("behind")


async def test_a_step_without_checkpoint_does_not_run_either() -> None:
    assert (await replay(await recorded(with_unchecked), with_unchecked)).ok
    assert [] == ran


async def test_the_export_of_an_unknown_run_is_refused() -> None:
    async with World() as world:
        with pytest.raises(turbine.WorkflowNotFound):
            await world.runtime.export("nobody")
