"""A process that is told to end drains first: steps may finish, interrupted attempts do not count."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import Runtime, WorkflowStatus

PROGRAM = """
import asyncio, os, signal, sys, threading, time
import turbine, turbine.sync

URL, FOLDER, WAY, *REST = sys.argv[1:]
SETTINGS = {"shutdown_timeout": float(REST[0]) if REST else 60.0, "lease": 600}

def note(text):
    with open(os.path.join(FOLDER, "notes"), "a") as notes:
        notes.write(text + "\\n")

def is_open():
    return os.path.exists(os.path.join(FOLDER, "door"))

@turbine.step
async def work() -> str:
    note("begun")
    while not is_open():
        await asyncio.sleep(0.01)
    note("done")
    return "worked"

@turbine.workflow
async def job() -> str:
    return await work()

@turbine.sync.step
def work_sync() -> str:
    note("begun")
    while not is_open():
        time.sleep(0.01)
    note("done")
    return "worked"

@turbine.sync.workflow
def job_sync() -> str:
    return work_sync()

def runtime(**more):
    return turbine.Runtime(URL, workflows=[job, job_sync], **{**SETTINGS, **more})

def sync_runtime(**more):
    return turbine.sync.Runtime(URL, workflows=[job, job_sync], **{**SETTINGS, **more})

async def plain(**more):
    async with runtime(**more) as rt:
        await rt.run(job.options(id="one"))
        await asyncio.sleep(600)

def plain_sync(workflow=job):
    with sync_runtime() as rt:
        rt.run(workflow.options(id="one"))
        time.sleep(600)
"""


class Process:
    """A program of its own, and what it notes."""

    def __init__(self, folder: Path, text: str, *arguments: str) -> None:
        self._folder = folder
        (folder / "program.py").write_text(PROGRAM + text)
        command = [sys.executable, str(folder / "program.py"), arguments[0], str(folder), *arguments[1:]]
        with (folder / "out").open("w") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)

    @property
    def printed(self) -> str:
        return (self._folder / "out").read_text()

    @property
    def notes(self) -> list[str]:
        notes = self._folder / "notes"
        return notes.read_text().splitlines() if notes.exists() else []

    async def until(self, note: str, count: int = 1) -> None:
        while self.notes.count(note) < count:
            assert self._process.poll() is None, self.printed
            await asyncio.sleep(0.01)

    def open_client(self) -> None:
        (self._folder / "door").touch()

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    async def code(self) -> int:
        """Its exit code, as soon as there is one."""
        while self._process.poll() is None:  # noqa: ASYNC110 - a process of its own
            await asyncio.sleep(0.01)
        return self._process.returncode

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(text: str, *arguments: str) -> Process:
        started.append(Process(tmp_path, text, *arguments))
        return started[-1]

    yield start
    for process in started:
        process.end()


async def state(url: str) -> tuple[Any, ...]:
    async with Runtime(url) as rt:
        status = await rt.status("one")
        return status.status, status.attempts, status.error


WAYS = {
    "async": "asyncio.run(plain())",
    "sync, async workflow": "plain_sync()",
    "sync, blocking workflow": "plain_sync(job_sync)",
    "sync without a block": """
rt = sync_runtime()
rt.launch()
rt.run(job.options(id="one"))
time.sleep(600)
""",
    "two runtimes": """
async def both():
    async with turbine.Runtime("sqlite://:memory:"), runtime() as rt, turbine.Runtime("sqlite://:memory:"):
        await rt.run(job.options(id="one"))
        await asyncio.sleep(600)
asyncio.run(both())
""",
    "waits for the result": """
async def result():
    async with runtime() as rt:
        await (await rt.run(job.options(id="one"))).result()
        await asyncio.sleep(600)
asyncio.run(result())
""",
}


@pytest.mark.crash
@pytest.mark.timeout(150)
@pytest.mark.parametrize("way", WAYS)
async def test_at_sigterm_a_running_step_may_finish_and_the_process_ends_by_that_signal(
    start, database_url, way
) -> None:
    process = start(WAYS[way], database_url, "-")
    await process.until("begun")

    process.send(signal.SIGTERM)
    process.send(signal.SIGTERM)  # more of them change nothing
    await asyncio.sleep(0.2)
    process.open_client()

    assert -signal.SIGTERM == await process.code()
    assert ["begun", "done"] == process.notes
    assert (WorkflowStatus.SUCCESS, 1, None) == await state(database_url)
    assert "Traceback" not in process.printed


@pytest.mark.crash
@pytest.mark.timeout(150)
@pytest.mark.parametrize("way", ["async", "sync, async workflow", "sync, blocking workflow"])
async def test_what_does_not_finish_in_time_is_interrupted_and_its_attempt_is_not_counted(
    start, database_url, way
) -> None:
    for incarnation in range(1, 5):
        process = start(WAYS[way], database_url, "-", "0.2")
        await process.until("begun", incarnation)
        process.send(signal.SIGTERM)
        assert -signal.SIGTERM == await process.code()
        assert (WorkflowStatus.PENDING, 0, None) == await state(database_url)
    process = start(WAYS[way], database_url, "-")
    process.open_client()
    await process.until("done")
    process.send(signal.SIGTERM)
    await process.code()
    assert (WorkflowStatus.SUCCESS, 1, None) == await state(database_url)


OTHERS = {
    "an event": (
        0,
        """
async def main():
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGTERM, lambda *_: (note("theirs"), loop.call_soon_threadsafe(stop.set)))
    before = signal.getsignal(signal.SIGTERM)
    async with runtime() as rt:
        await rt.run(job.options(id="one"))
        await stop.wait()
    assert signal.getsignal(signal.SIGTERM) is before
    note("the end")
asyncio.run(main())
""",
    ),
    "add_signal_handler": (
        0,
        """
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: (note("theirs"), stop.set()))
    async with runtime() as rt:
        await rt.run(job.options(id="one"))
        await stop.wait()
    note("the end")
asyncio.run(main())
""",
    ),
    "sys.exit": (
        7,
        """
def end(*_):
    note("theirs")
    note("the end")
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
plain_sync()
""",
    ),
}


@pytest.mark.crash
@pytest.mark.timeout(150)
@pytest.mark.parametrize("kind", OTHERS)
async def test_handlers_of_others_are_called_and_decide_how_the_process_ends(start, sqlite_url, kind) -> None:
    code, text = OTHERS[kind]
    process = start(text, sqlite_url, "-")
    await process.until("begun")

    process.send(signal.SIGTERM)
    await process.until("theirs")
    process.open_client()

    assert code == await process.code(), process.printed
    assert sorted(["begun", "theirs", "done", "the end"]) == sorted(process.notes)
    assert (WorkflowStatus.SUCCESS, 1, None) == await state(sqlite_url)


ENDS_FIRST = {
    "sys.exit in a handler": (
        7,
        """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
asyncio.run(plain(shutdown_timeout=0))
""",
    ),
    "without a shutdown": (
        0,
        """
async def main():
    rt = runtime(handle_signals=False)
    await rt.launch()
    await rt.run(job.options(id="one"))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
asyncio.run(main())
assert not [thread for thread in threading.enumerate() if thread.name.startswith("turbine-lease")]
""",
    ),
    "without a shutdown, blocking": (
        0,
        """
async def main():
    rt = runtime(handle_signals=False)
    await rt.launch()
    await rt.run(job_sync.options(id="one"))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
asyncio.run(main())
""",
    ),
}


@pytest.mark.crash
@pytest.mark.timeout(150)
@pytest.mark.parametrize("kind", ENDS_FIRST)
async def test_a_run_whose_event_loop_ends_first_is_interrupted_and_no_error(start, database_url, kind) -> None:
    code, text = ENDS_FIRST[kind]
    process = start(text, database_url, "-")
    await process.until("begun")

    process.send(signal.SIGTERM)

    assert code == await process.code(), process.printed
    assert (WorkflowStatus.PENDING, 0, None) == await state(database_url)


CTRL_C = """
async def main():
    async with runtime() as rt:
        await rt.run(job.options(id="one"))
        await asyncio.sleep(600)

try:
    plain_sync() if WAY == "sync" else asyncio.run(main())
except KeyboardInterrupt:
    note("interrupted")
    sys.exit(5)
"""


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_ctrl_c_drains_and_is_a_keyboard_interrupt(start, sqlite_url, way) -> None:
    process = start(CTRL_C, sqlite_url, way)
    await process.until("begun")
    process.send(signal.SIGINT)
    await asyncio.sleep(0.1)
    process.open_client()
    assert 5 == await process.code(), process.printed
    assert ["begun", "done", "interrupted"] == process.notes
    assert (WorkflowStatus.SUCCESS, 1, None) == await state(sqlite_url)


async def test_without_handle_signals_sigterm_ends_the_process_as_ever(start, sqlite_url) -> None:
    process = start("asyncio.run(plain(handle_signals=False))", sqlite_url, "-")
    await process.until("begun")
    process.send(signal.SIGTERM)
    assert -signal.SIGTERM == await process.code()
    assert ["begun"] == process.notes


async def test_a_signal_that_is_ignored_stays_ignored(start, sqlite_url) -> None:
    process = start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nasyncio.run(plain())", sqlite_url, "-")
    await process.until("begun")
    process.send(signal.SIGTERM)
    process.open_client()
    await process.until("done")


async def test_an_event_loop_that_is_blocked_keeps_no_process_alive(start, sqlite_url) -> None:
    text = """
import turbine.runtime.signals
turbine.runtime.signals.PATIENCE = 0.5

async def main():
    async with runtime(shutdown_timeout=0) as rt:
        note("begun")
        time.sleep(600)
asyncio.run(main())
"""
    process = start(text, sqlite_url, "-")
    await process.until("begun")
    process.send(signal.SIGTERM)
    assert -signal.SIGTERM == await process.code()


async def test_a_forked_child_has_the_signals_that_it_would_have_without_a_runtime(start, sqlite_url) -> None:
    text = """
with sync_runtime() as rt:
    pid = os.fork()
    if pid == 0:
        note(f"child {os.getpid()}")
        time.sleep(600)
        os._exit(0)
    note(f"ended {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
"""
    process = start(text, sqlite_url, "-")
    while not (children := [note for note in process.notes if note.startswith("child")]):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    os.kill(int(children[0].split()[1]), signal.SIGTERM)
    assert 0 == await process.code()
    assert f"ended {-signal.SIGTERM}" in process.notes


READY = """
from turbine.runtime.signals import SIGNALS

def ready():
    while not SIGNALS._waiters:
        time.sleep(0.01)
    note("ready")
threading.Thread(target=ready).start()
"""
UNTIL_SIGNAL = {
    "by itself": """
async def main():
    rt = runtime()
    starting = asyncio.create_task(start(rt))
    await rt.run_until_signal()
    note("the end")

async def start(rt):
    while not rt.is_launched:
        await asyncio.sleep(0.01)
    await rt.run(job.options(id="one"))
asyncio.run(main())
""",
    "in a block": """
async def main():
    async with runtime() as rt:
        await rt.run(job.options(id="one"))
        await rt.run_until_signal()
        assert rt.is_draining
    note("the end")
asyncio.run(main())
""",
    "without handle_signals": """
async def main():
    async with runtime(handle_signals=False) as rt:
        await rt.run(job.options(id="one"))
        await rt.run_until_signal()
    note("the end")
asyncio.run(main())
""",
    "sync by itself": """
rt = sync_runtime()
def start():
    while not rt.is_launched:
        time.sleep(0.01)
    rt.run(job_sync.options(id="one"))
threading.Thread(target=start).start()
rt.run_until_signal()
note("the end")
""",
    "sync in a block": """
with sync_runtime() as rt:
    rt.run(job.options(id="one"))
    rt.run_until_signal()
note("the end")
""",
}


@pytest.mark.crash
@pytest.mark.timeout(150)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("way", UNTIL_SIGNAL)
async def test_run_until_signal_drains_and_returns(start, sqlite_url, way, number) -> None:
    process = start(READY + UNTIL_SIGNAL[way], sqlite_url, "-")
    await process.until("begun")
    await process.until("ready")

    process.send(number)
    await asyncio.sleep(0.1)
    process.send(number)  # more of them change nothing
    process.open_client()

    assert 0 == await process.code(), process.printed
    assert ["begun", "done", "the end"] == [note for note in process.notes if note != "ready"]
    assert (WorkflowStatus.SUCCESS, 1, None) == await state(sqlite_url)


async def test_run_until_signal_returns_when_the_runtime_is_shut_down_by_other_means(launch) -> None:
    rt = await launch()
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    until = asyncio.create_task(rt.run_until_signal())
    await asyncio.sleep(0.1)
    await rt.shutdown()
    await until
    assert signal.SIG_DFL == signal.getsignal(signal.SIGTERM)
    assert before[1] == signal.getsignal(signal.SIGINT)


def test_run_until_signal_is_for_the_main_thread(sqlite_url) -> None:
    said: list[BaseException] = []

    def elsewhere() -> None:
        for way in (
            turbine.sync.Runtime(sqlite_url).run_until_signal,
            lambda: asyncio.run(turbine.Runtime(sqlite_url).run_until_signal()),
        ):
            try:
                way()
            except RuntimeError as error:
                said.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert 2 == len([error for error in said if "main thread" in str(error)])


async def test_a_launch_outside_of_the_main_thread_leaves_signals_alone(sqlite_url) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def elsewhere() -> None:
        with turbine.sync.Runtime(sqlite_url):
            seen.append(signal.getsignal(signal.SIGTERM))

    seen: list[Any] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    while thread.is_alive():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert [before] == seen
