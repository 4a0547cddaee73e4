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

from bench.case import Case, Mode, Row, Side, Target, WorkflowScope
from bench.cases import CASES
from bench.child import ROOT, Child, ChildFailed
from bench.places import MEMORY_FILESYSTEMS, Grounds
from bench.table import print_table, write_page

HURRY_S = 140.0
QUICK_END_S = 172.0
QUICK_PATIENCE_S = 40.0
FULL_PATIENCE_S = 1800.0


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
            results = [measure(case, mode, grounds, started, status) for case in chosen]
        about = describe(mode, grounds, time.monotonic() - started)
    print_table(console, results, about)
    if about["filesystem"] in MEMORY_FILESYSTEMS:
        console.print(f"[red]{arguments.folder} is in memory: these commits reach no disk; give another --folder[/]")
    if mode is Mode.FULL:
        signature_text = write_results(results, about, arguments.only)
        console.print(f"written: {', '.join(str(path.relative_to(ROOT)) for path in signature_text)}")


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description="Turbine beside the bare driver and beside dbos.")
    parser.add_argument(
        "--quick", action="store_true", help="less than three minutes; prints the table, writes nothing"
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


def measure(case: Case, mode: Mode, grounds: Grounds, started: float, status: Status) -> Measured:
    """Repeat one case, side after side; a side that fails is not asked again.

    When the three minutes of a quick run are nearly used up, what is left is measured once, without the peer.
    """
    result = Measured(case, mode)
    most = max(case.times(mode, side) for side in case.sides)
    for repetition in range(most):
        hurried = mode is Mode.QUICK and time.monotonic() - started > HURRY_S
        if hurried and repetition:
            break
        figures: dict[Side, dict[str, float] | None] = {}
        for side in Side:
            if side not in case.sides or side in result.failures or repetition >= case.times(mode, side):
                continue
            if hurried and side is Side.PEER:
                continue
            status.update(f"{case.key}: {side}, {repetition + 1} of {case.times(mode, side)}")
            began = time.monotonic()
            try:
                with grounds.place(case, case.size(mode, side)) as place:
                    figures[side] = run_once(case.sides[side], place, patience_s(mode, began - started))
            except ChildFailed as failure:
                result.failures[side] = str(failure)
            result.took_s[side] = result.took_s.get(side, 0.0) + time.monotonic() - began
        result.repetitions.append(figures)
    return result


def patience_s(mode: Mode, elapsed_s: float) -> float:
    """How long one child may take: in a quick run no longer than what is left of the three minutes."""
    if mode is Mode.FULL:
        return FULL_PATIENCE_S
    return max(2.0, min(QUICK_PATIENCE_S, QUICK_END_S - elapsed_s))


def run_once(target: str, place: WorkflowScope, patience_s: float) -> dict[str, float]:
    with Child(target, place) as child:
        return child.hear(patience_s)


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
