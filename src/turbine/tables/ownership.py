"""Ownership: only the executor of a run, with the fencing number of its claim, may write for it until it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from turbine.store import Statement, Statements, Tx
from turbine.store.tx import Row, rows_json

SQL = Statements(Path(__file__))


class Answer(Enum):
    """The answer to a write for a run."""

    DONE = "written"
    ALREADY = "this position has an outcome already"
    CANCELLED = "the run was cancelled"
    LOST = "the run belongs to another executor"
    WAIT = "not yet; a wait is written"


def refusals(tx: Tx, pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Answer]:
    """For each (run, fence): DONE when it may write, CANCELLED or LOST otherwise."""
    return refusals_and_rows(tx, pairs)[0]


def refusals_and_rows(
    tx: Tx, pairs: Iterable[tuple[int, int]], *statements: tuple[Statement, dict[str, Any]]
) -> tuple[dict[tuple[int, int], Answer], list[list[Row]]]:
    """`refusals`, and the rows of other statements, in one round trip."""
    unique = list(dict.fromkeys(pairs))
    answers = dict.fromkeys(unique, Answer.LOST)
    owned, *others = tx.execute_many((SQL.owned, {"rows": rows_json(unique), "executor": tx.executor}), *statements)
    for run, fence, status in owned:
        if status == "CANCELLED":
            answers[run, fence] = Answer.CANCELLED
        elif status in ("PENDING", "WAITING_FOR_APPROVAL"):
            answers[run, fence] = Answer.DONE
    return answers, others


class Lock(NamedTuple):
    """Runs to lock for a batch: one by key, one by id, those that wait for the end of a run, or for a value."""

    run: int | None = None
    id: str | None = None
    ended: int | None = None
    value: str | None = None


def lock_all(tx: Tx, locks: Sequence[Lock]) -> None:
    """Lock the runs that a batch will change, in the order of their keys. For `locking`."""
    unique = set(locks)
    if all(lock.id is None and lock.ended is None and lock.value is None for lock in unique):
        tx.defer(SQL.lock, rows=rows_json([[lock.run] for lock in unique]))
    elif unique:
        tx.defer(SQL.lock_all, rows=rows_json(list(unique)))


def lock(tx: Tx, runs: Sequence[int]) -> None:
    """Lock the rows of these runs until the commit. SQLite has one writer and needs no locks."""
    if tx.dialect == "postgres" and runs:
        tx.defer(SQL.lock, rows=rows_json([[run] for run in sorted(set(runs))]))


def lock_lineages(tx: Tx, runs: Sequence[int]) -> None:
    """Lock runs that are about to end, their open descendants, and the runs that wait for any of them."""
    if tx.dialect == "postgres" and runs:
        tx.defer(SQL.lock_lineages, rows=rows_json([[run] for run in sorted(set(runs))]))


def lock_held(tx: Tx, executor_id: str) -> None:
    """Lock the open runs of an executor."""
    if tx.dialect == "postgres":
        tx.defer(SQL.lock_held, executor_id=executor_id)
