"""The one table, for the terminal and for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.case import Row, Side

if TYPE_CHECKING:
    from bench.harness import Measured

HEAD = ("case", "work", "floor", "peer", "turbine", "turbine/floor", "turbine/peer", "target", "met?", "n")
BEGIN, END = "<!-- begin figures -->", "<!-- end figures -->"
INTRODUCTION = """# Benchmarks

`bench/run` measures these figures and writes this page; `bench/run --quick` prints the same table in less than three
minutes. *Floor* is the bare driver with the same settings, one commit a row, fsync on. *Peer* is dbos doing the same
work with its defaults. The sides run in turns, each in a process of its own; a ratio is taken within each turn, and the
median of the turns is shown. *n* is the number of turns of floor, turbine and peer.

"""


def print_table(console: Console, results: list[Measured], about: dict[str, str]) -> None:
    """Print the table, the notes that belong to it, and what could not be measured."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in HEAD:
        table.add_column(name, justify="right" if name in {"floor", "peer", "turbine"} or "/" in name else "left")
    for result in results:
        for row in result.case.rows:
            style = {True: "green", False: "red", None: ""}[result.met(row)]
            table.add_row(*cells(result, row), style=style)
    console.print(", ".join(f"{name} {value}" for name, value in about.items()), style="dim")
    console.print(table)
    for line in notes(results):
        console.print(line, style="dim", markup=False)


def write_page(page: Path, results: list[Measured], about: dict[str, str]) -> None:
    """Put the figures between the marks of the page; text around the marks stays as it is."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(cells(result, row)) + " |" for result in results for row in result.case.rows]
    figures = "\n".join(
        [", ".join(f"{name} {value}" for name, value in about.items()) + ".", "", *lines, ""]
        + [f"- {note}" for note in notes(results)]
    )
    old = page.read_text() if page.exists() else f"{INTRODUCTION}{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after or chr(10)}")


def cells(result: Measured, row: Row) -> tuple[str, ...]:
    """One line of the table as text."""
    case = result.case
    return (
        case.number,
        row.title.format(**{name: int(value) for name, value in case.size(result.mode, Side.TURBINE).items()}),
        *(amount(result.value(row, side), row.unit) for side in (Side.FLOOR, Side.PEER, Side.TURBINE)),
        ratio(result.ratio(row, Side.FLOOR)),
        ratio(result.ratio(row, Side.PEER)),
        ", ".join(str(target) for target in row.targets),
        {True: "yes", False: "no", None: "–"}[result.met(row)],
        "/".join(str(result.runs_of(side)) for side in (Side.FLOOR, Side.TURBINE, Side.PEER)),
    )


def amount(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f} {unit}".strip()
    return f"{value:.3g} {unit}".strip()


def ratio(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} ×" if value >= 100 else f"{value:.2g} ×"


def notes(results: list[Measured]) -> list[str]:
    """What the columns hide: what stands in the floor column, sizes that differ, sides that failed."""
    said: list[str] = []
    for result in results:
        case = result.case
        if case.note:
            said.append(f"{case.number}: {case.note}")
        ours = case.size(result.mode, Side.TURBINE)
        if Side.PEER in case.sides and (theirs := case.size(result.mode, Side.PEER)) != ours:
            differing = ", ".join(f"{int(value):,} {name}" for name, value in theirs.items() if ours[name] != value)
            said.append(f"{case.key}: the peer did {differing}")
        said += [f"{case.key}: {side} failed: {reason}" for side, reason in result.failures.items()]
        if (made := len(result.repetitions)) < (planned := max(case.times(result.mode, side) for side in case.sides)):
            said.append(f"{case.key}: measured {made} of {planned} times, because this machine is slow or busy")
    return list(dict.fromkeys(said))
