"""The harness: repeats every case side by side and turns the repetitions into medians and ratios.

The machines are shared and noisy. So a ratio is taken within one repetition, where the sides ran one after the other,
and the median is taken over those ratios; no figure is compared with one from another day.
"""

import argparse
import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.status import Status

from bench.case import Case, Mode, Row, Side, Target
from bench.cases import CASES
from bench.child import ROOT, Child, ChildFailed
from bench.places import MEMORY_FILESYSTEMS, Grounds
from bench.table import print_table, write_page

QUICK_BUDGET_S = 140.0
"""Seconds after which a quick run begins no further repetition; the first one of each case is always made."""
PATIENCE_S = 1800.0
"""Seconds that one child may take, on the slowest machine."""


@dataclass(slots=True)
class Measured:
    """What the repetitions of one case gave: a list entry a repetition, None where a side did not run or failed."""

    case: Case
    mode: Mode
    repetitions: list[dict[Side, dict[str, float] | None]] = field(default_factory=list)
    failures: dict[Side, str] = field(default_factory=dict)
    took_s: dict[Side, float] = field(default_factory=dict)

    def runs_of(self, side: Side) -> int:
        return sum(repetition.get(side) is not None for repetition in self.repetitions)

    def value(self, row: Row, side: Side) -> float | None:
        """The median figure of one side."""
        return middle(each.get(row.figure) for each in self._figures(side))

    def ratio(self, row: Row, other: Side) -> float | None:
        """The median over the repetitions of Turbine's figure divided by the other side's."""
        return middle(
            ours[row.figure] / theirs[row.figure]
            for repetition in self.repetitions
            if (ours := repetition.get(Side.TURBINE)) and (theirs := repetition.get(other)) and theirs.get(row.figure)
        )

    def against(self, row: Row, target: Target) -> float | None:
        """The value that a target speaks of."""
        return self.value(row, Side.TURBINE) if target.of == "turbine" else self.ratio(row, Side(target.of))

    def met(self, row: Row) -> bool | None:
        """Whether all targets of a row are met; None when one cannot be told."""
        verdicts = [
            None if (value := self.against(row, target)) is None else target.met_by(value) for target in row.targets
        ]
        if False in verdicts:
            return False
        return None if None in verdicts else True

    def _figures(self, side: Side) -> list[dict[str, float]]:
        return [figures for repetition in self.repetitions if (figures := repetition.get(side)) is not None]


def middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def main() -> None:
    """Measure what the command line asks for, print the table, and write files after a full run; always exits 0."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = parse(sys.argv[1:])
    mode = Mode.QUICK if arguments.quick else Mode.FULL
    chosen = [case for case in CASES if wanted(case, mode, arguments.only)]
    console = Console() if sys.stdout.isatty() else Console(width=200)
    started = time.monotonic()
    with Grounds(arguments.folder) as grounds:
        with console.status("starting") as status:
            results = measure_all(chosen, mode, grounds, started, status)
        about = describe(mode, grounds, time.monotonic() - started)
    print_table(console, results, about)
    if about["filesystem"] in MEMORY_FILESYSTEMS:
        console.print(f"[red]{arguments.folder} is in memory: these commits reach no disk; give another --folder[/]")
    if mode is Mode.FULL:
        written = write_results(results, about, arguments.only)
        console.print(f"written: {', '.join(str(path.relative_to(ROOT)) for path in written)}")


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description="Turbine beside the bare driver and beside dbos.")
    parser.add_argument(
        "--quick", action="store_true", help="about three minutes on a calm machine; prints the table, writes nothing"
    )
    parser.add_argument("--only", type=lambda text: set(text.upper().split(",")), help="cases, such as P1,P3")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "bench" / ".work", help="where the databases are made; a real disk"
    )
    return parser.parse_args(words)


def wanted(case: Case, mode: Mode, only: set[str] | None) -> bool:
    if mode is Mode.QUICK and case.full_only:
        return False
    return only is None or case.number in only


def measure_all(cases: list[Case], mode: Mode, grounds: Grounds, started: float, status: Status) -> list[Measured]:
    """Measure every case once, then every case again, until each has its repetitions or a quick run's time is over.

    On a slow machine the first round alone may take longer than three minutes: then each figure comes from one
    repetition, and the column *n* says so.
    """
    results = [Measured(case, mode) for case in cases]
    for repetition in range(max((planned(result) for result in results), default=0)):
        for result in results:
            is_late = mode is Mode.QUICK and repetition > 0 and time.monotonic() - started > QUICK_BUDGET_S
            if repetition < planned(result) and not is_late:
                measure_once(result, repetition, grounds, status)
    return results


def planned(result: Measured) -> int:
    """How often a case is to be repeated."""
    return max(result.case.times(result.mode, side) for side in result.case.sides)


def measure_once(result: Measured, repetition: int, grounds: Grounds, status: Status) -> None:
    """One repetition of one case, side after side; a side that failed is not asked again."""
    case, mode = result.case, result.mode
    figures: dict[Side, dict[str, float] | None] = {}
    for side in Side:
        if side not in case.sides or side in result.failures or repetition >= case.times(mode, side):
            continue
        status.update(f"{case.key}: {side}, {repetition + 1} of {case.times(mode, side)}")
        began = time.monotonic()
        try:
            with grounds.place(case, case.size(mode, side)) as place, Child(case.sides[side], place) as child:
                figures[side] = child.hear(PATIENCE_S)
        except ChildFailed as failure:
            result.failures[side] = str(failure)
        result.took_s[side] = result.took_s.get(side, 0.0) + time.monotonic() - began
    result.repetitions.append(figures)


def describe(mode: Mode, grounds: Grounds, took_s: float) -> dict[str, str]:
    """What somebody needs to read the figures: when, where, with what."""
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        "mode": mode.value,
        "took": f"{took_s:.0f} s",
        "cores": str(os.cpu_count()),
        "load average": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "turbine": version_of("turbine-workflows"),
        "dbos": version_of("dbos"),
        "commit": commit(),
        **grounds.describe(),
    }


def version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or "none"


def write_results(results: list[Measured], about: dict[str, str], only: set[str] | None) -> list[Path]:
    """The raw repetitions as JSON, and the page of the documentation; a part of the cases never touches the page."""
    part = f"-{'-'.join(sorted(only))}.local" if only else ""
    file = ROOT / "bench" / "results" / f"{about['date']}{part}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"about": about, "cases": [as_record(result) for result in results]}, indent=1) + "\n")
    if only:
        return [file]
    page = ROOT / "docs" / "benchmarks.md"
    page.parent.mkdir(exist_ok=True)
    write_page(page, results, about)
    return [file, page]


def as_record(result: Measured) -> dict[str, object]:
    return {
        "case": result.case.key,
        "sizes": {side: result.case.size(result.mode, side) for side in result.case.sides},
        "repetitions": result.repetitions,
        "failures": result.failures,
        "took_s": result.took_s,
        "rows": [
            {
                **{name: value for name, value in asdict(row).items() if name != "targets"},
                "targets": [str(target) for target in row.targets],
                "medians": {side: result.value(row, side) for side in Side},
                "turbine/floor": result.ratio(row, Side.FLOOR),
                "turbine/peer": result.ratio(row, Side.PEER),
                "met": result.met(row),
            }
            for row in result.case.rows
        ],
    }


if __name__ == "__main__":
    main()
