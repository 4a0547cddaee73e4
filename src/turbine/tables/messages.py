"""Messages and published values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.errors import WorkflowNotFound
from turbine.store import Statements, Tx, bulk
from turbine.store.tx import locking, rows_json
from turbine.tables import steps, waits
from turbine.tables.ownership import Answer, Lock, lock_all, refusals_and_rows
from turbine.tables.steps import Outcome
from turbine.tables.waits import NewWait

SQL = Statements(Path(__file__))


class NewMessage(NamedTuple):
    """A row of `send`: `step` is the record of the sender, None when it is not a run."""

    destination: str
    topic: str
    body: str
    now_ms: int
    step: Outcome | None


class Receive(NamedTuple):
    """A row of `receive`: the wait to begin, unless `is_last`, when there is no message."""

    wait: NewWait
    topic: str
    now_ms: int
    is_last: bool


@bulk
@locking(lock_all, lambda row: [Lock(id=row.destination)])
def send(tx: Tx, rows: Sequence[NewMessage]) -> list[Answer | WorkflowNotFound]:
    """Send messages to runs, in order, each together with its sender's step.

    A message to a run that has ended is stored too. Refuses an unknown id with WorkflowNotFound.
    """
    # The receivers are read while the mailboxes are locked: no run begins to wait, or is parked, before the commit.
    mailboxes, receivers = tx.execute_many(
        (SQL.mailboxes, {"rows": rows_json([[row.destination] for row in rows])}),
        (SQL.receivers, {"rows": rows_json([[row.destination, row.topic] for row in rows])}),
    )
    runs: dict[str, int] = dict(mailboxes)
    results: list[Answer | WorkflowNotFound] = []
    messages: list[tuple[int, str, str, int]] = []
    sending = [row.step for row in rows if row.step is not None and row.destination in runs]
    answers = iter(steps.record(tx, sending) if sending else ())
    for row in rows:
        if row.destination not in runs:
            results.append(WorkflowNotFound(row.destination))
            continue
        answer = Answer.DONE if row.step is None else next(answers)
        if answer is Answer.DONE:
            messages.append((runs[row.destination], row.topic, row.body, row.now_ms))
        results.append(answer)
    if messages:
        tx.defer(SQL.add, rows=rows_json(messages))
        given = {(run, topic) for run, topic, _, _ in messages}
        waiting = [(run, position) for run, position, topic, _ in receivers if (run, topic) in given]
        waits.met(tx, waiting, parked={run for run, _, _, executor in receivers if executor is None})
    return results


@bulk
@locking(lock_all, lambda row: [Lock(run=row.wait.run)])
def receive(tx: Tx, rows: Sequence[Receive]) -> list[Answer | str]:
    """Take the oldest unread message of a topic and record it as the outcome of the step.

    Answers the message, Answer.WAIT after beginning a wait, Answer.DONE if there is none at the last look, or a
    refusal.
    """
    boxes = list(dict.fromkeys((row.wait.run, row.topic) for row in rows))
    answers, unread_messages = refusals_and_rows(
        tx,
        ((row.wait.run, row.wait.fence) for row in rows),
        *((SQL.oldest, {"run": run, "topic": topic}) for run, topic in boxes),
    )
    oldest = {box: messages[0] if messages else None for box, messages in zip(boxes, unread_messages, strict=True)}
    results: list[Answer | str] = []
    for row in rows:
        wait = row.wait
        answer = answers[wait.run, wait.fence]
        if answer is not Answer.DONE:
            results.append(answer)
            continue
        box = wait.run, row.topic
        unread = oldest.pop(box) if box in oldest else tx.row(SQL.oldest, run=wait.run, topic=row.topic)
        if unread is not None:
            message, body = unread
            tx.defer(SQL.consume, message=message, position=wait.position)
            results.append(_settle(tx, row, body))
        elif row.is_last:
            results.append(Answer.DONE)
        else:
            waits.insert(tx, [wait])
            results.append(Answer.WAIT)
    return results


def _settle(tx: Tx, row: Receive, body: str) -> Answer | str:
    wait = row.wait
    (answer,) = steps.settle(
        tx,
        [
            Outcome(
                run=wait.run,
                fence=wait.fence,
                position=wait.position,
                function_id=wait.function_id,
                name=wait.name,
                kind=wait.step_kind,
                output=body,
                error=None,
                child=None,
                attempts=1,
                started_ms=wait.since_ms,
                ended_ms=row.now_ms,
            )
        ],
    )
    if answer is not Answer.DONE:
        raise RuntimeError(f"position {wait.position} of run {wait.run} was settled twice")
    return body


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0].run), Lock(value=f"{row[0].run}/{row[1]}")])
def set_value(tx: Tx, rows: Sequence[tuple[Outcome, str, str]]) -> list[Answer]:
    """Publish values of runs: rows are (step, key, value). The last one of a key counts; all are kept as history."""
    answers = steps.record(tx, [step for step, _, _ in rows])
    for (step, key, value), answer in zip(rows, answers, strict=True):
        if answer is Answer.DONE:
            tx.defer(SQL.set_value, run=step.run, key=key, value=value, position=step.position, now=step.ended_ms)
            tx.defer(SQL.remember_value, run=step.run, key=key, value=value, position=step.position, now=step.ended_ms)
            waits.meet(tx, kind="value", subjects=[f"{step.run}/{key}"])
            tx.wake("value", (step.run, key))
    return answers


def value(tx: Tx, *, run: int, key: str) -> str | None:
    """The published value of a key."""
    row = tx.row(SQL.value, run=run, key=key)
    return None if row is None else row[0]


def values(tx: Tx, *, run: int) -> dict[str, str]:
    """All published values of a run."""
    return {row[0]: row[1] for row in tx.rows(SQL.values, run=run)}
