"""Waits: what a run waits for is a row, so a waiting run needs no process."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.store import Statements, Tx, bulk
from turbine.store.tx import locking, rows_json
from turbine.tables.ownership import Answer, Lock, lock, lock_all, refusals

SQL = Statements(Path(__file__))


class NewWait(NamedTuple):
    """A row of `begin`: the step that waits, what for, and until when."""

    run: int
    fence: int
    position: str
    function_id: int
    name: str
    step_kind: int
    child: str | None
    kind: str
    subject: str
    since_ms: int
    deadline_ms: int | None


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run)])
def begin(tx: Tx, rows: Sequence[NewWait]) -> list[Answer]:
    """Begin waits. Repeating it changes nothing: the first deadline stays."""
    answers = refusals(tx, ((row.run, row.fence) for row in rows))
    insert(tx, [row for row in rows if answers[row.run, row.fence] is Answer.DONE])
    return [answers[row.run, row.fence] for row in rows]


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run), Lock(id=row.subject)])
def await_result(tx: Tx, rows: Sequence[NewWait]) -> list[Answer | tuple[Any, ...] | None]:
    """Return the results of other runs; begin waits for those that have not ended.

    Answers (status, output, error, reason) of a run that has ended, Answer.WAIT, None for an unknown id, or a refusal.
    """
    answers = refusals(tx, ((row.run, row.fence) for row in rows))
    ids = [[row.subject] for row in rows if answers[row.run, row.fence] is Answer.DONE]
    runs = {row[0]: row[1:] for row in tx.rows(SQL.runs_of_ids, rows=rows_json(ids))} if ids else {}
    results: list[Answer | tuple[Any, ...] | None] = []
    waiting: list[NewWait] = []
    for row in rows:
        answer = answers[row.run, row.fence]
        if answer is not Answer.DONE:
            results.append(answer)
        elif row.subject not in runs:
            results.append(None)
        else:
            completed, *result = runs[row.subject]
            if completed is None:
                waiting.append(row)
                results.append(Answer.WAIT)
            else:
                results.append(tuple(result))
    insert(tx, waiting)
    return results


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0].run), Lock(id=row[1])])
def await_value(tx: Tx, rows: Sequence[tuple[NewWait, str, str]]) -> list[Answer | str | None]:
    """Return published values; begin waits for those that are not set. Rows are (wait, id of the other run, key).

    Answers as `await_result`.
    """
    answers = refusals(tx, ((wait.run, wait.fence) for wait, _, _ in rows))
    results: list[Answer | str | None] = []
    for wait, workflow_id, key in rows:
        answer = answers[wait.run, wait.fence]
        if answer is not Answer.DONE:
            results.append(answer)
            continue
        target = tx.row(SQL.run_of_id, id=workflow_id)
        if target is None:
            results.append(None)
            continue
        lock(tx, [target[0]])
        value = tx.row(SQL.value_of, run=target[0], key=key)
        if value is None:
            insert(tx, [wait._replace(subject=f"{target[0]}/{key}")])
            results.append(Answer.WAIT)
        else:
            results.append(value[0])
    return results


def insert(tx: Tx, rows: Sequence[NewWait]) -> None:
    """Write waits of runs whose ownership the caller has checked."""
    if rows:
        text = rows_json(rows)
        tx.defer(SQL.begin_steps, rows=text)
        tx.defer(SQL.begin_waits, rows=text)


def meet(tx: Tx, *, kind: str, subjects: Sequence[str]) -> None:
    """Meet all waits for these subjects."""
    waiting = tx.rows(SQL.waiting_for, kind=kind, rows=rows_json([[subject] for subject in subjects]))
    met(tx, [(run, position) for run, position in waiting])


def met(tx: Tx, waiting: Sequence[tuple[int, str]], *, parked: Collection[int] | None = None) -> None:
    """Mark waits, (run, position), as met, and their parked runs as due.

    `parked`: which of the runs are parked, if the caller has locked their rows and knows.
    """
    if not waiting:
        return
    runs = sorted({run for run, _ in waiting})
    lock(tx, runs)
    tx.defer(SQL.meet, rows=rows_json(waiting))
    for pair in waiting:
        tx.wake("wait", pair)
    _wake_parked(tx, runs if parked is None else [run for run in runs if run in parked])


def _wake_parked(tx: Tx, runs: Sequence[int]) -> None:
    if not runs:
        return
    woken = tx.rows(SQL.wake_parked, rows=rows_json([[run] for run in runs]))
    queues = {queue for status, queue in woken if status == "ENQUEUED" and queue is not None}
    for queue in queues:
        tx.wake("queue", queue)
    if len(queues) < len(woken):
        tx.wake("due", 0)


def met_of(tx: Tx, *, executor: str) -> list[tuple[int, str]]:
    """Met waits, (run, position), of runs that an executor holds, in case their wakes were lost."""
    return [(run, position) for run, position in tx.rows(SQL.met_of, executor=executor)]


def open_waits(tx: Tx, *, run: int) -> list[tuple[str, str, str, int, int | None]]:
    """The waits of a run: (position, kind, subject, since_ms, deadline_ms)."""
    return [(row[0], row[1], row[2], row[3], row[4]) for row in tx.rows(SQL.open_waits, run=run)]
