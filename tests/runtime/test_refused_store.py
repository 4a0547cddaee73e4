"""A server that refuses for a while, for whatever reason, is no fault of the runs: they go on when it gives way."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg import sql

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


@pytest.mark.postgres
@pytest.mark.parametrize("table", ["pt_steps", "pt_waits", "pt_runs"])
async def test_runs_wait_while_a_table_cannot_be_used(
    postgres_url: str, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    """As while a restore is under way, or a right was taken by mistake."""
    charged.clear()
    events.update({"entered": asyncio.Event(), "may end": asyncio.Event()})
    rename = sql.SQL("alter table {} rename to {}")
    there, elsewhere = sql.Identifier(table), sql.Identifier("elsewhere")
    async with turbine.Runtime(postgres_url, workflows=[buy]) as rt:
        handle = await rt.run(buy)
        await events["entered"].wait()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(rename.format(there, elsewhere))
            try:
                events["may end"].set()
                async with asyncio.timeout(120):
                    while "waits for the database" not in caplog.text:  # noqa: ASYNC110 - the log is the only witness
                        await asyncio.sleep(0.01)
            finally:
                connection.execute(rename.format(elsewhere, there))
        assert "paid" == await handle.result(timeout=120)
        assert [handle.workflow_id] == charged
