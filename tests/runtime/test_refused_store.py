"""A server that refuses for a while, for whatever reason, is no fault of the runs: they go on when it gives way."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator

import psycopg
import pytest

import turbine

charged: list[str] = []
events: dict[str, asyncio.Event] = {}


@turbine.step
async def charge() -> str:
    charged.append(turbine.current().workflow_id)
    events["entered"].set()
    await events["may end"].wait()
    return "paid"


@turbine.workflow
async def buy() -> str:
    receipt = await charge()
    await turbine.sleep(0.01)
    return receipt


@contextlib.contextmanager
def connected(url: str) -> Iterator[Callable[[str], object]]:
    """Executes statements on a connection of another program."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=120)) as connection:
            yield lambda statement: (connection.execute(statement), connection.commit())
    else:
        with psycopg.connect(url, autocommit=True) as postgres:
            yield lambda statement: postgres.execute(statement.encode())


@pytest.mark.parametrize("table", ["pt_steps", "pt_waits", "pt_runs"])
async def test_runs_wait_while_a_table_cannot_be_used(
    database_url: str, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    """As while a restore is under way, or a right was taken by mistake."""
    charged.clear()
    events.update({"entered": asyncio.Event(), "may end": asyncio.Event()})
    async with turbine.Runtime(database_url, workflows=[buy]) as rt:
        handle = await rt.run(buy)
        await events["entered"].wait()
        with connected(database_url) as execute:
            execute(f"alter table {table} rename to elsewhere")
            try:
                events["may end"].set()
                async with asyncio.timeout(120):
                    while "waits for the database" not in caplog.text:  # noqa: ASYNC110 - the log is the only witness
                        await asyncio.sleep(0.01)
            finally:
                execute(f"alter table elsewhere rename to {table}")
        assert "paid" == await handle.result(timeout=120)
        assert [handle.workflow_id] == charged
