"""The report of the demo, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from turbine.demo.crash_demo import CrashDemoReport

if TYPE_CHECKING:
    from turbine.demo.showcase import Showcase

LOOK_AT = """\
It shows the inventory from above and a shop: deployments that wait for your approval, declined cards,
60 e-mails a minute, invoices to download, an order every minute."""
FILES = {"csv": "inventory.csv", "json": "inventory.json", "database": "inventory.db"}


def report_document(report: CrashDemoReport, kept: Path | None, showcase: Showcase | None) -> dict[str, object]:
    """The report as one JSON object; `kept` is the folder whose files stay."""
    files = {name: None if kept is None else str(kept / file) for name, file in FILES.items()}
    access = {name: showcase and getattr(showcase, name) for name in ("address", "email", "password")}
    return {**asdict(report), "kept": kept is not None, **files, **access}


def print_report(report: CrashDemoReport, console: Console) -> None:
    """Print the figures."""
    table = Table.grid(padding=(0, 2))
    unreadable = f"; {report.unreadable:,} more could not be read" if report.unreadable else ""
    table.add_row("Files", f"{report.files:,}, {decimal(report.bytes)}{unreadable}")
    if report.killed:
        table.add_row("Steps recorded", f"{report.steps_before_kill:,} before the kill, {report.steps:,} in the end")
        table.add_row("In flight", f"{report.in_flight:,} when it was killed")
        table.add_row("Run again", f"{report.steps_run_again:,}; every other outcome came from the database")
    else:
        table.add_row("Steps recorded", f"{report.steps:,}; too few to kill it in the middle")
    table.add_row("Bodies begun", f"{report.bodies:,} times")
    if report.back_after_seconds is not None:
        table.add_row("Back at work", f"{report.back_after_seconds:.2f} s after the second start")
    pace = f", slowed down to {report.pace_seconds * 1000:.0f} ms a file" if report.pace_seconds else ""
    table.add_row("Time", f"{report.seconds:.1f} s{pace}")
    console.print()
    console.print(table)
    console.print()


def print_access(showcase: Showcase, console: Console) -> None:
    """Print the address of the dashboard and the account to sign in with."""
    if not showcase.is_built:
        console.print(
            "The dashboard is not built; its API answers. To build it: cd ui && npm ci && npm run build", soft_wrap=True
        )
    for name, value in (("Dashboard", showcase.address), ("E-mail", showcase.email), ("Password", showcase.password)):
        console.print(f"{name:<10}{value}", markup=False, soft_wrap=True)
    console.print()
    console.print(LOOK_AT, soft_wrap=True)
    console.print("Ctrl-C ends it. ", end="")


def print_files(kept: Path | None, console: Console) -> None:
    """Print which files stay."""
    if kept is None:
        console.print("The CSV, the JSON and the database are removed in the end; --keep leaves them.", soft_wrap=True)
        return
    console.print("These files stay:")
    for name, file in FILES.items():
        console.print(f"{name:<10}{kept / file}", markup=False, soft_wrap=True)
