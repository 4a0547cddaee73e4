"""A command at a database only observes: it never becomes an executor, and a command that reads writes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from every_command import ALL
from shop_service import invoke, order, report

import turbine.sync
from turbine import Runtime
from turbine.cli.database import DatabaseClient

PROCESSES = {"pt_executors", "pt_incarnations", "pt_past_executors", "pt_batches", "pt_maintenance", "pt_sizes"}
"""Tables in which a process that is launched leaves rows."""
READS = (
    ["list"],
    ["show", "done"],
    ["steps", "done"],
    ["tail", "done"],
    ["logs"],
    ["export", "done"],
    ["queues"],
    ["queues", "narrow"],
    ["schedules", "list"],
    ["schedules", "preview", "--cron", "@hourly"],
    ["kv", "list"],
    ["kv", "get", "key"],
    ["products", "list"],
    ["deliveries", "list"],
    ["account", "list"],
    ["token", "list"],
    ["retention", "list"],
    ["doctor"],
    ["migrate"],
)


@pytest.fixture
def used(database_url: str) -> str:
    """A database that a process has used and left in good order."""
    rt = turbine.sync.Runtime(database_url, workflows=[order, report], shutdown_timeout=0)
    rt.queue("narrow")
    with rt:
        rt.run(order.options(id="done"), 1).result()
        rt.kv.set("key", 1)
    return database_url


def rows(database_url: str, among: set[str] | None = None) -> dict[str, list[Any]]:
    """All rows of Turbine's tables, or of some of them."""
    if database_url.startswith("sqlite"):
        connection: Any = closing(sqlite3.connect(database_url.removeprefix("sqlite:///")))
        listing = "select name from sqlite_master where type = 'table' and name like 'pt!_%' escape '!'"
    else:
        connection = psycopg.connect(database_url)
        listing = "select tablename from pg_tables where schemaname = current_schema() and tablename like 'pt\\_%'"
    with connection as cursor:
        names = [name for (name,) in cursor.execute(listing).fetchall() if among is None or name in among]
        return {name: sorted(cursor.execute(f"select * from {name}").fetchall(), key=repr) for name in names}


def test_no_command_leaves_a_trace_of_a_process(used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "commands").mkdir()
    monkeypatch.chdir(tmp_path / "commands")  # backup and download write files
    before = rows(used, PROCESSES)
    assert {"pt_executors", "pt_incarnations", "pt_past_executors", "pt_maintenance"} <= before.keys()
    for arguments in (*ALL, *READS, ["trigger", "order", "--input", "1"], ["fork", "done"], ["kv", "set", "a", "1"]):
        invoke(*arguments, "--database", used, typed="a password\na password\n")
        assert before == rows(used, PROCESSES), arguments


def test_a_command_that_reads_writes_nothing(used: str) -> None:
    before = rows(used)
    for arguments in READS:
        assert 0 == invoke(*arguments, "--database", used).code, arguments
        assert before == rows(used), arguments


def test_a_triggered_run_is_left_to_an_executor(used: str) -> None:
    assert 0 == invoke("trigger", "order", "--id", "new", "--input", "7", "--database", used).code
    assert 0 == invoke("fork", "done", "--id", "again", "--database", used).code
    for id in ("new", "again"):
        run = invoke("show", id, "--json", "--database", used).json
        assert (None, None) == (run["executor_id"], run["started_at"])

    with turbine.sync.Runtime(used, workflows=[order, report], shutdown_timeout=0) as rt:
        assert ["shipped: charged 7", "shipped: charged 1"] == [rt.retrieve(id).result() for id in ("new", "again")]


async def test_an_observer_does_not_take_the_settings_of_the_program(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURBINE_EXECUTOR_ID", "the-service")
    monkeypatch.setenv("TURBINE_GC_RETENTION", "1")
    async with Runtime(database_url) as service, DatabaseClient(database_url) as client:
        executors = (await client.get("executors"))["items"]
        assert ["the-service"] == [executor["executor_id"] for executor in executors]
        assert client.runtime is not None
        assert "the-service" == service.executor_id != client.runtime.executor_id
        assert client.runtime.config.gc_retention is None


def test_the_doctor_needs_no_settings_of_the_program(used: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURBINE_LEASE", "for ever")
    assert 0 == invoke("doctor", "--database", used).code
    assert 2 == invoke("list", "--database", used).code


async def test_an_observer_runs_no_loop_and_sends_nothing(database_url: str) -> None:
    service = Runtime(database_url, workflows=[order], shutdown_timeout=0)
    service._instrument = lambda live: live.transports.clear()  # a service that cannot send either
    async with service:
        await service.webhooks.create(url="https://hooks.example.invalid/x", events=["workflow.SUCCESS"])
        await (await service.run(order.options(id="done"), 1)).result()
        answer = await asyncio.to_thread(invoke, "tail", "done", "--follow", "--database", database_url)
        assert 0 == answer.code
        (delivery,) = (await service.deliveries.list()).items
        assert ("pending", []) == (delivery.status, delivery.attempts)
        async with DatabaseClient(database_url) as client:
            await client.get("workflows")
            assert client.runtime is not None
            live = client.runtime._live
            assert live is not None
            assert [None] * len(live.loops) == [loop._task for loop in live.loops]
