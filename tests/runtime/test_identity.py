"""Who an executor is: its id belongs to one live process, whatever lock files and clocks say."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import turbine
from turbine import Conflict, Runtime
from turbine.store import Statement
from turbine.tables import executors, runs

started: list[str] = []


@turbine.step
async def work() -> str:
    started.append(turbine.current().workflow_id)
    return "done"


@turbine.workflow
async def job() -> str:
    return await work()


@turbine.workflow
async def wait_for_go() -> str:
    return await turbine.recv("go", type=str)


def runtime(url: str, **config: Any) -> Runtime:
    return Runtime(url, workflows=[job, wait_for_go], executor_id="pod-0", lease=1, **config)


@pytest.mark.postgres
async def test_an_id_that_is_alive_on_another_machine_is_refused_by_the_database(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with runtime(postgres_url) as rt:
        handle = await rt.run(wait_for_go)
        await rt.wait_idle()
        # Another machine has another folder for lock files.
        monkeypatch.setattr("turbine.store.store.user_lock_folder", lambda: tmp_path)
        with pytest.raises(Conflict, match="is alive"):
            await runtime(postgres_url).launch()
        await rt.send(handle.workflow_id, "still mine", topic="go")

        assert "still mine" == await handle.result()
        assert 1 == (await handle.status()).attempts


@pytest.mark.postgres
async def test_an_id_whose_process_died_on_another_machine_is_taken_when_its_lease_has_run_out(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = runtime(postgres_url)
    await first.launch()
    handle = await first.run(wait_for_go)
    await first.wait_idle()
    await first._die()
    monkeypatch.setattr("turbine.store.store.user_lock_folder", lambda: tmp_path)
    async with runtime(postgres_url) as rt:
        await rt.send(handle.workflow_id, "taken up", topic="go")
        assert "taken up" == await rt.retrieve(handle.workflow_id).result()


@pytest.mark.postgres
async def test_one_id_may_be_in_use_in_two_databases_of_one_machine(
    postgres_url: str, empty_postgres_url: str, sqlite_url: str
) -> None:
    async with runtime(postgres_url) as one, runtime(empty_postgres_url) as two, runtime(sqlite_url) as three:
        assert ["done"] * 3 == [await (await rt.run(job)).result() for rt in (one, two, three)]


async def test_an_id_whose_process_died_here_is_taken_at_once(database_url: str) -> None:
    first = Runtime(database_url, workflows=[job], executor_id="pod-0", lease=3600)
    await first.launch()
    await first._die()
    began = time.monotonic()
    async with Runtime(database_url, workflows=[job], executor_id="pod-0", lease=3600) as rt:
        assert "done" == await (await rt.run(job)).result()
    assert time.monotonic() - began < 600  # and not for the hour of the lease


async def test_a_free_lock_file_that_the_executor_never_had_proves_nothing(database_url: str, tmp_path: Path) -> None:
    other = Runtime(database_url, workflows=[job], lease=3600)
    async with Runtime(database_url, workflows=[job]) as rt, other:
        stranger = tmp_path / "a file of the same name in another container"
        stranger.write_text("\nanother token")
        moved = Statement.of("update pt_executors set lock_path = :path where executor_id = :id")
        store = rt._app().store
        await store.write(lambda tx: tx.run(moved, path=str(stranger), id=other.executor_id))
        await rt._live._first_look()
        await rt._live._first_look()

        assert other.executor_id in {row.executor_id for row in await store.read(executors.registered)}


async def test_runs_that_are_ours_in_the_database_and_not_in_memory_are_given_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turbine.loops.recovery.AUDIT_INTERVAL", 0)
    async with Runtime(database_url, workflows=[job]) as rt:
        rt._live.timers._tick = asyncio.Event().wait  # the claim below is not its own
        await asyncio.sleep(0)
        store, now_ms = rt._app().store, rt._app().clock.now_ms()
        made = Statement.of(
            "insert into pt_runs (id, status, name, inputs, application_version, application_id,"
            " recovery_attempts, attempt_owed, created_at_epoch_ms, updated_at_epoch_ms, priority, fence, wake_ms)"
            """ values ('lost', 'PENDING', 'job', '{"args":[],"kwargs":{}}', '', '', 0, 1, 1, 1, 0, 1, 0)"""
        )
        await store.write(lambda tx: tx.run(made))
        claimed = await store.write(runs.claim, names=["job"], limit=9, now_ms=now_ms)
        assert ["lost"] == [run.id for run in claimed]  # and the answer is lost

        while (await rt.status("lost")).executor_id is not None:  # noqa: ASYNC110 - the row is the only witness
            await asyncio.sleep(0.01)


async def test_a_run_that_an_evicted_executor_starts_is_carried_out_by_another(database_url: str) -> None:
    started.clear()
    other = Runtime(database_url, workflows=[job])
    async with other, Runtime(database_url, workflows=[job], lease=3600) as rt:
        store = rt._app().store
        known = await store.read(executors.get, executor_id=rt.executor_id)
        assert known is not None
        await store.write(
            executors.evict, executor_id=rt.executor_id, incarnation=known.incarnation, seen_lease_ms=None, now_ms=1
        )
        handle = await rt.run(job.options(id="orphan"))

        assert "done" == await handle.result()
        assert other.executor_id == (await other.status("orphan")).executor_id
    assert ["orphan"] == started


async def test_keys_of_deleted_runs_never_come_back(database_url: str) -> None:
    async with Runtime(database_url, workflows=[job]) as rt:
        keys: list[int] = []
        for number in range(3):
            id_ = f"run-{number}"
            await (await rt.run(job.options(id=id_))).result()
            keys.append(await rt._app().store.read(runs.run_of, workflow_id=id_))
            await rt.delete(id_)
    assert sorted(set(keys)) == keys
