"""`turbine demo`: takes stock of a real folder, kills the process in the middle, and shows that nothing was lost.

The process is examples/inventory.py as any user would start it. This module only watches it through a second runtime,
kills it, starts it again and counts: it may not reach into the worker to make the figures come out right.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from turbine.cli.terminal import FAILED, MISUSED, leave
from turbine.cli.worker import Worker, WorkerFailed
from turbine.config import Config
from turbine.model.workflows import Status, WorkflowStatus
from turbine.runtime import Runtime

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
LOOK_SECONDS = 0.05
SMALL = 1000
"""A folder with fewer files is hashed in less time than it takes to look and kill, so it is slowed down."""
SMALL_SECONDS = 3.0
PACE_MAX_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What happened, as counted: steps in the database, and bodies of steps in the journal that the worker writes."""

    folder: str
    files: int
    bytes: int
    unreadable: int
    killed: bool
    """False when the worker was done before it could be killed, as it may be on a handful of files."""
    steps_before_kill: int
    """Hashes that were recorded when the worker died."""
    in_flight_at_kill: int
    """Hashes that were begun and not recorded when it died."""
    steps: int
    """Hashes that are recorded now."""
    bodies: int
    """How often hashing began, in both lives of the worker."""
    steps_run_again: int
    """Files whose hashing began more than once."""
    back_after_seconds: float | None
    """From the second start to the first new step, the start of Python included."""
    slowed_to_seconds: float
    """What every file took at least, 0 for full speed."""
    seconds: float
    kept: bool
    database: str | None
    csv: str | None
    json: str | None


def demo(
    folder: Annotated[
        Path | None, typer.Argument(help="What to take stock of; by default the standard library of this Python.")
    ] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the report.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database, the CSV and the JSON.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Watch an inventory of a folder survive kill -9, and see what was done twice."""
    if folder is not None:
        refuse_unreadable(folder)
    console = Console(stderr=as_json, highlight=False, quiet=as_json and not Console(stderr=True).is_terminal)
    place = Path(tempfile.mkdtemp(prefix="turbine-demo-")).resolve()
    try:
        report = asyncio.run(_Story(folder, place, console, keep=keep).tell())
    except WorkerFailed as error:
        leave("demo", str(error), FAILED)
    finally:
        if not keep:
            shutil.rmtree(place)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
    else:
        show(report, console)


def refuse_unreadable(folder: Path) -> None:
    """End with exit code 2 unless the folder can be looked into."""
    try:
        with os.scandir(folder):
            pass
        if not os.access(folder, os.X_OK):
            raise PermissionError
    except FileNotFoundError:
        leave("demo", f"there is no folder {folder}", MISUSED)
    except NotADirectoryError:
        leave("demo", f"{folder} is a file; give the folder that it is in", MISUSED)
    except PermissionError:
        leave("demo", f"{folder} cannot be read: you have no permission to look into it", MISUSED)
    except OSError as error:
        leave("demo", f"{folder} cannot be read: {error.strerror}", MISUSED)


class _Story:
    """One demonstration, from the first start of the worker to the report."""

    def __init__(self, folder: Path | None, place: Path, console: Console, *, keep: bool) -> None:
        self.folder = (folder or STANDARD_LIBRARY).resolve()
        self.place = place
        self.console = console
        self.keep = keep
        self.database = f"sqlite:///{place / 'inventory.db'}"
        self.journal = place / "journal.txt"
        self.pace = _pace(self.folder)
        # Without a folder the example takes the standard library and passes over installed packages.
        self.arguments = [] if folder is None else [str(self.folder)]
        self.arguments += ["--out", str(place), "--database", self.database]
        self.arguments += ["--journal", str(self.journal), "--pace", str(self.pace)]

    async def tell(self) -> Report:
        started = time.monotonic()
        # A configuration of its own: settings in the environment are meant for the user's programs.
        async with Runtime(self.database, config=Config()) as rt:
            with self._worker() as worker, self._bar("hashing") as bar:
                self._say(f"Process {worker.pid} takes stock of {self.folder}")
                is_done = await self._watch(rt, worker, bar, until_half=True)
                if not is_done:
                    worker.kill()
            before = await self._recorded(rt)
            begun = len(self._begun())
            back_after: float | None = None
            if not is_done:
                self._say(f"Killed with SIGKILL after {before:,} recorded steps, {begun - before:,} more in flight")
                back_after = await self._go_on(rt, before)
            return await self._count(rt, started, before, begun, back_after, killed=not is_done)

    async def _go_on(self, rt: Runtime, before: int) -> float | None:
        """Start the worker again and watch it to its end; returns the seconds to its first new step."""
        restarted = time.monotonic()
        with self._worker() as worker, self._bar("going on") as bar:
            self._say(f"Process {worker.pid} goes on, started with the same command")
            ...
