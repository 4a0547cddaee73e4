"""A rehearsed crash: an inventory is killed in the middle and started again, and repeated work is counted.

Everything is counted from outside: recorded steps through a second runtime on the same database, begun bodies from the
journal that the worker writes. Nothing here may reach into the worker to improve the figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import sysconfig
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from turbine.config import Config
from turbine.demo.worker import Worker
from turbine.model.workflows import Status
from turbine.platform import KILL
from turbine.runtime import Runtime

INVENTORY, BATCH, HASH = "take_inventory", "hash_batch", "hash_file"
"""The names of the example's workflows and of the step that hashes a file."""
POLL_SECONDS = 0.05
SMALL = 1000
"""A folder with fewer files would be done before it can be killed, so every file is slowed down."""
BATCH_FILES = 100
"""How many files the example hashes in one batch."""
BATCH_SECONDS = 2.0
PACE_MAX_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashDemoReport:
    """The counts: steps from the database, bodies of steps from the worker's journal."""

    folder: str
    files: int
    bytes: int
    unreadable: int
    killed: bool
    """False when the worker was done before it could be killed, as with an empty folder."""
    steps_before_kill: int
    """Hashes that were recorded when the worker was killed."""
    in_flight: int
    """Hashes that had begun by then and were not recorded yet."""
    steps: int
    """Hashes that are recorded in the end."""
    bodies: int
    """How often hashing a file began, in both processes together."""
    steps_run_again: int
    """Files whose hashing began more than once."""
    back_after_seconds: float | None
    """From the second start to the first new step, the start of Python included."""
    pace_seconds: float
    """The time that every file took at least."""
    seconds: float


@dataclass(frozen=True, slots=True)
class InventoryProgress:
    """How many files the inventory has to hash, and how many hashes are recorded."""

    files: int | None = None
    recorded: int = 0

    @property
    def is_halfway(self) -> bool:
        return bool(self.files) and self.recorded >= self.files // 2


class ShowProgress(Protocol):
    """Updates the progress bar."""

    def __call__(self, progress: InventoryProgress) -> object: ...


class CrashDemo:
    """One performance, in a folder of its own for the database, the CSV, the JSON and the worker's log."""

    def __init__(self, folder: Path | None, workspace: Path, console: Console, *, is_silent: bool) -> None:
        self.folder = (folder or Path(sysconfig.get_path("stdlib"))).resolve()
        self.pace = _pace(self.folder)
        self.workspace = workspace
        self.journal = workspace / "journal.txt"
        self.database = f"sqlite:///{workspace / 'inventory.db'}"
        self._console = console
        self._is_silent = is_silent
        # Without a folder the example takes the standard library and leaves out packages that are installed in it.
        self._arguments = [] if folder is None else ["--", str(self.folder)]

    async def perform(self) -> CrashDemoReport:
        """Run the worker twice and count. Raises WorkerFailed when it fails by itself."""
        began = time.monotonic()
        # Not the configuration of the environment: that is meant for the user's programs.
        async with Runtime(self.database, config=Config()) as rt:
            killed = await self._first_process(rt)
            before, begun = await self._recorded(rt), len(self._begun())
            back_after = None
            if killed:
                self._say(f"Killed with {KILL}: {before:,} steps recorded, {begun - before:,} in flight")
                back_after = await self._second_process(rt, before)
            run = await self._inventory(rt)
            assert run is not None
            summary: dict[str, Any] = await rt.retrieve(run.workflow_id).result()
            bodies = self._begun()
            return CrashDemoReport(
                folder=str(self.folder),
                files=summary["files"],
                bytes=summary["bytes"],
                unreadable=len(summary["unreadable"]),
                killed=killed,
                steps_before_kill=before,
                in_flight=begun - before,
                steps=await self._recorded(rt),
                bodies=len(bodies),
                steps_run_again=len(bodies) - len(set(bodies)),
                back_after_seconds=back_after,
                pace_seconds=self.pace,
                seconds=time.monotonic() - began,
            )

    async def _first_process(self, rt: Runtime) -> bool:
        """Kill the worker when half of the hashes are recorded; False if it was done before that."""
        with self._worker() as worker, self._bar() as show:
            self._say(f"Process {worker.pid} takes stock of {self.folder}")
            while worker.is_running():
                progress = await self._progress(rt)
                show(progress)
                if progress.is_halfway:
                    worker.kill()
                    run = await self._inventory(rt)
                    return run is not None and not run.status.is_terminal
                await asyncio.sleep(POLL_SECONDS)
        return False

    async def _second_process(self, rt: Runtime, before: int) -> float | None:
        """Watch the worker to its end; the seconds to its first new step, None if no step was left."""
        back_after = None
        started = time.monotonic()
        with self._worker() as worker, self._bar() as show:
            self._say(f"Process {worker.pid} goes on; it was started with the same command")
            while worker.is_running():
                progress = await self._progress(rt)
                show(progress)
                if back_after is None and progress.recorded > before:
                    back_after = time.monotonic() - started
                await asyncio.sleep(POLL_SECONDS)
        return back_after

    async def _progress(self, rt: Runtime) -> InventoryProgress:
        """A quick count: finished batches as the inventory reports them, and the steps of open ones."""
        run = await self._inventory(rt)
        published = None if run is None else (await rt.values(run.workflow_id)).get("progress")
        if run is None or published is None:
            return InventoryProgress()
        open_batches = await rt.list(parent_id=run.workflow_id, name=BATCH, status="PENDING")
        counts = [await self._hashes(rt, batch) for batch in open_batches.items]
        return InventoryProgress(published["files"], published["hashed"] + sum(counts))

    async def _recorded(self, rt: Runtime) -> int:
        """The exact count: every step of every batch."""
        count, cursor = 0, None
        while True:
            page = await rt.list(name=BATCH, cursor=cursor)
            for batch in page.items:
                count += await self._hashes(rt, batch)
            cursor = page.next_cursor
            if cursor is None:
                return count

    async def _hashes(self, rt: Runtime, batch: Status) -> int:
        steps = await rt.steps(batch.workflow_id)
        return sum(step.function_name == HASH and step.ended_at is not None for step in steps)

    async def _inventory(self, rt: Runtime) -> Status | None:
        runs = (await rt.list(name=INVENTORY, limit=1)).items
        return runs[0] if runs else None

    def _begun(self) -> list[str]:
        """The files whose hashing began, once for each time."""
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text(encoding="utf-8").splitlines()]

    def _worker(self) -> Worker:
        options = ["--out", str(self.workspace), "--database", self.database]
        options += ["--journal", str(self.journal), "--pace", str(self.pace)]
        return Worker([*options, *self._arguments], self.workspace / "worker.log")

    def _say(self, line: str) -> None:
        if not self._is_silent:
            self._console.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def _bar(self) -> Generator[ShowProgress]:
        columns = (TextColumn("hashing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        is_shown = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not is_shown) as bar:
            task = bar.add_task("", total=None)
            yield partial(_update, bar, task)


def _update(bar: Progress, task: Any, progress: InventoryProgress) -> None:
    bar.update(task, total=progress.files, completed=progress.recorded)


def _pace(folder: Path) -> float:
    """Seconds that every file takes, so that the worker can be killed in the middle of a small folder."""
    count = 0
    for _, _, names in os.walk(folder):
        count += len(names)
        if count >= SMALL:
            return 0.0
    return min(PACE_MAX_SECONDS, BATCH_SECONDS / min(BATCH_FILES, max(1, count)))
