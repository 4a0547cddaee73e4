"""Waits: what a run waits for, as rows, so that a waiting run needs no process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.codec import encode_error
from turbine.errors import WorkflowNotFound
from turbine.store import Statements, Tx, bulk
from turbine.store.tx import locking, rows_json
from turbine.tables import steps
from turbine.tables.ownership import Answer, Lock, lock, lock_all, refusals
from turbine.tables.steps import Outcome

SQL = Statements(Path(__file__))


class NewWait(NamedTuple):
    """A row of `begin`: a call that will take its time, and when to look again."""

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


class ResultLook(NamedTuple):
    """A row of `await_result`: the wait, its time, how a failure is recorded, and the error of a last look in vain."""

    wait: NewWait
    now_ms: int
    failure: Callable[[str, str | None, str | None], str]
    """The error to record for (status, error, reason) of a run that has no value."""
    timed_out: str | None


class ValueLook(NamedTuple):
    """A row of `await_value`: the wait, whose value it is for, and the error of a last look in vain."""

    wait: NewWait
    workflow_id: str
    key: str
    now_ms: int
    timed_out: str | None


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run)])
def begin(tx: Tx, rows: Sequence[NewWait]) -> list[Answer]:
    """Write that runs wait from now on. Repeating it changes nothing: the first deadline stays."""
    answers = refusals(tx, ((row.run, row.fence) for row in rows))
    insert(tx, [row for row in rows if answers[row.run, row.fence] is Answer.DONE])
    return [answers[row.run, row.fence] for row in rows]


@bulk
@locking(lock_all, lambda row: [Lock(run=row.wait.run), Lock(id=row.wait.subject)])
def await_result(tx: Tx, rows: Sequence[ResultLook]) -> list[Answer | tuple[Any, ...] | None]:
    """Record the outcomes of other runs that are over; where they are not, wait for them.

    Answers (status, output, error, reason) of a finished run, None for an unknown id, Answer.WAIT with a wait written,
    Answer.DONE for a last look in vain, or a refusal.
    """
    answers = refusals(tx, ((row.wait.run, row.wait.fence) for row in rows))
    held = [row for row in rows if answers[row.wait.run, row.wait.fence] is Answer.DONE]
    ids = rows_json([[row.wait.subject] for row in held])
    targets = {row[0]: row[1:] for row in tx.rows(SQL.runs_of_ids, rows=ids)} if held else {}
    results: list[Answer | tuple[Any, ...] | None] = []
    waiting: list[NewWait] = []
    settled: list[Outcome] = []
    for row in rows:
        wait = row.wait
        answer = answers[wait.run, wait.fence]
        if answer is not Answer.DONE:
            results.append(answer)
        elif wait.subject not in targets:
            settled.append(ended(wait, row.now_ms, error=encode_error(WorkflowNotFound(wait.subject))))
            results.append(None)
        else:
            completed, status, output, error, reason = targets[wait.subject]
            if completed is not None:
                failure = None if status == "SUCCESS" else row.failure(status, error, reason)
                settled.append(ended(wait, row.now_ms, None if failure else output, failure))
                results.append((status, output, error, reason))
            elif row.timed_out is not None:
                settled.append(ended(wait, row.now_ms, error=row.timed_out))
                results.append(Answer.DONE)
            else:
                waiting.append(wait)
                results.append(Answer.WAIT)
    insert(tx, waiting)
    settle(tx, settled)
    return results


@bulk
@locking(lock_all, lambda row: [Lock(run=row.wait.run), Lock(id=row.workflow_id)])
def await_value(tx: Tx, rows: Sequence[ValueLook]) -> list[Answer | str | None]:
    """Record published values; where they are not set, wait for them. Answers as `await_result`."""
    answers = refusals(tx, ((row.wait.run, row.wait.fence) for row in rows))
    results: list[Answer | str | None] = []
    settled: list[Outcome] = []
    for row in rows:
        wait = row.wait
        answer = answers[wait.run, wait.fence]
        if answer is not Answer.DONE:
            results.append(answer)
            continue
        target = tx.row(SQL.run_of_id, id=row.workflow_id)
        if target is None:
            settled.append(ended(wait, row.now_ms, error=encode_error(WorkflowNotFound(row.workflow_id))))
            results.append(None)
            continue
        lock(tx, [target[0]])
        value = tx.row(SQL.value_of, run=target[0], key=row.key)
        if value is not None:
            settled.append(ended(wait, row.now_ms, value[0]))
            results.append(value[0])
        elif row.timed_out is not None:
            settled.append(ended(wait, row.now_ms, error=row.timed_out))
            results.append(Answer.DONE)
        else:
            insert(tx, [wait._replace(subject=f"{target[0]}/{row.key}")])
            results.append(Answer.WAIT)
    settle(tx, settled)
    return results


def ended(wait: NewWait, now_ms: int, output: str | None = None, error: str | None = None) -> Outcome:
    """The outcome of the call that waits."""
    return Outcome(
        run=wait.run,
        fence=wait.fence,
        position=wait.position,
        function_id=wait.function_id,
        name=wait.name,
        kind=wait.step_kind,
        output=output,
        error=error,
        child=wait.child,
        attempts=1,
        started_ms=wait.since_ms,
        ended_ms=now_ms,
    )


def settle(tx: Tx, outcomes: Sequence[Outcome]) -> None:
    """Record the outcomes of calls of which the caller knows that they may write and are not over."""
    if not outcomes:
        return
    for outcome, answer in zip(outcomes, steps.settle(tx, outcomes), strict=True):
        if answer is not Answer.DONE:
            raise RuntimeError(f"position {outcome.position} of run {outcome.run} was settled twice")


def insert(tx: Tx, rows: Sequence[NewWait]) -> None:
    """Write waits of runs of which the caller knows that they may write."""
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
