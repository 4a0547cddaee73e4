"""A process that is stopped in the middle of a transaction keeps others from writing, and does so with a name."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

import turbine
from turbine.errors import StoreUnavailable
from turbine.http.asgi import asgi_app_of
from turbine.operations.doctor import examine
from turbine.store import open_store
from turbine.store.sqlite import find_holder

# Opens a store, begins to write, and goes on when a line comes in.
HOLDER = """
import sys
from turbine.store import Statement, open_store

def wait_for_a_line(tx):
    tx.run(Statement.of("update ledger_total set total = total + 1"))
    print("holds", flush=True)
    sys.stdin.readline()

store = open_store(sys.argv[1])
store.write_blocking(wait_for_a_line)
store.close()
"""
# Stands still in the middle of its migrations.
MIGRATOR = """
import sys
from turbine.store import migrations, open_store

def wait_for_a_line(text, dialect):
    print("holds", flush=True)
    sys.stdin.readline()
    return apply(text, dialect)

apply, migrations.statements = migrations.statements, wait_for_a_line
open_store(sys.argv[1]).close()
"""
OPENER = """
import logging, signal, sys
from turbine.http.asgi import asgi_app_of
from turbine.store import open_store
logging.basicConfig(stream=sys.stdout, format="%(message)s")
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
open_store(sys.argv[1])
"""
LAUNCHER = """
import asyncio, logging, signal, sys, turbine
logging.basicConfig(stream=sys.stdout, format="%(message)s")
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it

async def main():
    async with turbine.Runtime(sys.argv[1]):
        pass

asyncio.run(main())
"""
BLOCKING_LAUNCHER = """
import logging, signal, sys, turbine.sync
logging.basicConfig(stream=sys.stdout, format="%(message)s")
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
with turbine.sync.Runtime(sys.argv[1]):
    pass
"""

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no processes by signals"),
]


class Holder:
    """Another process that holds the write lock, stopped like by Ctrl-Z."""

    def __init__(self, url: str, program: str = HOLDER) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        assert "holds\n" == self._process.stdout.readline()
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def go_on(self) -> None:
        """Continue, commit, and end."""
        os.kill(self.pid, signal.SIGCONT)
        self._process.communicate("\n", timeout=120)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def holder(sqlite_store, sqlite_url) -> Iterator[Holder]:
    process = Holder(sqlite_url)
    try:
        yield process
    finally:
        process.kill()


async def test_a_wait_for_a_stopped_process_is_logged_and_ends_with_it(sqlite_store, ledger, holder, caplog) -> None:
    sqlite_store.listen(asyncio.get_running_loop(), "me", lambda wakes: None)
    write = sqlite_store.submit(ledger.enter, {"id": "ours"})
    async with asyncio.timeout(120):
        while "is stopped" not in caplog.text:  # noqa: ASYNC110 - the log is the only witness
            await asyncio.sleep(0.01)
    assert f"process {holder.pid} on " in caplog.text
    assert f"kill -CONT {holder.pid}" in caplog.text
    assert f"process {holder.pid} on " in str(sqlite_store.obstacle)
    assert not write.done()
    assert [] == await sqlite_store.read(ledger.ids)  # reads go on
    holder.go_on()
    assert "entered ours" == await write
    assert sqlite_store.obstacle is None
    assert "go on after a wait of" in caplog.text
    sqlite_store.stop_listening()


def test_a_launch_gives_up_and_says_which_process_is_in_the_way(sqlite_url, holder, monkeypatch) -> None:
    monkeypatch.setattr("turbine.store.sqlite.backend.LAUNCH_PATIENCE", 0.2)
    with pytest.raises(StoreUnavailable, match=rf"process {holder.pid} on .* is stopped \(Ctrl-Z, SIGSTOP"):
        open_store(sqlite_url)
    holder.go_on()
    open_store(sqlite_url).close()


def test_a_process_that_is_not_registered_yet_gives_up_its_write(sqlite_url, ledger, opened, monkeypatch) -> None:
    store = opened(sqlite_url, registered=False)
    store.write_blocking(ledger.make)
    monkeypatch.setattr("turbine.store.sqlite.backend.LAUNCH_PATIENCE", 0.2)
    holder = Holder(sqlite_url)
    try:
        with pytest.raises(StoreUnavailable, match=f"process {holder.pid} on "):
            store.write_blocking(ledger.enter, id="a")
        holder.go_on()
        assert "entered b" == store.write_blocking(ledger.enter, id="b")
    finally:
        holder.kill()


@pytest.mark.parametrize("program", [OPENER, LAUNCHER, BLOCKING_LAUNCHER], ids=["store", "runtime", "blocking runtime"])
def test_ctrl_c_ends_a_launch_that_waits(sqlite_url, holder, program: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", program, sqlite_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert f"process {holder.pid} on " in process.stdout.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert time.monotonic() - began < 15  # of the 30 seconds that it would have waited
        assert "KeyboardInterrupt" in errors
    finally:
        process.kill()
        process.communicate()


def test_a_store_that_waits_for_a_stopped_process_can_be_closed_impatiently(
    sqlite_store, ledger, holder, outcome
) -> None:
    write = sqlite_store.submit_blocking(ledger.enter, {"id": "ours"})
    sqlite_store.close(patient=False)
    assert isinstance(outcome(write.wait), StoreUnavailable)
    holder.go_on()
    with open_store(sqlite_store.url)._readers.transaction() as tx:
        assert [] == ledger.ids(tx)


def test_a_store_that_was_closed_while_it_waited_writes_nothing_later(sqlite_store, ledger, holder, outcome) -> None:
    write = sqlite_store.submit_blocking(ledger.enter, {"id": "ours"})
    sqlite_store.close(seconds=0.1)
    assert isinstance(outcome(write.wait), StoreUnavailable)
    holder.go_on()
    sqlite_store.writer._thread.join(120)
    assert not sqlite_store.writer._thread.is_alive()
    store = open_store(sqlite_store.url)
    assert [] == store.read_blocking(ledger.ids)
    store.close()


def test_the_holder_is_found_from_outside_until_it_is_gone(sqlite_store, holder) -> None:
    found = find_holder(sqlite_store.path)
    assert found is not None
    assert (holder.pid, True) == (found.process_id, found.is_stopped)
    assert 0 <= found.seconds < 120
    holder.kill()
    assert find_holder(sqlite_store.path) is None


def test_a_short_turn_is_no_holder(sqlite_store, ledger) -> None:
    assert find_holder(sqlite_store.path) is None
    sqlite_store.write_blocking(ledger.enter, id="a")
    assert find_holder(sqlite_store.path) is None


def test_a_launch_gives_up_when_a_process_is_stopped_in_its_migrations(sqlite_url, monkeypatch) -> None:
    holder = Holder(sqlite_url, MIGRATOR)
    try:
        monkeypatch.setattr("turbine.store.sqlite.backend.LAUNCH_PATIENCE", 0.2)
        with pytest.raises(StoreUnavailable, match=f"process {holder.pid} on "):
            open_store(sqlite_url)
    finally:
        holder.kill()
    open_store(sqlite_url).close()


@pytest.mark.postgres
def test_postgres_ends_the_migrations_of_a_stopped_process(empty_postgres_url) -> None:
    holder = Holder(empty_postgres_url, MIGRATOR)
    try:
        open_store(empty_postgres_url).close()
    finally:
        holder.kill()


@pytest.mark.postgres
def test_postgres_ends_the_transaction_of_a_stopped_process(postgres_store, postgres_url, ledger) -> None:
    holder = Holder(postgres_url)
    try:
        assert "entered a" == postgres_store.write_blocking(ledger.enter, id="a")
        assert (["a"], 1) == postgres_store.read_blocking(ledger.audit)
    finally:
        holder.kill()


@turbine.step
async def charge() -> str:
    return "paid"


@turbine.workflow
async def buy() -> str:
    return await charge()


async def test_runs_wait_for_a_stopped_process_and_the_doctor_and_the_health_name_it(
    sqlite_store, sqlite_url, caplog
) -> None:
    async with turbine.Runtime(sqlite_url, workflows=[buy]) as rt:
        app = httpx.ASGITransport(asgi_app_of(rt))
        client = httpx.AsyncClient(transport=app, base_url="http://localhost/")
        assert "ok" == (await client.get("/api/pt/health")).json()["database"]
        holder = await asyncio.to_thread(Holder, sqlite_url)
        try:
            start = asyncio.create_task(rt.run(buy))
            async with asyncio.timeout(120):
                while f"process {holder.pid} on " not in caplog.text:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            health = await client.get("/api/pt/health")
            assert (503, "away") == (health.status_code, health.json()["database"])
            (check,) = [check for check in examine(sqlite_url) if check.name == "write lock"]
            assert ("wrong", holder.pid) == (check.status, check.facts["process_id"])
            assert f"kill -CONT {holder.pid}" in check.text
            assert [] == (await rt.list()).items
            holder.go_on()
        finally:
            holder.kill()
        handle = await start
        assert "paid" == await handle.result(timeout=120)
        status = await handle.status()
        assert ("SUCCESS", None) == (status.status, status.attention)
        assert "ok" == (await client.get("/api/pt/health")).json()["database"]
        (check,) = [check for check in examine(sqlite_url) if check.name == "write lock"]
        assert "ok" == check.status
        await client.aclose()


async def test_a_program_that_locks_the_database_by_itself_is_logged_too(sqlite_store, ledger, caplog) -> None:
    import sqlite3

    stranger = sqlite3.connect(sqlite_store.path, isolation_level=None)
    try:
        stranger.execute("begin immediate")
        write = sqlite_store.submit(ledger.enter, {"id": "ours"})
        async with asyncio.timeout(120):
            while "another transaction holds a lock" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert "another transaction" in str(sqlite_store.obstacle)
        stranger.execute("rollback")
        assert "entered ours" == await write
        assert sqlite_store.obstacle is None
    finally:
        stranger.close()
