"""`turbine demo`: an inventory that is killed and goes on, and then a dashboard to look around in."""

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
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from turbine.cli.tty import FAILED, MISUSED, leave

if TYPE_CHECKING:
    from turbine.demo.showcase import Showcase


def demo(
    folder: Annotated[
        Path | None,
        # A folder that cannot be read is refused in words of our own.
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
    from turbine.demo.crash_demo import CrashDemo
    from turbine.demo.report import print_access, print_files, print_report, report_document
    from turbine.demo.worker import WorkerFailed

    if folder is not None:
        _refuse_unreadable(folder)
    # With --json stdout belongs to the report; the progress bar goes to stderr and shows on a terminal only.
    console = Console(stderr=as_json, highlight=False)
    with ExitStack() as cleanup:
        listener = None if no_serve else cleanup.enter_context(_listen(port))
        workspace = _temporary_folder()
        if not keep:
            cleanup.callback(shutil.rmtree, workspace)
        cleanup.enter_context(_log_to(workspace / "demo.log"))
        crash_demo = CrashDemo(folder, workspace, console, is_silent=as_json)
        try:
            report = asyncio.run(crash_demo.perform())
        except WorkerFailed as error:
            leave("demo", str(error), FAILED)
        if not as_json:
            print_report(report, console)
        showcase = None if listener is None else _filled_showcase(crash_demo.database, listener)
        kept = workspace if keep else None
        if as_json:
            typer.echo(json.dumps(report_document(report, kept, showcase), indent=2))
        else:
            if showcase is not None:
                print_access(showcase, console)
            print_files(kept, console)
        if showcase is not None and not showcase.serve():
            leave("demo", "the server did not start", FAILED)


def _temporary_folder() -> Path:
    """A new folder; ends with exit code 2 where none can be made."""
    try:
        return Path(tempfile.mkdtemp(prefix="turbine-demo-")).resolve()
    except OSError as error:
        leave("demo", f"there is no temporary folder ({error}); set TMPDIR to one that can be written", MISUSED)


def _listen(port: int | None) -> socket.socket:
    """The dashboard's socket, opened before the work begins; ends with exit code 2 if the port is taken."""
    from turbine.demo.showcase import listen

    try:
        return listen(port)
    except OSError as error:
        leave("demo", f"port {port} is not available: {error.strerror}; choose another, or leave --port out", MISUSED)


def _filled_showcase(database: str, listener: socket.socket) -> Showcase:
    from turbine.demo.showcase import Showcase

    showcase = Showcase(database, listener)
    asyncio.run(showcase.fill())
    return showcase


def _refuse_unreadable(folder: Path) -> None:
    """End with exit code 2 unless the folder can be read."""
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
    """Keep the log of the watching runtime off the screen: that an executor died is expected here."""
    log = logging.getLogger("turbine")
    handler = logging.FileHandler(file, encoding="utf-8")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
