"""Recent changes, for the event stream: marks to compare, and the runs that changed since a mark.

Every read takes a few entries from the end of an index, however large the tables are.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from turbine.store import Statements, Tx

SQL = Statements(Path(__file__))


class RunMark(NamedTuple):
    """A point in the history of the runs: the newest end, and the newest key."""

    ended_ms: int
    run: int

    def __str__(self) -> str:
        return f"{self.ended_ms}-{self.run}"

    @classmethod
    def parse(cls, text: str) -> RunMark | None:
        """The mark of a text made by `str`; None for any other text."""
        ended, dash, run = text.partition("-")
        if dash and all(part.isascii() and part.isdecimal() and len(part) <= 18 for part in (ended, run)):
            return cls(int(ended), int(run))
        return None


class ChangedRun(NamedTuple):
    """A run that was created, ended, or requested an approval."""

    run: int
    id: str
    name: str
    status: str
    at_ms: int


class ListMarks(NamedTuple):
    """For each list of the dashboard a tuple of numbers that differs when the list has changed."""

    runs: RunMark
    approval: int
    lists: dict[str, tuple[int, ...]]


def list_marks(tx: Tx) -> ListMarks:
    """The marks of all lists now."""
    row = tx.row(SQL.marks)
    assert row is not None  # a select without a table
    run, ended, approval, open_approvals, product, delivery, delivered, *more = [number or 0 for number in row]
    queue, schedule, schedules, kv, executors, started, log = more
    return ListMarks(
        runs=RunMark(ended, run),
        approval=approval,
        lists={
            "workflows": (run, ended),
            "approvals": (approval, open_approvals),
            "queues": (queue, run, ended),
            "products": (product, delivered),
            "deliveries": (delivery, delivered),
            "schedules": (schedule, schedules),
            "kv": (kv,),
            "executors": (executors, started),
            "logs": (log,),
        },
    )


def changed_runs(tx: Tx, *, since: RunMark, approval: int | None, limit: int) -> list[ChangedRun]:
    """The runs that were created or ended since a mark, or requested an approval after that key, latest first."""
    rows = tx.rows(SQL.ended, since=since.ended_ms, limit=limit) + tx.rows(SQL.created, after=since.run, limit=limit)
    if approval is not None:
        rows += tx.rows(SQL.approvals_opened, after=approval, limit=limit)
    runs = {row[0]: ChangedRun(*row) for row in reversed(rows)}
    return sorted(runs.values(), key=lambda run: (run.at_ms, run.run), reverse=True)
