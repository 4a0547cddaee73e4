"""A file that all processes of a test append to: what began and ended, where, in which process, and when.

A mark is one `write` with O_APPEND, so it is whole, in its place among the others, and survives the process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

BEGIN, END, ACKNOWLEDGED = "begin", "end", "acknowledged"


class Mark(NamedTuple):
    """A line of the journal. `stage` orders the steps of a run: those that run together share one."""

    kind: str
    run: str
    position: str
    attempt: int
    stage: int
    process: int
    at_ns: int
    """Of the monotonic clock, which all processes of a machine share."""


class Journal:
    """The writing end, one in each process."""

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.process = os.getpid()
        """What this process is called in the journal; tests of an hour give numbers, for pids come round again."""

    def note(self, kind: str, run: str, position: str = "-", attempt: int = 0, stage: int = 0) -> None:
        line = f"{kind} {run} {position} {attempt} {stage} {self.process} {time.monotonic_ns()}\n"
        os.write(self._file, line.encode())

    @contextmanager
    def body(self, run: str, position: str, attempt: int, stage: int) -> Iterator[None]:
        """Marks around what a step does; the second one is missing when the process dies within."""
        self.note(BEGIN, run, position, attempt, stage)
        try:
            yield
        finally:
            self.note(END, run, position, attempt, stage)


def read_marks(path: Path) -> list[Mark]:
    """All marks in the order in which they were made."""
    marks: list[Mark] = []
    for line in path.read_text().splitlines() if path.exists() else []:
        kind, run, position, attempt, stage, process, at_ns = line.split(" ")
        marks.append(Mark(kind, run, position, int(attempt), int(stage), int(process), int(at_ns)))
    return marks
