"""What has changed lately, for those who watch: marks to compare, and the runs that moved since a mark.

Every look here is a handful of entries at the end of an index, however large the tables are.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from turbine.store import Statements, Tx

SQL = Statements(Path(__file__))


class Mark(NamedTuple):
    """A moment in the life of the database: what ended up to a time, and what was made up to a key."""

    ended_ms: int
    run: int

    def __str__(self) -> str:
        return f"{self.ended_ms}-{self.run}"

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """The mark of a text that `str` has made; None for any other."""
        ended, dash, run = text.partition("-")
        if dash and all(part.isascii() and part.isdecimal() and len(part) <= 18 for part in (ended, run)):
            return cls(int(ended), int(run))
        return None


class Moved(NamedTuple):
    """A run that was made, or ended, or waits for a person."""

    run: int
    id: str
    name: str
    status: str
    at_ms: int


class Marks(NamedTuple):
    """One tuple of numbers for each list; it differs when the list has changed."""

    runs: Mark
    approval: int
    lists: dict[str, tuple[int, ...]]


def marks(tx: Tx) -> Marks:
    """Where every list stands now."""
    row = tx.row(SQL.marks)
    assert row is not None  # it has no table of its own
    numbers = [number or 0 for number in row]
    (
        run,
        ended,
        approval,
        open_,
        product,
        delivery,
        delivered,
        queue,
        schedule,
        schedules,
        kv,
        executors,
        started,
        log,
    ) = numbers
    return Marks(
        runs=Mark(ended, run),
        approval=approval,
        lists={
            "workflows": (run, ended),
            "approvals": (approval, open_),
            "queues": (queue, run, ended),
            "products": (product, delivered),
            "deliveries": (delivery, delivered),
            "schedules": (schedule, schedules),
            "kv": (kv,),
            "executors": (executors, started),
            "logs": (log,),
        },
    )


def moved(tx: Tx, *, since: Mark, approval: int | None, limit: int) -> list[Moved]:
    """The runs that were made or ended since a mark, or opened a gate after one, the latest first; no run twice."""
    rows = tx.rows(SQL.ended, since=since.ended_ms, limit=limit) + tx.rows(SQL.made, after=since.run, limit=limit)
    if approval is not None:
        rows += tx.rows(SQL.gates, after=approval, limit=limit)
    found = {row[0]: Moved(*row) for row in reversed(rows)}
    return sorted(found.values(), key=lambda one: (one.at_ms, one.run), reverse=True)
