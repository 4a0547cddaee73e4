"""Who may write for a run: its executor, with the fencing number of its claim, while the run is not over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from turbine.store import Statement, Statements, Tx
from turbine.store.tx import Row, rows_json

SQL = Statements(Path(__file__))


class Answer(Enum):
    """What became of a write of a run."""

    DONE = "written"
    ALREADY = "this position has an outcome already"
    CANCELLED = "the run was cancelled"
    LOST = "the run belongs to somebody else"
    WAIT = "not yet; a wait is written"


def refusals(tx: Tx, pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Answer]:
    """For each (run, fence): DONE when it may write, CANCELLED or LOST otherwise."""
    return refusals_and(tx, pairs)[0]


def refusals_and(
    tx: Tx, pairs: Iterable[tuple[int, int]], *asked: tuple[Statement, dict[str, Any]]
) -> tuple[dict[tuple[int, int], Answer], list[list[Row]]]:
    """`refusals`, and the rows of other statements that travel with it."""
    unique = list(dict.fromkeys(pairs))
    answers = dict.fromkeys(unique, Answer.LOST)
    owned, *others = tx.execute_many((SQL.owned, {"rows": rows_json(unique), "executor": tx.executor}), *asked)
    for run, fence, status in owned:
        if status == "CANCELLED":
            answers[run, fence] = Answer.CANCELLED
        elif status in ("PENDING", "WAITING_FOR_APPROVAL"):
            answers[run, fence] = Answer.DONE
    return answers, others


class Lock(NamedTuple):
    """Runs to be locked for a batch: one of them by key or id, those that wait for the end of a run, or for a value."""

    run: int | None = None
    id: str | None = None
    ended: int | None = None
    value: str | None = None


def lock_all(tx: Tx, locks: Sequence[Lock]) -> None:
    """Lock the runs that a batch will change, in the order of their keys. For `locking`."""
    unique = set(locks)
    if all(one.id is None and one.ended is None and one.value is None for one in unique):
        tx.defer(SQL.lock, rows=rows_json([[one.run] for one in unique]))
    elif unique:
        tx.defer(SQL.lock_all, rows=rows_json(list(unique)))


def lock(tx: Tx, runs: Sequence[int]) -> None:
    """Lock the rows of these runs until the commit. SQLite has one writer and needs no locks."""
    if tx.dialect == "postgres" and runs:
        tx.defer(SQL.lock, rows=rows_json([[run] for run in sorted(set(runs))]))


def lock_families(tx: Tx, runs: Sequence[int]) -> None:
    """Lock runs that are about to end with their open descendants, and the runs that wait for any of them."""
    if tx.dialect == "postgres" and runs:
        tx.defer(SQL.lock_families, rows=rows_json([[run] for run in sorted(set(runs))]))


def lock_held(tx: Tx, executor_id: str) -> None:
    """Lock the open runs of an executor."""
    if tx.dialect == "postgres":
        tx.defer(SQL.lock_held, executor_id=executor_id)
