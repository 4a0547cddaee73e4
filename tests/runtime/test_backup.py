"""Backups: a sound copy of one moment, made while runs go on."""

from __future__ import annotations

import asyncio
import sqlite3
import stat

import pytest

import turbine
import turbine.sync
from turbine import Runtime, StoreInvalid, TurbineError


@turbine.step
async def one(number: int) -> int:
    return number


@turbine.workflow
async def many(count: int) -> int:
    total = 0
    for number in range(count):
        total += await one(number)
    return total


async def test_a_copy_made_under_load_is_whole_and_can_be_launched(sqlite_url, tmp_path) -> None:
    async with Runtime(sqlite_url, workflows=[many]) as rt:
        done = await rt.run(many.options(id="done"), 500)
        await done.result()
        open_ = await rt.run(many.options(id="open"), 3000)
        path = await rt.backup(tmp_path / "copy.db")
        assert sum(range(3000)) == await open_.result()
    assert tmp_path / "copy.db" == path
    assert ["copy.db"] == [found.name for found in tmp_path.iterdir() if "copy" in found.name]
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    async with Runtime(f"sqlite:///{path}", workflows=[many]) as rt:
        assert sum(range(500)) == await rt.retrieve("done").result()


async def test_a_busy_writer_does_not_keep_a_backup_from_ending(sqlite_url, tmp_path) -> None:
    async with Runtime(sqlite_url, workflows=[many]) as rt:
        await rt.kv.set("filler", "x" * 20_000_000)
        stop = asyncio.Event()
        signature_text = 0

        async def write() -> None:
            nonlocal signature_text
            while not stop.is_set():
                await rt.kv.set("key", signature_text)
                signature_text += 1

        writing = asyncio.create_task(write())
        path = await rt.backup(tmp_path / "copy.db")
        stop.set()
        await writing
    assert signature_text > 1
    with sqlite3.connect(path) as copy:
        assert [("ok",)] == copy.execute("pragma integrity_check").fetchall()
        assert (20_000_002,) == copy.execute("select length(value) from pt_kv where key = 'filler'").fetchone()
    copy.close()


async def test_no_file_is_overwritten(sqlite_url, tmp_path) -> None:
    async with Runtime(sqlite_url) as rt:
        (tmp_path / "mine").write_text("keep me")
        with pytest.raises(FileExistsError, match="never overwrites"):
            await rt.backup(tmp_path / "mine")
        with pytest.raises(FileNotFoundError):
            await rt.backup(tmp_path / "no" / "such" / "folder.db")
    assert "keep me" == (tmp_path / "mine").read_text()
    assert [] == [found for found in tmp_path.iterdir() if found.name.endswith(".unfinished")]


async def test_a_damaged_database_makes_no_backup(sqlite_url, tmp_path) -> None:
    async with Runtime(sqlite_url) as rt:
        for number in range(200):
            await rt.kv.set(f"key {number}", "x" * 3000)
    with sqlite3.connect(tmp_path / "turbine.db") as damaged:
        damaged.execute("pragma writable_schema = on")
        # An index that does not know some rows.
        (root,) = damaged.execute("select rootpage from sqlite_master where name = 'pt_logs_created'").fetchone()
        damaged.execute("update sqlite_master set rootpage = ? where name = 'sqlite_autoindex_pt_kv_1'", (root,))
    damaged.close()
    async with Runtime(sqlite_url) as rt:
        with pytest.raises(StoreInvalid, match="not sound"):
            await rt.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_a_database_in_memory_is_refused(tmp_path) -> None:
    async with Runtime("sqlite://:memory:") as rt:
        with pytest.raises(TurbineError, match="in memory"):
            await rt.backup(tmp_path / "copy.db")


@pytest.mark.postgres
async def test_postgres_has_its_own_tool(postgres_url, tmp_path) -> None:
    async with Runtime(postgres_url) as rt:
        with pytest.raises(TurbineError, match="pg_dump"):
            await rt.backup(tmp_path / "copy.db")


def test_blocking_code_makes_backups_too(sqlite_url, tmp_path) -> None:
    with turbine.sync.Runtime(sqlite_url) as rt:
        assert rt.backup(str(tmp_path / "copy.db")).exists()
