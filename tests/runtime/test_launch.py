"""A launch that fails or is cancelled at any place leaves nothing behind: the next one of the same id works."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

import turbine
import turbine.sync
from turbine import AlreadyLaunched, Runtime


@turbine.workflow(schedule="0 3 * * *")
async def nightly(tick: datetime) -> None: ...


@turbine.workflow
async def hello() -> str:
    return "hello"


POD = f"pod-{uuid4()}"
"""An id that is fixed, and that no other test process on this machine has."""


def runtime(url: str, **settings: object) -> Runtime:
    rt = Runtime(url, workflows=[nightly, hello], executor_id=POD, **{"shutdown_timeout": 5, **settings})
    rt.queue("mail")
    return rt


def open_files() -> list[str]:
    """What this process has open of a database: its file, its log, its locks, its sockets."""
    found: list[str] = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()))
    return sorted(name for name in found if "turbine" in name or name.startswith("socket"))


def turbine_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("turbine"))


async def leaves_nothing(before: list[str]) -> None:
    """Return as soon as nothing is left; a thread that was told to end may take its time about it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(120):
            while turbine_threads() or open_files() != before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert ([], before) == (turbine_threads(), open_files())


@pytest.fixture
def refusing(database_url: str) -> Callable[[str], contextlib.AbstractContextManager[None]]:
    """Has the database refuse every row of a table."""

    def run(*statements: str) -> None:
        if database_url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
                for statement in statements:
                    connection.execute(statement)
                connection.commit()
        else:
            with psycopg.connect(database_url, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement)

    @contextlib.contextmanager
    def refusing(table: str) -> Iterator[None]:
        if database_url.startswith("sqlite"):
            run(
                f"create trigger refusing before insert on {table} begin select raise(abort, 'no room'); end",
                f"create trigger refusing_too before update on {table} begin select raise(abort, 'no room'); end",
            )
        else:
            run(
                "create function refuse() returns trigger language plpgsql as"
                " $$ begin raise exception 'no room'; end $$",
                f"create trigger refusing before insert or update on {table} for each row execute function refuse()",
            )
        yield
        if database_url.startswith("sqlite"):
            run("drop trigger refusing", "drop trigger refusing_too")
        else:
            run(f"drop trigger refusing on {table}", "drop function refuse")

    return refusing


async def works(url: str) -> None:
    async with runtime(url) as rt:
        assert "hello" == await (await rt.run(hello)).result(timeout=120)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("table", ["pt_executors", "pt_incarnations", "pt_queues", "pt_workflows", "pt_schedules"])
async def test_a_launch_that_fails_leaves_nothing_behind(database_url, refusing, table) -> None:
    before = open_files()
    rt = runtime(database_url)
    with refusing(table), pytest.raises(Exception, match="no room"):
        await rt.launch()
    assert not rt.is_launched
    await leaves_nothing(before)
    async with Runtime(database_url) as other:
        from turbine.tables import executors

        live = await other._live.store.read(executors.registered)
        assert [other.executor_id] == [one.executor_id for one in live]

    await rt.launch()
    assert "hello" == await (await rt.run(hello)).result(timeout=120)
    await rt.shutdown()
    await leaves_nothing(before)


@pytest.mark.timeout(200)
async def test_a_blocking_launch_that_fails_leaves_nothing_behind(database_url, refusing) -> None:
    before = open_files()
    rt = turbine.sync.Runtime(database_url, workflows=[hello], executor_id=POD)
    with refusing("pt_workflows"), pytest.raises(Exception, match="no room"):
        rt.launch()
    await leaves_nothing(before)
    with rt:
        assert "hello" == rt.run(hello).result(timeout=120)


@pytest.mark.timeout(300)
async def test_a_launch_that_is_cancelled_anywhere_leaves_nothing_behind(database_url) -> None:
    before = open_files()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await works(database_url)
    whole = loop.time() - began
    for part in range(25):
        rt = runtime(database_url)
        launching = asyncio.create_task(rt.launch())
        await asyncio.sleep(whole * part / 25)
        launching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await launching
        if rt.is_launched:  # it was quicker
            await rt.shutdown()
        # At once: another one with this id is not refused because of what the cancelled one still holds.
        await works(database_url)
    await leaves_nothing(before)


@pytest.mark.timeout(200)
async def test_a_launch_that_is_cancelled_while_the_database_makes_it_wait_ends_soon(
    sqlite_url, tmp_path: Path
) -> None:
    before = open_files()
    await works(sqlite_url)
    path = sqlite_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        rt = runtime(sqlite_url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await rt.launch()
        other.execute("rollback")
    await leaves_nothing(before)
    await works(sqlite_url)


async def test_a_shutdown_in_the_middle_of_a_launch_waits_for_it(database_url) -> None:
    before = open_files()
    rt = runtime(database_url)
    launching = asyncio.create_task(rt.launch())
    await asyncio.sleep(0)
    with pytest.raises(AlreadyLaunched):
        await rt.launch()
    await rt.shutdown()
    await launching
    assert (False, True) == (rt.is_launched, rt.is_draining)
    await leaves_nothing(before)


async def test_nothing_is_left_after_a_shutdown(database_url) -> None:
    before = open_files()
    for _ in range(3):
        await works(database_url)
    await leaves_nothing(before)
