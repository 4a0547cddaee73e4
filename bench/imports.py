"""What an import costs: each figure comes from an interpreter that has imported nothing else but `time`."""

import subprocess
import sys

from bench.case import Place
from bench.child import clean_environment

PROGRAM = """
import time
started = time.perf_counter()
{statement}
spent_ms = (time.perf_counter() - started) * 1000
import os
pages = int(open("/proc/self/statm").read().split()[1])
print(spent_ms, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
"""


def import_fastapi(place: Place) -> dict[str, float]:
    return best_of(place.count("interpreters"), "import fastapi")


def import_turbine(place: Place) -> dict[str, float]:
    """With the class that everybody uses, so that a name loaded late is paid for here."""
    return best_of(place.count("interpreters"), "import turbine; turbine.Runtime")


def import_dbos(place: Place) -> dict[str, float]:
    return best_of(place.count("interpreters"), "import dbos; dbos.DBOS")


def best_of(interpreters: int, statement: str) -> dict[str, float]:
    """The quickest of several: whatever made the others slower was not the import."""
    bare_mb = min(one_interpreter("pass")[1] for _ in range(interpreters))
    answers = sorted(one_interpreter(statement) for _ in range(interpreters))
    return {"import_ms": answers[0][0], "more_mb": answers[0][1] - bare_mb}


def one_interpreter(statement: str) -> tuple[float, float]:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=statement)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(answer.stderr.strip().splitlines()[-1])
    spent_ms, resident_mb = map(float, answer.stdout.split())
    return spent_ms, resident_mb
