"""The outbox: everything that leaves the process, written in the transaction of what it announces.

Whoever writes here writes what has happened in the same transaction; the courier finds the rows and nothing is lost
between the two. A delivery carries what it says, so it does not need its run any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))


class Announcement(NamedTuple):
    """A row of `announce`: `event` is like `workflow.SUCCESS`, `run_status` the status that the run has reached."""

    run: int
    event: str
    run_status: str
    now_ms: int


class NewDelivery(NamedTuple):
    """A row of `add`. `kind` is alert or product; `target` the id of the channel or the product."""

    id: str
    kind: str
    target: str
    event: str | None
    run: int | None
    workflow_id: str | None
    name: str | None
    message: str | None
    now_ms: int


def announce(tx: Tx, rows: Sequence[Announcement]) -> None:
    """Leave one delivery for each enabled webhook and alert channel that listens to the event of a row.

    The run's output and error are copied as they stand in this transaction.
    """
    if rows and tx.run(SQL.announce, rows=rows_json(rows)):
        tx.wake("delivery")


def add(tx: Tx, rows: Sequence[NewDelivery]) -> None:
    """Leave deliveries to targets that are known: a product's sender, one channel."""
    tx.run(SQL.add, rows=rows_json(rows))
    tx.wake("delivery")
