"""`turbine run`: programs as their users start them; SIGTERM and SIGINT drain."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

TURBINE = [sys.executable, "-c", "from turbine.cli import main; main()"]
PROGRAM = """
import asyncio, os, time
import turbine, turbine.sync

def note(text):
    with open("notes", "a") as notes:
        notes.write(text + "\\n")

@turbine.step
async def work() -> str:
    note("begun")
    while not os.path.exists("door"):
        await asyncio.sleep(0.01)
    note("done")
    return "worked"

@turbine.workflow
async def job() -> str:
    return await work()

SETTINGS = dict(workflows=[job], shutdown_timeout=60)

async def block():
    async with turbine.Runtime("sqlite:///shop.db", **SETTINGS) as rt:
        try:
            await rt.run(job.options(id="one"))
            await asyncio.sleep(600)
        finally:
            note("cleaned up")

async def no_block():
    rt = turbine.Runtime("sqlite:///shop.db", handle_signals=False, **SETTINGS)
    await rt.launch()
    try:
        await rt.run(job.options(id="one"))
        await asyncio.sleep(600)
    finally:
        note("cleaned up")

async def until_signal():
    async with turbine.Runtime("sqlite:///shop.db", **SETTINGS) as rt:
        try:
            await rt.run(job.options(id="one"))
            await rt.run_until_signal()
        finally:
            note("cleaned up")

def sync_block():
    with turbine.sync.Runtime("sqlite:///shop.db", **SETTINGS) as rt:
        try:
            rt.run(job.options(id="one"))
            time.sleep(600)
        finally:
            note("cleaned up")

def sync_no_block():
    rt = turbine.sync.Runtime("sqlite:///shop.db", handle_signals=False, **SETTINGS)
    rt.launch()
    try:
        rt.run(job.options(id="one"))
        time.sleep(600)
    except KeyboardInterrupt:
        note("cleaned up")

def sync_until_signal():
    rt = turbine.sync.Runtime("sqlite:///shop.db", **SETTINGS)
    rt.launch()
    try:
        rt.run(job.options(id="one"))
        rt.run_until_signal()
    finally:
        note("cleaned up")

def three() -> int:
    return 3

async def nothing() -> None: ...

def broken() -> None:
    raise LookupError("shelf")

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(PROGRAM)
    return tmp_path


@pytest.mark.crash
@pytest.mark.timeout(150)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "main", ["block", "no_block", "until_signal", "sync_block", "sync_no_block", "sync_until_signal"]
)
def test_a_program_drains_when_it_is_told_to_end(folder: Path, main: str, number: int) -> None:
    with (folder / "out").open("w") as out:
        process = subprocess.Popen([*TURBINE, "run", f"shop:{main}"], cwd=folder, stdout=out, stderr=out)
    notes = folder / "notes"
    try:
        while not notes.exists():
            assert process.poll() is None, (folder / "out").read_text()
            time.sleep(0.01)
        process.send_signal(number)
        time.sleep(0.2)
        process.send_signal(number)  # more of them change nothing
        (folder / "door").touch()
        assert 0 == process.wait(timeout=120), (folder / "out").read_text()
    finally:
        process.kill()
        process.wait()
    assert ["begun", "cleaned up", "done"] == sorted(notes.read_text().splitlines())
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as connection:
        rows = connection.execute("select status, recovery_attempts from pt_runs").fetchall()
        executors = connection.execute("select count(*) from pt_executors").fetchall()
    assert ([("SUCCESS", 1)], [(0,)]) == (rows, executors)
    assert "" == (folder / "out").read_text()


@pytest.mark.parametrize(
    ("target", "code", "told"),
    [
        ("shop:three", 3, ""),
        ("shop:nothing", 0, ""),
        ("shop:broken", 1, "LookupError: shelf"),
        ("shop:number", 2, "is no function"),
        ("shop:missing", 2, "no 'missing'"),
        ("nowhere:main", 2, "no module 'nowhere'"),
        ("shop", 2, "module:name"),
    ],
)
def test_its_exit_code_says_how_it_went(folder: Path, target: str, code: int, told: str) -> None:
    ended = subprocess.run(
        [*TURBINE, "run", target], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert (code, "") == (ended.returncode, ended.stdout)
    assert told in ended.stderr
