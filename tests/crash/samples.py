"""The workflows that the crash tests kill: every durable word, and steps that mark the journal before they act."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from journal import Journal

import turbine
import turbine.sync

journal: Journal
folder: Path
"""Where the tests leave files for steps to find."""


def open_journal(path: str) -> None:
    global journal, folder
    journal = Journal(path)
    folder = Path(path).parent


@contextmanager
def marks(stage: int) -> Iterator[Any]:
    here = turbine.current()
    with journal.body(here.workflow_id, str(here.step_id), here.attempt, stage):
        yield here


# Steps


@turbine.step
async def act(stage: int, label: str, seconds: float = 0.02) -> str:
    with marks(stage) as here:
        await asyncio.sleep(seconds)
        return f"{here.workflow_id} {label}"


@turbine.step(retries=3, base_interval=0.02)
async def falter(stage: int, failures: int) -> int:
    with marks(stage) as here:
        await asyncio.sleep(0.01)
        if here.attempt <= failures:
            raise ConnectionError(f"attempt {here.attempt} of {here.workflow_id}")
        return here.attempt


@turbine.sync.step
def act_blocking(stage: int, label: str, seconds: float = 0.02) -> str:
    with marks(stage) as here:
        time.sleep(seconds)
        return f"{here.workflow_id} {label}"


@turbine.sync.step(retries=3, base_interval=0.02)
def falter_blocking(stage: int, failures: int) -> int:
    with marks(stage) as here:
        time.sleep(0.01)
        if here.attempt <= failures:
            raise ConnectionError(f"attempt {here.attempt} of {here.workflow_id}")
        return here.attempt


@turbine.step
async def pass_the_gate(stage: int) -> int:
    """Wait until the test opens the gate of this process; the answer tells which process came through."""
    with marks(stage):
        while not (folder / f"gate-{os.getpid()}").exists():  # noqa: ASYNC110 - a file sets no event
            await asyncio.sleep(0.01)
        return os.getpid()


@turbine.sync.step
def pass_the_gate_blocking(stage: int) -> int:
    with marks(stage):
        while not (folder / f"gate-{os.getpid()}").exists():
            time.sleep(0.01)
        return os.getpid()


@turbine.step
async def block_the_loop(stage: int, seconds: float) -> int:
    with marks(stage):
        time.sleep(seconds)  # noqa: ASYNC251 - a careless user is what this step plays
        return os.getpid()


@turbine.step
async def kill_own_process(stage: int) -> None:
    with marks(stage):
        os.kill(os.getpid(), signal.SIGKILL)


# Workflows with the same end in every life


@turbine.workflow(max_recoveries=1000)
async def background() -> list[Any]:
    """Steps, retries that help, and retries that do not."""
    first = await act(0, "first")
    tries = await falter(1, failures=2)
    await turbine.sleep(0.02)
    try:
        await falter.options(retries=1)(2, failures=9)
    except turbine.MaxStepRetriesExceeded as error:
        causes = [str(cause) for cause in error.causes]
    else:
        causes = []
    return [first, tries, causes, await act(3, "last")]


@turbine.workflow(max_recoveries=1000)
async def nap() -> list[str]:
    """Sleeps, one of them long enough to leave memory."""
    seen = [await act(0, "before")]
    await turbine.sleep(0.3)
    seen.append(await act(1, "after"))
    await turbine.sleep(0.01)
    return [*seen, await act(2, "at last")]


@turbine.workflow(max_recoveries=1000)
async def write_letters(reader_id: str) -> list[Any]:
    """Messages to a run and back, its result, and a value it left."""
    reader = await turbine.run(read_letters.options(id=reader_id), turbine.current().workflow_id)
    for number in range(3):
        await turbine.send(reader.workflow_id, {"number": number}, topic="letters")
        await act(number, f"letter {number}")
    answers = [await turbine.recv("answers", type=str) for _ in range(3)]
    read = await reader.result()
    return [answers, read, await turbine.get_value(reader_id, "read", type=int)]


@turbine.workflow(max_recoveries=1000)
async def read_letters(writer_id: str) -> list[str]:
    texts: list[str] = []
    for stage in range(3):
        letter = await turbine.recv("letters", type=dict[str, int])
        texts.append(await act(stage, f"read {letter['number']}"))
        await turbine.set_value("read", letter["number"])
        await turbine.send(writer_id, f"thanks for {letter['number']}", topic="answers")
    nothing = await turbine.recv("nothing", timeout=0.01, default="nothing")
    return [*texts, nothing]


@turbine.workflow(max_recoveries=1000)
async def lineage() -> list[Any]:
    """Children that are called, children that are started, branches, tasks, steps side by side."""
    called = await child(1)
    started = await turbine.run(child, 2)
    side_by_side = await asyncio.gather(act(0, "left", seconds=0.03), act(0, "right"))
    branches = await turbine.gather(branch(1), branch(2))
    tasks = [turbine.do_async(act, 9, f"task {number}") for number in range(3)]
    done = [await task for task in tasks]
    return [called, await started.result(), side_by_side, branches, done]


async def branch(number: int) -> list[str]:
    # Which of two branches comes first is open, so their steps share a stage.
    first = await act(1, f"branch {number} first")
    await turbine.sleep(0.01 * number)
    return [first, await act(1, f"branch {number} second")]


@turbine.workflow(max_recoveries=1000)
async def child(number: int) -> list[str]:
    first = await act(0, f"child {number}")
    await turbine.sleep(0.02)
    return [first, await act(1, f"grown {number}")]


@turbine.workflow(max_recoveries=1000)
async def doomed() -> None:
    await act(0, "in vain")
    raise ValueError("as always")


@turbine.workflow(max_recoveries=1000)
async def draw() -> list[str]:
    """What is drawn by lot is drawn once."""
    lots = [str(await turbine.uuid4()), str(await turbine.random()), (await turbine.now()).isoformat()]
    echoes: list[str] = []
    for stage, lot in enumerate(lots):
        echo = await act(stage, lot)
        echoes.append(echo.partition(" ")[2])
        await turbine.sleep(0.005)
    return [*lots, *echoes]


@turbine.sync.workflow(max_recoveries=1000)
def blocking_background() -> list[Any]:
    """The same words in a thread."""
    first = act_blocking(0, "first")
    tries = falter_blocking(1, failures=2)
    turbine.sync.sleep(0.3)
    turbine.sync.set_value("half", first)
    nothing = turbine.sync.recv("nothing", timeout=0.02, default=None)
    called = blocking_child(1)
    started = turbine.sync.run(blocking_child, 2)
    task = turbine.sync.do_async(act_blocking, 2, "task")
    return [first, tries, nothing, called, started.result(), task.result(), act_blocking(3, "last")]


@turbine.sync.workflow(max_recoveries=1000)
def blocking_child(number: int) -> str:
    turbine.sync.sleep(0.02)
    return act_blocking(0, f"child {number}")


# Workflows for one test each


@turbine.workflow(max_recoveries=1000)
async def gated() -> int:
    await act(0, "before the gate")
    process = await pass_the_gate(1)
    await act(2, "behind the gate")
    return process


@turbine.sync.workflow(max_recoveries=1000)
def gated_blocking() -> int:
    act_blocking(0, "before the gate")
    process = pass_the_gate_blocking(1)
    act_blocking(2, "behind the gate")
    return process


@turbine.workflow
async def blocks(seconds: float) -> int:
    return await block_the_loop(0, seconds)


@turbine.workflow(max_recoveries=2)
async def suicide() -> None:
    await act(0, "farewell")
    await kill_own_process(1)


@turbine.workflow(max_recoveries=1000)
async def lookup(number: int) -> int:
    """Small and quick, for thousands of them."""
    await act(0, "ask", seconds=0)
    if number % 4 == 0:
        await turbine.sleep(0.02 if number % 8 else 0.2)
    await act(1, "look", seconds=0.001 * (number % 3))
    return number * number
