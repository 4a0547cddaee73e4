"""Steps: the outcome of each position of a run, written at most once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from turbine.clock import to_datetime
from turbine.codec import describe_error, json_value
from turbine.model.history import Failure, History, Recorded, Waiting
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
    """The highest `function_id` of the steps whose outcomes the body had when this one began; -1 if it had none."""


class AttemptFailed(NamedTuple):
    """A row of `fail_attempt`: a failed attempt; the next one is due at `due_ms`, None after the last one."""

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
    """A row of `begin`: a step that has begun."""

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
    """Write the outcomes of steps, each at most once (rule L1), while their runs are owned and open."""
    returned = tx.commit_if(SQL.record, rows=rows_json(rows), executor=tx.executor, incarnation=tx.incarnation)
    if returned is None:
        # It was committed. The outcomes of runs still owned were written: no other writer has their fences.
        return _answers(tx, rows, {(row.run, row.position) for row in rows})
    recorded = set(returned)
    if len(recorded) == len(rows):
        return [Answer.DONE] * len(rows)
    return _answers(tx, rows, recorded)


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run)])
def settle(tx: Tx, rows: Sequence[Outcome]) -> list[Answer]:
    """Record outcomes like `record` and delete the waits at their positions."""
    answers = record(tx, rows)
    done = [(row.run, row.position) for row, answer in zip(rows, answers, strict=True) if answer is Answer.DONE]
    if done:
        tx.defer(SQL.delete_waits, rows=rows_json(done))
        retried = [row for row in rows if row.attempts > 1 and (row.run, row.position) in done]
        if retried:
            tx.defer(SQL.add_last_attempt, rows=rows_json(retried), incarnation=tx.incarnation)
    return answers


def _answers(tx: Tx, rows: Sequence[Outcome], recorded: set[tuple[int, str]]) -> list[Answer]:
    refused = refusals(tx, ((row.run, row.fence) for row in rows))
    answers: list[Answer] = []
    for row in rows:
        answer = refused[row.run, row.fence]
        if answer is Answer.DONE:
            if (row.run, row.position) in recorded:
                recorded.remove((row.run, row.position))  # of two in one batch the first one was recorded
            else:
                answer = Answer.ALREADY
        answers.append(answer)
    return answers


@bulk
def begin(tx: Tx, rows: Sequence[Begun]) -> list[None]:
    """Record that steps have begun, for the dashboard; steps that are recorded already stay as they are."""
    tx.defer(SQL.begin, rows=rows_json(rows), executor=tx.executor, incarnation=tx.incarnation)
    return [None] * len(rows)


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run)])
def fail_attempt(tx: Tx, rows: Sequence[AttemptFailed]) -> list[Answer]:
    """Record failed attempts and when the next ones are due: a crash resets neither the count nor the pause."""
    answers = refusals(tx, ((row.run, row.fence) for row in rows))
    allowed = [row for row in rows if answers[row.run, row.fence] is Answer.DONE]
    if allowed:
        text = rows_json(allowed)
        tx.defer(SQL.begin_retried, rows=text, incarnation=tx.incarnation)
        tx.defer(SQL.add_attempt, rows=text, incarnation=tx.incarnation)
        tx.defer(SQL.wait_for_retry, rows=rows_json([row for row in allowed if row.due_ms is not None]))
    return [answers[row.run, row.fence] for row in rows]


def histories(tx: Tx, *, runs: Sequence[int]) -> dict[int, History]:
    """The histories of runs, for replay."""
    text = rows_json([[run] for run in runs])
    by_run = {run: History() for run in runs}
    for run, *columns in tx.rows(SQL.history, rows=text):
        by_run[run].add(Recorded(*columns))
    for run, position, *columns in tx.rows(SQL.history_waits, rows=text):
        by_run[run].waits[position] = Waiting(*columns)
    for run, position, number, error in tx.rows(SQL.history_failures, rows=text):
        by_run[run].failures.setdefault(position, []).append(Failure(number, error))
    return by_run


def listing(
    tx: Tx,
    *,
    run: int,
    workflow_id: str,
    open: Callable[[str], str],
    after: tuple[int, str] = (-1, ""),
    limit: int = 2**62,
) -> list[StepInfo]:
    """The steps of a run in the order in which they began, with all attempts; `open` undoes the payload codec.

    `after` is the (function_id, position) of the step to continue after.
    """
    rows = tx.rows(SQL.of_run, run=run, after=after[0], position=after[1], limit=limit)
    attempts: dict[str, list[StepAttempt]] = {}
    positions = rows_json([[row[0]] for row in rows])
    for position, number, started, ended, error in tx.rows(SQL.attempts_of, run=run, rows=positions):
        described = None if error is None else describe_error(error)
        attempts.setdefault(position, []).append(StepAttempt(number, to_datetime(started), _time(ended), described))
    steps: list[StepInfo] = []
    for position, function_id, name, output, error, child, count, started, ended in rows:
        of_step = attempts.get(position, [])
        last_number = of_step[-1].number if of_step else 0
        described = None if error is None else describe_error(error)
        if last_number < count and (ended is not None or not of_step):
            began = of_step[-1].ended_at if of_step and of_step[-1].ended_at else to_datetime(started)
            of_step = [*of_step, StepAttempt(count, began, _time(ended), described)]
        steps.append(
            StepInfo(
                workflow_id=workflow_id,
                function_id=function_id,
                function_name=name,
                position=position,
                output=None if output is None else json_value(open(output)),
                error=described,
                started_at=to_datetime(started),
                ended_at=_time(ended),
                attempts=of_step,
                child_workflow_id=child,
            )
        )
    return steps


def output(tx: Tx, *, run: int, position: str) -> tuple[str | None] | None:
    """The output that is recorded at a position, as it is stored, in a tuple; None if nothing is recorded."""
    row = tx.row(SQL.output_of, run=run, position=position)
    return None if row is None else (row[0],)


def _time(epoch_ms: int | None) -> datetime | None:
    return None if epoch_ms is None else to_datetime(epoch_ms)
