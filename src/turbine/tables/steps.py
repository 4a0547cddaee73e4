"""Steps: the outcome of each position, written once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.clock import to_datetime
from turbine.codec import describe_error, plain
from turbine.model.history import Failure, Recorded, RunRecords, Waiting
from turbine.model.steps import StepAttempt, StepInfo
from turbine.store import Statements, Tx, bulk
from turbine.store.tx import locking, rows_json, single_statement
from turbine.tables.ownership import Answer, Lock, lock_all, refusals

SQL = Statements(Path(__file__))


class Outcome(NamedTuple):
    """A row of `record` and `settle`, in the order of the statement's columns."""

    run: int
    fence: int
    position: str
    function_id: int
    name: str
    kind: int
    output: str | None
    error: str | None
    child: str | None
    attempts: int
    started_ms: int
    ended_ms: int | None
    follows: int | None = None
    """The highest `function_id` of the steps whose outcomes the body had when this one began; -1: of none."""


class AttemptFailed(NamedTuple):
    """A row of `fail_attempt`: an attempt that failed; the next one comes at `due_ms`, None after the last one."""

    run: int
    fence: int
    position: str
    function_id: int
    name: str
    number: int
    started_ms: int
    ended_ms: int
    error: str
    due_ms: int | None


class Begun(NamedTuple):
    """A row of `begin`: what is on its way at a position."""

    run: int
    fence: int
    position: str
    function_id: int
    name: str
    kind: int
    started_ms: int


@bulk
@single_statement
def record(tx: Tx, rows: Sequence[Outcome]) -> list[Answer]:
    """Write the outcomes of steps, each at most once (rule L1), while their runs are still owned and not over."""
    answered = tx.commit_if(SQL.record, rows=rows_json(rows), executor=tx.executor, incarnation=tx.incarnation)
    if answered is None:
        # They were written for whoever still owns his run: nobody else writes at this position with this fence.
        return _answers(tx, rows, {(row.run, row.position) for row in rows})
    signature_text = set(answered)
    if len(signature_text) == len(rows):
        return [Answer.DONE] * len(rows)
    return _answers(tx, rows, signature_text)


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run)])
def settle(tx: Tx, rows: Sequence[Outcome]) -> list[Answer]:
    """Like `record`, for positions that waited: the wait goes with the outcome."""
    answers = record(tx, rows)
    done = [(row.run, row.position) for row, answer in zip(rows, answers, strict=True) if answer is Answer.DONE]
    if done:
        tx.defer(SQL.forget_waits, rows=rows_json(done))
        signature_text = set(done)
        tried = [row for row in rows if row.attempts > 1 and (row.run, row.position) in signature_text]
        if tried:
            tx.defer(SQL.add_last_attempt, rows=rows_json(tried), incarnation=tx.incarnation)
    return answers


def _answers(tx: Tx, rows: Sequence[Outcome], signature_text: set[tuple[int, str]]) -> list[Answer]:
    why = refusals(tx, ((row.run, row.fence) for row in rows))
    answers: list[Answer] = []
    for row in rows:
        answer = why[row.run, row.fence]
        if answer is Answer.DONE:
            if (row.run, row.position) in signature_text:
                signature_text.remove((row.run, row.position))  # of two in one batch the first was written
            else:
                answer = Answer.ALREADY
        answers.append(answer)
    return answers


@bulk
def begin(tx: Tx, rows: Sequence[Begun]) -> list[None]:
    """Note that steps are on their way, for those who look; what is known already stays as it is."""
    tx.defer(SQL.begin, rows=rows_json(rows), executor=tx.executor, incarnation=tx.incarnation)
    return [None] * len(rows)


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run)])
def fail_attempt(tx: Tx, rows: Sequence[AttemptFailed]) -> list[Answer]:
    """Keep a failed attempt and the time of the next one: neither the count nor the pause starts over after a crash."""
    answers = refusals(tx, ((row.run, row.fence) for row in rows))
    held = [row for row in rows if answers[row.run, row.fence] is Answer.DONE]
    if held:
        text = rows_json(held)
        tx.defer(SQL.begin_retried, rows=text, incarnation=tx.incarnation)
        tx.defer(SQL.add_attempt, rows=text, incarnation=tx.incarnation)
        tx.defer(SQL.wait_for_retry, rows=rows_json([row for row in held if row.due_ms is not None]))
    return [answers[row.run, row.fence] for row in rows]


def histories(tx: Tx, *, runs: Sequence[int]) -> dict[int, RunRecords]:
    """Everything recorded of these runs, as the engine wants it."""
    text = rows_json([[run] for run in runs])
    found = {run: RunRecords() for run in runs}
    for run, *columns in tx.rows(SQL.history, rows=text):
        found[run].add(Recorded(*columns))
    for run, position, *columns in tx.rows(SQL.history_waits, rows=text):
        found[run].waits[position] = Waiting(*columns)
    for run, position, number, error in tx.rows(SQL.history_failures, rows=text):
        found[run].failures.setdefault(position, []).append(Failure(number, error))
    return found


def listing(
    tx: Tx,
    *,
    run: int,
    workflow_id: str,
    open: Callable[[str], str],
    after: tuple[int, str] = (-1, ""),
    limit: int = 2**62,
) -> list[StepInfo]:
    """The steps of a run in the order of their first recording, with every attempt; `open` undoes the payload codec.

    `after` is number and position of the step behind which they begin.
    """
    rows = tx.rows(SQL.of_run, run=run, after=after[0], position=after[1], limit=limit)
    attempts: dict[str, list[StepAttempt]] = {}
    places = rows_json([[row[0]] for row in rows])
    for position, number, started, ended, error in tx.rows(SQL.attempts_of, run=run, rows=places):
        attempts.setdefault(position, []).append(
            StepAttempt(number, to_datetime(started), _moment(ended), None if error is None else describe_error(error))
        )
    steps: list[StepInfo] = []
    for position, function_id, name, output, error, child, count, started, ended in rows:
        tried = attempts.get(position, [])
        last_number = tried[-1].number if tried else 0
        described = None if error is None else describe_error(error)
        if last_number < count and (ended is not None or not tried):
            began = tried[-1].ended_at if tried and tried[-1].ended_at else to_datetime(started)
            tried = [*tried, StepAttempt(count, began, _moment(ended), described)]
        steps.append(
            StepInfo(
                workflow_id=workflow_id,
                function_id=function_id,
                function_name=name,
                position=position,
                output=None if output is None else plain(open(output)),
                error=described,
                started_at=to_datetime(started),
                ended_at=_moment(ended),
                attempts=tried,
                child_workflow_id=child,
            )
        )
    return steps


def output(tx: Tx, *, run: int, position: str) -> tuple[str | None] | None:
    """The output that is recorded at a position, as it is stored; None where nothing is recorded."""
    row = tx.row(SQL.output_of, run=run, position=position)
    return None if row is None else (row[0],)


def _moment(epoch_ms: int | None):
    return None if epoch_ms is None else to_datetime(epoch_ms)
