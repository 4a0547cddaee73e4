"""The fixtures that come with the package."""

from __future__ import annotations

from typing import Any

import pytest

import turbine


@turbine.workflow
async def naps(days: int) -> int:
    await turbine.sleep(days * 86400)
    return days


@turbine.workflow
async def hello(name: str) -> str:
    return f"Hello, {name}"


async def test_a_runtime_of_the_fixture_is_launched(turbine_runtime: Any) -> None:
    rt = await turbine_runtime(workflows=[hello])
    assert rt.is_launched
    assert "Hello, Ada" == await (await rt.run(hello, "Ada")).result()


async def test_each_runtime_has_a_database_of_its_own_unless_told(turbine_runtime: Any) -> None:
    one = await turbine_runtime(workflows=[hello])
    two = await turbine_runtime(workflows=[hello])
    three = await turbine_runtime(one.database, workflows=[hello])
    await one.run(hello.options(id="only one"), "Ada")
    assert [] == (await two.list()).items
    assert ["only one"] == [run.workflow_id for run in (await three.list()).items]


async def test_the_time_of_a_world_of_the_fixture_can_be_moved(turbine_world: Any) -> None:
    world = await turbine_world(workflows=[naps])
    handle = await world.runtime.run(naps, 30)
    await world.advance(days=30)
    assert 30 == await handle.result()


PROGRAM = """
import asyncio
import threading
import pytest
import turbine

@turbine.workflow
async def hello(name: str) -> str:
    return f"Hello, {name}"

kept = []

@pytest.mark.anyio
async def test_opens(turbine_runtime, turbine_world):
    kept.append(await turbine_runtime(workflows=[hello]))
    kept.append((await turbine_world(workflows=[hello])).runtime)
    assert "Hello, you" == await (await kept[0].run(hello, "you")).result()

@pytest.fixture
async def shop(turbine_runtime):
    return await turbine_runtime(workflows=[hello])

@pytest.mark.anyio
async def test_opens_in_a_fixture(shop):
    kept.append(shop)
    assert shop.is_launched

@pytest.mark.anyio
async def test_fails(turbine_runtime):
    kept.append(await turbine_runtime(workflows=[hello]))
    assert False

def test_drives_a_loop_itself(turbine_runtime):
    loop = asyncio.new_event_loop()
    kept.append(loop.run_until_complete(turbine_runtime(workflows=[hello])))
    kept.append(loop)

def test_all_of_them_were_ended():
    kept.pop().close()
    assert 5 == len(kept)
    assert not any(rt.is_launched for rt in kept)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("turbine-writer")]

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


def test_whatever_the_fixtures_open_is_ended_with_its_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PROGRAM)
    result = pytester.runpytest_subprocess("-q", "-W", "error", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4, failed=1)


def test_the_plugin_is_found_without_being_asked_for(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures", "-q")
    result.stdout.fnmatch_lines(["turbine_runtime*", "turbine_world*"])
