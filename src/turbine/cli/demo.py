"""`turbine demo`: the rehearsal of a death, started and shown, and then a dashboard to look around in."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from turbine.cli.crash_demo import CrashDemo, Report
from turbine.cli.tty import FAILED, MISUSED, leave
from turbine.cli.worker import WorkerFailed

if TYPE_CHECKING:
    from turbine.cli.showcase import Showcase

LOOK_AT = """\
It shows the inventory from above and a shop: deployments that wait for your approval, declined cards,
60 e-mails a minute, invoices to download, an order every minute."""
FILES = {"csv": "inventory.csv", "json": "inventory.json", "database": "inventory.db"}


def demo(
    folder: Annotated[
        Path | None,
        # Whether it is fit is told in our own words.
        typer.Argument(readable=False, help="What to take stock of; by default the standard library of this Python."),
    ] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the report, without a dashboard.")] = False,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where the dashboard listens; by default a free port near 8090."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database, the CSV and the JSON.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print report and address as one JSON object.")] = False,
) -> None:
    """Kill -9 an inventory of a folder in the middle, start it again, and see what was done twice.

    Then a dashboard with the runs of a small shop is served to this machine, until Ctrl-C.
    """
    if folder is not None:
        _refuse_unreadable(folder)
    # With --json stdout belongs to the report; the progress bar goes to stderr and shows on a terminal only.
    console = Console(stderr=as_json, highlight=False)
    with ExitStack() as end:
        listener = None if no_serve else end.enter_context(_listen(port))
        place = _temporary_folder()
        if not keep:
            end.callback(shutil.rmtree, place)
        end.enter_context(_log_to(place / "demo.log"))
        rehearsal = CrashDemo(folder, place, console, is_silent=as_json)
        try:
            report = asyncio.run(rehearsal.perform())
        except WorkerFailed as error:
            leave("demo", str(error), FAILED)
        if not as_json:
            _show(report, console)
        showcase = None if listener is None else _filled_showcase(rehearsal.database, listener)
        if as_json:
            typer.echo(json.dumps(_facts(report, place if keep else None, showcase), indent=2))
        else:
            if showcase is not None:
                _invite(showcase, console)
            _tell_files(place if keep else None, console)
        if showcase is not None and not showcase.serve():
            leave("demo", "the server did not start", FAILED)


def _temporary_folder() -> Path:
    """A new folder; end with exit code 2 if this machine has no place for it."""
    try:
        return Path(tempfile.mkdtemp(prefix="turbine-demo-")).resolve()
    except OSError as error:
        leave("demo", f"there is no temporary folder ({error}); set TMPDIR to one that can be written", MISUSED)


def _listen(port: int | None) -> socket.socket:
    """The dashboard's door, open before the work begins; end with exit code 2 if it is taken."""
    from turbine.cli.showcase import open_client

    try:
        return open_client(port)
    except OSError as error:
        leave("demo", f"port {port} is not to be had: {error.strerror}; choose another, or leave --port out", MISUSED)


def _filled_showcase(database: str, listener: socket.socket) -> Showcase:
    from turbine.cli.showcase import Showcase

    showcase = Showcase(database, listener)
    asyncio.run(showcase.fill())
    return showcase


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
    handler = logging.FileHandler(file, encoding="utf-8")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _facts(report: Report, place: Path | None, showcase: Showcase | None) -> dict[str, object]:
    kept = {name: None if place is None else str(place / file) for name, file in FILES.items()}
    client = {name: showcase and getattr(showcase, name) for name in ("address", "email", "password")}
    return {**asdict(report), "kept": place is not None, **kept, **client}


def _show(report: Report, console: Console) -> None:
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


def _invite(showcase: Showcase, console: Console) -> None:
    """Say where the dashboard is, and who may look."""
    if not showcase.is_built:
        console.print(
            "The dashboard is not built; its API answers. To build it: cd ui && npm ci && npm run build", soft_wrap=True
        )
    for name, value in (("Dashboard", showcase.address), ("E-mail", showcase.email), ("Password", showcase.password)):
        console.print(f"{name:<10}{value}", markup=False, soft_wrap=True)
    console.print()
    console.print(LOOK_AT, soft_wrap=True)
    console.print("Ctrl-C ends it. ", end="")


def _tell_files(place: Path | None, console: Console) -> None:
    if place is None:
        console.print("The CSV, the JSON and the database are removed in the end; --keep leaves them.", soft_wrap=True)
        return
    console.print("These files stay:")
    for name, file in FILES.items():
        console.print(f"{name:<10}{place / file}", markup=False, soft_wrap=True)
