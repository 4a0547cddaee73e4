"""A runtime where the system gives less than Linux does: another kind of lock, no temporary folder, no locks at all."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import tempfile
from typing import Any

import pytest

import turbine
from turbine import Conflict, Runtime, StoreInvalid
from turbine.platform import FileLock, FlockCalls, LibraryCalls
from turbine.store import open_store
from turbine.tables import executors

LEASE_SECONDS = 600
"""Longer than any test: nothing but a lock file tells of a death in time."""
WORKER = """
import asyncio, sys
import turbine
from turbine import platform

platform.FileLock.calls = getattr(platform, sys.argv[1])()

@turbine.step
async def stall() -> str:
    print("stalled", flush=True)
    await asyncio.Event().wait()

@turbine.step
async def negate(number: int) -> int:
    return -number

@turbine.workflow
async def work() -> str:
    return await stall()

@turbine.workflow
async def count() -> int:
    return sum([await negate(number) for number in range(200)])

async def main(url, lease, name):
    async with turbine.Runtime(url, workflows=[work, count], lease=int(lease)) as rt:
        print(await (await rt.run({"work": work, "count": count}[name].options(id=name))).result())

asyncio.run(main(*sys.argv[2:5]))
"""


@turbine.step
async def stall() -> str:
    return "carried out by another process"


@turbine.workflow
async def work() -> str:
    return await stall()


@turbine.workflow
async def hello() -> str:
    return "hello"


@pytest.fixture(params=[FlockCalls, LibraryCalls], ids=["flock", "library"])
def calls(request, monkeypatch) -> str:
    monkeypatch.setattr(FileLock, "calls", request.param())
    return request.param.__name__


@pytest.fixture
def no_temporary_folder(monkeypatch) -> None:
    def refuse(*args: Any) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/app']")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)


@pytest.fixture
def no_locks(monkeypatch) -> None:
    class NoLocks:
        """What a file system without locks answers."""

        def try_acquire(self, descriptor: int) -> bool:
            raise OSError(95, "Operation not supported")

        acquire = release = try_acquire

    monkeypatch.setattr(FileLock, "calls", NoLocks())


def worker(calls: str, url: str, name: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WORKER, calls, url, str(LEASE_SECONDS), name]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def lock_paths(url: str) -> list[str | None]:
    store = open_store(url)
    try:
        return [row.lock_path for row in store.read_blocking(executors.registered)]
    finally:
        store.close()


async def test_the_run_of_a_killed_process_goes_on_at_once_whatever_kind_of_lock(calls, database_url) -> None:
    with worker(calls, database_url, "work") as process:
        assert process.stdout is not None
        assert "stalled\n" == process.stdout.readline()
        async with Runtime(database_url, workflows=[work], lease=LEASE_SECONDS) as rt:
            process.send_signal(signal.SIGKILL)
            assert "carried out by another process" == await rt.retrieve("work").result()


async def test_processes_on_one_file_write_in_turn_whatever_kind_of_lock(calls, sqlite_url) -> None:
    processes = [worker(calls, sqlite_url, "count") for _ in range(3)]
    assert ["-19900\n"] * 3 == [process.communicate()[0] for process in processes]


async def test_an_executor_id_is_taken_once_on_a_machine_whatever_kind_of_lock(calls, database_url) -> None:
    async with Runtime(database_url, workflows=[hello], executor_id="team/web:1"):
        with pytest.raises(Conflict, match="'team/web:1' is alive on this machine"):
            await Runtime(database_url, workflows=[hello], executor_id="team/web:1").launch()
    async with Runtime(database_url, workflows=[hello], executor_id="team/web:1") as rt:
        assert "hello" == await (await rt.run(hello)).result()


async def test_without_a_temporary_folder_leases_alone_decide_with_one_warning(
    no_temporary_folder, postgres_url, caplog
) -> None:
    async with Runtime(postgres_url, workflows=[hello]) as rt:
        assert "hello" == await (await rt.run(hello)).result()
        assert [None] == lock_paths(postgres_url)
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "No usable temporary directory" in warning.getMessage()
    assert "set TMPDIR" in warning.getMessage()


async def test_without_a_temporary_folder_a_dead_executor_loses_its_runs_when_its_lease_has_run_out(
    no_temporary_folder, postgres_url
) -> None:
    @turbine.workflow
    async def wait_for_go() -> str:
        return await turbine.recv("go", type=str)

    dead = Runtime(postgres_url, workflows=[wait_for_go], lease=1)
    await dead.launch()
    handle = await dead.run(wait_for_go)
    await dead._die()
    async with Runtime(postgres_url, workflows=[wait_for_go], lease=1) as rt:
        await rt.send(handle.workflow_id, "on", topic="go")
        assert "on" == await rt.retrieve(handle.workflow_id).result()


async def test_a_folder_without_locks_is_as_good_as_none_on_postgres(no_locks, postgres_url, caplog) -> None:
    async with Runtime(postgres_url, workflows=[hello]) as rt:
        assert "hello" == await (await rt.run(hello)).result()
        assert [None] == lock_paths(postgres_url)
    assert "Operation not supported" in caplog.text


async def test_sqlite_needs_no_temporary_folder(no_temporary_folder, sqlite_url, caplog) -> None:
    async with Runtime(sqlite_url, workflows=[hello]) as rt:
        assert "hello" == await (await rt.run(hello)).result()
        assert None not in lock_paths(sqlite_url)
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_sqlite_is_refused_where_files_cannot_be_locked(no_locks, sqlite_url) -> None:
    with pytest.raises(StoreInvalid, match=r"cannot be locked .*local disk"):
        await Runtime(sqlite_url, workflows=[hello]).launch()
