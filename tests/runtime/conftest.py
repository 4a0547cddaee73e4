"""Runtimes for the tests of promises: launched on the test's own database, ended with the test."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from turbine import Handle, Runtime

# What several tests share stands beside them.
sys.path.insert(0, str(Path(__file__).parent))

from receiver import Receiver

# Loads a test file under the name it has here, so that types recorded there are found here, and calls one of its
# coroutine functions.
_PROGRAM = """
import asyncio, importlib.util, sys
name, path, function, *arguments = sys.argv[1:]
spec = importlib.util.spec_from_file_location(name, path)
module = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
asyncio.run(getattr(module, function)(*arguments))
"""


@pytest.fixture
def sqlite_url(sqlite_url: str, migrated_file: Path) -> str:
    """The tables are there already: how they come to be is tested with the store."""
    shutil.copyfile(migrated_file, sqlite_url.removeprefix("sqlite:///"))
    return sqlite_url


class Launch(Protocol):
    async def __call__(self, *workflows: Any, **settings: Any) -> Runtime: ...


@pytest.fixture
async def launch(database_url: str) -> AsyncIterator[Launch]:
    """Launches a runtime with these workflows. Shutting it down interrupts what runs, unless told otherwise."""
    async with AsyncExitStack() as stack:

        async def launch(*workflows: Any, **settings: Any) -> Runtime:
            runtime = Runtime(database_url, workflows=workflows, **{"shutdown_timeout": 0, **settings})
            await runtime.launch()
            stack.push_async_callback(runtime.shutdown)
            return runtime

        yield launch


class Replay(Protocol):
    async def __call__(self, rt: Runtime, handle: Handle[Any]) -> None: ...


@pytest.fixture
def replay() -> Replay:
    """Takes a run that waits for `again` out of memory, lets it go over its records anew, and sends `again`."""

    async def replay(rt: Runtime, handle: Handle[Any]) -> None:
        while not (waits := await open_waits(handle)):  # noqa: ASYNC110 - rows and counters are the only witnesses
            await asyncio.sleep(0.002)
        await rt.shutdown()
        await rt.launch()
        await rt.send(handle.workflow_id, None, "again")
        while waits <= await open_waits(handle):  # noqa: ASYNC110 - rows and counters are the only witnesses
            await asyncio.sleep(0.002)

    async def open_waits(handle: Handle[Any]) -> set[str]:
        steps = await handle.steps()
        return {step.position for step in steps if step.function_name == "turbine.recv" and step.ended_at is None}

    return replay


@pytest.fixture
def in_another_process(database_url: str) -> Callable[..., int]:
    """Calls a coroutine function of the test's file in a process of its own, with the database; its exit code."""

    def call(function: Callable[..., Any], *arguments: str) -> int:
        command = [sys.executable, "-c", _PROGRAM, function.__module__, inspect.getfile(function), function.__name__]
        return subprocess.run([*command, database_url, *arguments], check=False, timeout=120).returncode

    return call


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """An HTTP server that keeps what it is sent."""
    receiver = Receiver()
    await receiver.open()
    yield receiver
    await receiver.close()
