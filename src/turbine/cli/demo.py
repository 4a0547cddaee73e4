"""`turbine demo`: the rehearsal of a death, started and shown."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from turbine.cli.rehearsal import Rehearsal, Report
from turbine.cli.terminal import FAILED, MISUSED, leave
from turbine.cli.worker import WorkerFailed

FILES = {"csv": "inventory.csv", "json": "inventory.json", "database": "inventory.db"}


def demo(
    folder: Annotated[
        Path | None,
        # Whether it is fit is told in our own words.
        typer.Argument(readable=False, help="What to take stock of; by default the standard library of this Python."),
    ] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the report.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database, the CSV and the JSON.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Kill -9 an inventory of a folder in the middle, start it again, and see what was done twice."""
    if folder is not None:
        _refuse_unreadable(folder)
    # With --json stdout belongs to the report; the progress bar goes to stderr and shows on a terminal only.
    console = Console(stderr=as_json, highlight=False)
    place = Path(tempfile.mkdtemp(prefix="turbine-demo-")).resolve()
    try:
        with _log_to(place / "demo.log"):
            report = asyncio.run(Rehearsal(folder, place, console, is_silent=as_json).perform())
    except WorkerFailed as error:
        leave("demo", str(error), FAILED)
    finally:
        if not keep:
            shutil.rmtree(place)
    if as_json:
        typer.echo(json.dumps(_facts(report, place if keep else None), indent=2))
    else:
        _show(report, place if keep else None, console)


def _refuse_unreadable(folder: Path) -> None:
    """End with exit code 2 unless the folder can be looked into."""
    try:
        with os.scandir(folder):
            is_open = os.access(folder, os.X_OK)
    except FileNotFoundError:
        leave("demo", f"there is no folder {folder}", MISUSED)
    except NotADirectoryError:
        leave("demo", f"{folder} is a file; name the folder that it is in", MISUSED)
    except OSError as error:
        leave("demo", f"{folder} cannot be read: {error.strerror}", MISUSED)
    if not is_open:
        leave("demo", f"{folder} cannot be read: its files may be listed, but not opened", MISUSED)


@contextmanager
def _log_to(file: Path) -> Generator[None]:
    """Keep from the screen what the watching runtime logs: that an executor died is no news here."""
    log = logging.getLogger("turbine")
    handler = logging.FileHandler(file)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _facts(report: Report, place: Path | None) -> dict[str, object]:
    kept = {name: None if place is None else str(place / file) for name, file in FILES.items()}
    return {**asdict(report), "kept": place is not None, **kept}


def _show(report: Report, place: Path | None, console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    unreadable = f"; {report.unreadable:,} more could not be read" if report.unreadable else ""
    table.add_row("Files", f"{report.files:,}, {decimal(report.bytes)}{unreadable}")
    if report.killed:
        table.add_row("Steps recorded", f"{report.steps_before_kill:,} before the kill, {report.steps:,} in the end")
        table.add_row("In flight", f"{report.in_flight:,} when it was killed")
        table.add_row("Run again", f"{report.steps_run_again:,}; every other outcome came from the database")
    else:
        table.add_row("Steps recorded", f"{report.steps:,}; there was no middle in which to kill it")
    table.add_row("Bodies begun", f"{report.bodies:,} times")
    if report.back_after_seconds is not None:
        table.add_row("Back at work", f"{report.back_after_seconds:.2f} s after the second start")
    pace = f", slowed down to {report.pace_seconds * 1000:.0f} ms a file" if report.pace_seconds else ""
    table.add_row("Time", f"{report.seconds:.1f} s{pace}")
    console.print()
    console.print(table)
    console.print()
    if place is None:
        console.print("The CSV, the JSON and the database are removed again; --keep leaves them.")
        return
    for name, file in FILES.items():
        console.print(f"{name:<10}{place / file}", markup=False, soft_wrap=True)
