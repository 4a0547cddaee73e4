"""Parameters of users may be named like those of our own words, and are given by keyword through every way in."""

from __future__ import annotations

from typing import Any

import pytest

import turbine
import turbine.sync
from turbine.testing import crash_everywhere

NAMES = ("workflow", "self", "id", "args", "kwargs", "fn", "timeout", "queue", "step", "name", "input", "item")
TRIGGERED = {**{name: name.upper() for name in NAMES}, "cls": "CLS", "database": "DATABASE"}


@turbine.workflow(triggerable=True, summary=lambda **given: ",".join(given))
async def takes(
    workflow: str = "",
    self: str = "",
    id: str = "",
    args: str = "",
    kwargs: str = "",
    fn: str = "",
    timeout: str = "",
    queue: str = "",
    step: str = "",
    name: str = "",
    input: str = "",
    item: str = "",
    cls: str = "",
    database: str = "",
) -> str:
    return f"{workflow}{self}{id}{args}{kwargs}{fn}{timeout}{queue}{step}{name}{input}{item}{cls}{database}"


@turbine.workflow
def takes_blocking(workflow: str = "", self: str = "", fn: str = "", args: str = "", step: str = "") -> str:
    return f"{workflow}{self}{fn}{args}{step}"


@turbine.step
async def notes(
    workflow: str = "",
    self: str = "",
    fn: str = "",
    args: str = "",
    kwargs: str = "",
    step: str = "",
    item: str = "",
    function: str = "",
) -> str:
    return f"{workflow}{self}{fn}{args}{kwargs}{step}{item}{function}"


@turbine.step
def notes_blocking(
    workflow: str = "",
    self: str = "",
    fn: str = "",
    args: str = "",
    kwargs: str = "",
    step: str = "",
    item: str = "",
    function: str = "",
) -> str:
    return f"{workflow}{self}{fn}{args}{kwargs}{step}{item}{function}"


STEP_NAMES = ("workflow", "self", "fn", "args", "kwargs", "step", "item", "function")


@turbine.step
async def inside(given: dict[str, str]) -> str:
    return await turbine.do(notes_blocking, **given)


@turbine.step
def inside_blocking(given: dict[str, str]) -> list[str]:
    return [turbine.sync.do(notes, **given), turbine.sync.do(notes_blocking, **given)]


@turbine.workflow
async def every_way(name: str) -> list[str]:
    given: dict[str, Any] = {name: "x"}
    told = [
        await notes(**given),
        await inside(given),
        await notes.options(retries=1)(**given),
        await turbine.do(notes, **given),
        await turbine.do(notes_blocking, **given),
        await turbine.do_async(notes, **given),
        *await turbine.gather(notes(**given), turbine.do(notes, **given)),
    ]
    if name in NAMES:
        told += [await takes(**given), await takes.options(tags=["t"])(**given)]
        told.append(await (await turbine.run(takes, **given)).result())
    return told


@turbine.workflow
def every_way_blocking(name: str) -> list[str]:
    given: dict[str, Any] = {name: "x"}
    told = [
        notes_blocking(**given),
        *inside_blocking(given),
        turbine.sync.do(notes_blocking, **given),
        turbine.sync.do(notes, **given),
        turbine.sync.do_async(notes_blocking, **given).result(),
    ]
    if name in ("workflow", "self", "fn", "args", "step"):
        told += [takes_blocking(**given), turbine.sync.run(takes_blocking, **given).result()]
    return told


async def test_a_parameter_of_any_name_is_given_by_keyword_in_bodies(launch):
    rt = await launch(takes, takes_blocking, every_way, every_way_blocking)
    for name in STEP_NAMES:
        assert {"x"} == set(await (await rt.run(every_way, name)).result())
        assert {"x"} == set(await (await rt.run(every_way_blocking, name)).result())


async def test_a_parameter_of_any_name_is_given_by_keyword_to_a_runtime(launch):
    rt = await launch(takes)
    for name in NAMES:
        assert "x" == await (await rt.run(takes, **{name: "x"})).result()
    handle = rt.retrieve(await rt.trigger("takes", TRIGGERED))
    assert "".join(TRIGGERED.values()) == await handle.result()
    assert ",".join(TRIGGERED) == (await handle.status()).summary


def test_a_parameter_of_any_name_is_given_by_keyword_to_a_blocking_runtime(sqlite_url):
    with turbine.sync.Runtime(sqlite_url, workflows=[takes]) as rt:
        for name in NAMES:
            assert "x" == rt.run(takes, **{name: "x"}).result()


async def test_a_parameter_of_any_name_is_given_by_keyword_to_the_testing_kit():
    given = dict.fromkeys(NAMES, "x")
    assert (await crash_everywhere(takes, kwargs={**given, "database": "x"})).crash_points > 0


@turbine.workflow
async def by_place(self: int, args: int = 2, /, *rest: int, **others: str) -> list[Any]:
    return [self, args, list(rest), others]


async def test_a_keyword_named_like_a_parameter_by_place_is_one_of_the_others(launch):
    rt = await launch(by_place)
    handle = await rt.run(by_place, 1, 2, 3, self="self", args="args", rest="rest", others="others")
    others = {"self": "self", "args": "args", "rest": "rest", "others": "others"}
    assert [1, 2, [3], others] == await handle.result()
    with pytest.raises(turbine.SerializationError, match="'rest'"):
        await rt.run(by_place, 1, rest=7)
