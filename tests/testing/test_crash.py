"""Death at every write, and what the tool says of programs that do not survive it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine.testing import crash_everywhere

ran: list[Any] = []


@turbine.step
async def note(what: Any) -> Any:
    ran.append(what)
    return what


@turbine.workflow
async def honest(number: int) -> list[Any]:
    first = await note(number)
    await turbine.sleep(timedelta(days=2))
    return [first, await grown(number)]


@turbine.workflow
async def grown(number: int) -> str:
    await turbine.sleep(timedelta(hours=1))
    return await note(f"child of {number}")


async def test_a_workflow_that_survives_every_death_is_reported_as_such(sqlite_url: str) -> None:
    ran.clear()
    report = await crash_everywhere(honest, 7, database=sqlite_url)
    assert report.crash_points >= 2 * 8
    assert () == report.differences
    assert len(ran) > report.crash_points


incarnations: list[int] = []


@turbine.step
async def counts_lives() -> int:
    incarnations.append(1)
    return len(incarnations)


@turbine.workflow
async def forgetful() -> int:
    return await counts_lives()


async def test_an_end_that_depends_on_deaths_is_told(database_url: str) -> None:
    incarnations.clear()
    with pytest.raises(
        AssertionError, match=r"After a death before write 1 \(run_starts.start.*output is '2', not '1'"
    ):
        await crash_everywhere(forgetful, database=database_url)


@turbine.workflow
async def waits_for_nobody() -> str:
    return await turbine.recv("never", type=str)


async def test_a_run_that_waits_for_what_never_comes_is_told() -> None:
    with pytest.raises(AssertionError, match=r"does not come to an end.*crash-everywhere"):
        await crash_everywhere(waits_for_nobody)


@turbine.workflow
async def draws() -> list[str]:
    lots = [str(await turbine.uuid4()), str(await turbine.random()), (await turbine.now()).isoformat()]
    await turbine.sleep(60)
    return [await note(lot) for lot in lots]


async def test_what_is_drawn_by_lot_is_no_difference_and_nothing_is_left_behind(
    database_url: str, tmp_path: Any
) -> None:
    before = list_of(database_url, tmp_path)
    assert 0 < (await crash_everywhere(draws, database=database_url)).crash_points
    assert before == list_of(database_url, tmp_path)


def list_of(url: str, folder: Any) -> list[str]:
    if url.startswith("sqlite"):
        return sorted(path.name for path in folder.iterdir())
    import psycopg

    with psycopg.connect(url) as connection:
        return sorted(row[0] for row in connection.execute("select nspname from pg_namespace"))
