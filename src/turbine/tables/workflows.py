"""Runs: their start, claims, outcomes and everything that moves their status.

The statements here are the table of transitions in `model/workflows.py`; no other file changes a status.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.errors import Deduplicated, QueueNotFound, WorkflowConflict
from turbine.model.approvals import WAITING_COLOR, WAITING_LABEL
from turbine.model.workflows import WorkflowStatus
from turbine.store import Statements, Tx, bulk
from turbine.store.tx import Lane, locking, on, rows_json
from turbine.tables import deliveries, failures, products, search, steps, waits
from turbine.tables.deliveries import Announcement
from turbine.tables.failures import Failure
from turbine.tables.ownership import Answer, Lock, lock, lock_all, lock_families, lock_held, refusals
from turbine.tables.steps import Outcome

SQL = Statements(Path(__file__))

PARENT_CANCELLED = "its parent was cancelled"


class Start(NamedTuple):
    """A row of `start`. `direct`: the starting executor carries it out itself, from this commit on."""

    id: str
    status: str
    name: str
    inputs: str
    direct: int
    fence: int
    version: str
    application_id: str
    attempts: int
    owed: int
    max_recoveries: int | None
    created_ms: int
    started_ms: int | None
    completed_ms: int | None
    wake_ms: int | None
    queue: str | None
    partition: str | None
    deduplication_scope: str | None
    deduplication_id: str | None
    priority: int
    timeout_ms: int | None
    deadline_ms: int | None
    parent_run: int | None
    parent_id: str | None
    parent_position: str | None
    forked_from: str | None
    summary: str | None
    tags: str | None
    reason: str | None
    schedule_id: str | None = None
    """The schedule whose tick this is."""


class Started(NamedTuple):
    """The answer of `start`: the run of the id; `is_new` when this call made it.

    `is_held`: the starting executor carries it out; one that was evicted meanwhile leaves it to others.
    """

    run: int
    is_new: bool
    same_input: bool
    is_held: bool = False


class Claimed(NamedTuple):
    """A run that this executor owns from now on."""

    run: int
    id: str
    name: str
    inputs: str
    fence: int
    attempts: int
    started_ms: int
    deadline_ms: int | None
    queue: str | None


class Finish(NamedTuple):
    """A row of `finish`."""

    run: int
    fence: int
    status: str
    output: str | None
    error: str | None
    failed_positions: str | None
    now_ms: int


class Ended(NamedTuple):
    """A run that is over."""

    run: int
    id: str
    name: str
    status: str
    queue: str | None
    executor: str | None
    fence: int = 0


@bulk
def start(tx: Tx, rows: Sequence[Start]) -> list[Started | Exception]:
    """Make runs, or join the runs that have their ids: a second start with an id makes no second run.

    Refuses another name or queue under the same id with WorkflowConflict, a deduplication id that an unfinished run
    holds with Deduplicated, an unknown queue with QueueNotFound, and a partition key that is missing or not wanted with
    ValueError. A join writes nothing.
    """
    answered = tx.rows(SQL.start, rows=rows_json(rows), executor=tx.executor, incarnation=tx.incarnation)
    made = {id_: run for run, id_, _ in answered}
    held = {run for run, _, is_held in answered if is_held}
    others = [] if len(made) == len(rows) else [row.id for row in rows]
    refused = _wrong_queues(tx, rows) if others else {}
    there = {row[0]: row[1:] for row in tx.rows(SQL.known, rows=rows_json([[id_] for id_ in others]))} if others else {}
    tags = [[tag, made[row.id]] for row in rows if row.tags and row.id in made for tag in json.loads(row.tags)]
    if tags:
        tx.defer(SQL.add_tags, rows=rows_json(tags))
    results: list[Started | Exception] = []
    queues: set[str] = set()
    due: list[int] = []
    for row in rows:
        if refused and (error := _is_refused(row, refused)) is not None:
            results.append(error)
            continue
        run = made.pop(row.id, None)
        if run is not None:
            results.append(Started(run, True, True, run in held))
            if row.completed_ms is not None:
                _after_the_end(tx, [Ended(run, row.id, row.name, row.status, None, None)], row.completed_ms)
            elif row.queue is not None:
                queues.add(row.queue)
            elif run not in held:
                due.append(row.wake_ms or 0)
            if row.deadline_ms is not None:
                tx.wake("deadline", row.deadline_ms)
        elif row.id in there:
            run, name, queue, inputs = there[row.id]
            if name != row.name or queue != row.queue:
                results.append(_conflict(row, name, queue))
            else:
                results.append(Started(run, False, inputs == row.inputs))
        elif row.deduplication_id is not None:
            results.append(_deduplicated(tx, row))
        else:  # its queue was declared this very moment
            results.append(QueueNotFound(row.queue or ""))
    for queue in queues:
        tx.wake("queue", queue)
    if due:
        tx.wake("due", min(due))
    return results


def _wrong_queues(tx: Tx, rows: Sequence[Start]) -> dict[tuple[str, bool], Exception]:
    """The errors for starts in queues that do not exist or do not fit, by (queue, has a key)."""
    asked = {(row.queue, row.partition is not None) for row in rows if row.queue is not None}
    if not asked:
        return {}
    known = dict(tx.rows(SQL.queues_known, rows=rows_json([[queue] for queue, _ in asked])))
    errors: dict[tuple[str, bool], Exception] = {}
    for queue, has_key in asked:
        if queue not in known:
            errors[queue, has_key] = QueueNotFound(queue)
        elif known[queue] and not has_key:
            errors[queue, has_key] = ValueError(
                f"queue {queue!r} is partitioned: pass options(partition_key=...), or nobody would take the run"
            )
        elif has_key and not known[queue]:
            errors[queue, has_key] = ValueError(
                f"queue {queue!r} is not partitioned: leave out partition_key, or declare partitioned=True"
            )
    return errors


def _is_refused(row: Start, refused: dict[tuple[str, bool], Exception]) -> Exception | None:
    return None if row.queue is None else refused.get((row.queue, row.partition is not None))


def _conflict(row: Start, name: str, queue: str | None) -> WorkflowConflict:
    stored = f"workflow {name!r}" + (f" in queue {queue!r}" if queue else " without a queue")
    asked = f"workflow {row.name!r}" + (f" in queue {row.queue!r}" if row.queue else " without a queue")
    return WorkflowConflict(
        f"The id {row.id!r} belongs to {stored}, and {asked} was asked for; use another id", workflow_id=row.id
    )


def _deduplicated(tx: Tx, row: Start) -> Deduplicated:
    holder = tx.row(SQL.holder, scope=row.deduplication_scope, deduplication_id=row.deduplication_id)
    place = f"queue {row.queue!r}" if row.queue else f"workflow {row.name!r}"
    return Deduplicated(
        f"The deduplication id {row.deduplication_id!r} of {place} is held by the unfinished run"
        f" {holder[0] if holder else '(just ended)'}; wait for it, or cancel it",
        workflow_id=holder[0] if holder else None,
        queue_name=row.queue,
        deduplication_id=row.deduplication_id,
    )


@bulk
@locking(lock_all, lambda row: [Lock(run=row[1].run)])  # first: a run that is cancelled now starts no child any more
def start_child(tx: Tx, rows: Sequence[tuple[Start, Outcome]]) -> list[Started | Answer | Exception]:
    """Start runs from within runs, each together with the parent's step. A replay finds the same child."""
    answers = refusals(tx, ((step.run, step.fence) for _, step in rows))
    held = [index for index, (_, step) in enumerate(rows) if answers[step.run, step.fence] is Answer.DONE]
    results: list[Started | Answer | Exception] = [answers[step.run, step.fence] for _, step in rows]
    if held:
        for index, started in zip(held, start(tx, [rows[index][0] for index in held]), strict=True):
            results[index] = started
        noted = [rows[index][1] for index in held if isinstance(results[index], Started)]
        steps.record(tx, noted)
    return results


@on(Lane.CLAIMS)
def claim(tx: Tx, *, names: Sequence[str], limit: int, now_ms: int) -> list[Claimed]:
    """Take runs that are due and that nobody holds. Two executors never get the same one."""
    text = rows_json([[name] for name in names])
    claimed = [
        Claimed(*row)
        for row in tx.rows(
            SQL.claim, rows=text, limit=limit, now=now_ms, executor=tx.executor, incarnation=tx.incarnation
        )
    ]
    for one in claimed:
        if one.deadline_ms is not None:
            tx.wake("deadline", one.deadline_ms, remote=False)
    return claimed


@on(Lane.CLAIMS)
def requeue(tx: Tx, *, now_ms: int) -> int:
    """Send runs back to their queues that wait for a person without a slot and have something to do now."""
    queues = [queue for (queue,) in tx.rows(SQL.requeue, now=now_ms)]
    for queue in set(queues):
        tx.wake("queue", queue)
    return len(queues)


def next_requeue(tx: Tx) -> int | None:
    """When the next of those has something to do."""
    row = tx.row(SQL.next_requeue)
    return None if row is None else row[0]


def next_due(tx: Tx, *, names: Sequence[str], executor: str) -> int | None:
    """When the next unheld run of these workflows is due that this executor may take."""
    row = tx.row(SQL.next_due, rows=rows_json([[name] for name in names]), executor=executor)
    return None if row is None else row[0]


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run), Lock(ended=row.run)])
def finish(tx: Tx, rows: Sequence[Finish]) -> list[Answer]:
    """End runs with their outcomes, and tell all who wait for them."""
    ended = [Ended(*row) for row in tx.rows(SQL.finish, rows=rows_json(rows), executor=tx.executor)]
    if ended:
        _after_the_end(tx, ended, rows[0].now_ms)
    done = {one.run for one in ended}
    failed = [row.run for row in rows if row.error is not None and row.run in done]
    if failed:
        search.queue_reindex(tx, runs=failed)
        _note_failures(tx, ended, rows)
    missing = [(row.run, row.fence) for row in rows if row.run not in done]
    why = refusals(tx, missing) if missing else {}
    return [Answer.DONE if row.run in done else why[row.run, row.fence] for row in rows]


def _note_failures(tx: Tx, ended: Sequence[Ended], rows: Sequence[Finish]) -> None:
    names = {one.run: one.name for one in ended}
    noted = [
        Failure(row.run, names[row.run], row.error, row.failed_positions)
        for row in rows
        if row.run in names and row.status == WorkflowStatus.ERROR
    ]
    if noted:
        failures.note(tx, failures=noted, now_ms=rows[0].now_ms)


def _after_the_end(tx: Tx, ended: Sequence[Ended], now_ms: int) -> None:
    """What every end entails: its waits and gates closed, waits for it met, its slot free, its end announced."""
    if not ended:
        return
    runs = rows_json([[one.run] for one in ended])
    tx.defer(SQL.forget_waits, rows=runs)
    tx.defer(SQL.put_labels_back, rows=runs, label=WAITING_LABEL, color=WAITING_COLOR)
    tx.defer(SQL.close_gates, rows=runs, now=now_ms)
    waits.meet(tx, kind="result", subjects=[one.id for one in ended])
    deliveries.announce(tx, [Announcement(one.run, f"workflow.{one.status}", one.status, now_ms) for one in ended])
    for one in ended:
        tx.wake("done", (one.id, one.name, one.status))
    for queue in {one.queue for one in ended if one.queue is not None}:
        tx.wake("queue", queue)


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0])])
def park(tx: Tx, rows: Sequence[tuple[int, int]]) -> list[Answer]:
    """Let go of waiting runs, (run, fence): whoever is there when a wait is met takes them up."""
    parked = tx.rows(SQL.park, rows=rows_json(rows), executor=tx.executor)
    dues = [due for _, due, _, status in parked if due is not None and status != "ENQUEUED"]
    if dues:
        tx.wake("due", min(dues), remote=False)
    # Some gave their slot back: one that waits for a time is ENQUEUED by now, one that waits for a person says so.
    for queue in {queue for _, _, queue, status in parked if queue is not None and status != "PENDING"}:
        tx.wake("queue", queue)
    return _answers(tx, rows, {row[0] for row in parked})


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0])])
def release(tx: Tx, rows: Sequence[tuple[int, int]]) -> list[Answer]:
    """Give back runs that were interrupted in good order, (run, fence): due at once, the attempt not counted."""
    released = {run for run, _ in tx.rows(SQL.release, rows=rows_json(rows), executor=tx.executor)}
    if released:
        tx.wake("due", 0)
    return _answers(tx, rows, released)


def return_attempts(tx: Tx, *, pairs: Sequence[tuple[int, int]]) -> None:
    """Do not count the attempts of runs, (run, fence), that this executor was told to end and holds until it is gone.

    Whoever takes them up then counts one.
    """
    tx.run(SQL.return_attempts, rows=rows_json(pairs), executor=tx.executor)


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0])])
def set_aside(tx: Tx, rows: Sequence[tuple[int, int, str]]) -> list[Answer]:
    """Put runs aside, (run, fence, attention), until a person or new code takes care of them."""
    aside = dict(tx.rows(SQL.set_aside, rows=rows_json(rows), executor=tx.executor))
    _wake_queues(tx, aside.values())
    return _answers(tx, [(run, fence) for run, fence, _ in rows], set(aside))


def _answers(tx: Tx, rows: Sequence[tuple[int, int]], done: set[int]) -> list[Answer]:
    missing = [pair for pair in rows if pair[0] not in done]
    why = refusals(tx, missing) if missing else {}
    return [Answer.DONE if run in done else why[run, fence] for run, fence in rows]


def retry_set_aside(tx: Tx, *, names: Sequence[str], now_ms: int) -> int:
    """Give runs that were set aside another try: the code may have been put back."""
    queues = tx.rows(SQL.retry_set_aside, rows=rows_json([[name] for name in names]), now=now_ms)
    if queues:
        tx.wake("due", 0)
        _wake_queues(tx, (queue for (queue,) in queues))
    return len(queues)


def _wake_queues(tx: Tx, queues: Iterable[str | None]) -> None:
    for queue in {queue for queue in queues if queue is not None}:
        tx.wake("queue", queue)


def free(tx: Tx, *, executor_id: str, now_ms: int) -> int:
    """Set the runs of a dead executor free: queued ones back to their queue, others due at once, hopeless ones dead."""
    lock_held(tx, executor_id)
    dead = [Ended(*row) for row in tx.rows(SQL.dead_letter, executor_id=executor_id, now=now_ms)]
    _after_the_end(tx, dead, now_ms)
    if dead:
        failures.note(tx, failures=[Failure(one.run, one.name, None, None) for one in dead], now_ms=now_ms)
    freed = tx.rows(SQL.free, executor_id=executor_id, now=now_ms)
    free_slots(tx, executor_id=executor_id)
    for queue in {queue for _, queue in freed if queue is not None}:
        tx.wake("queue", queue)
    if freed:
        tx.wake("due", 0)
    return len(freed) + len(dead)


def free_slots(tx: Tx, *, executor_id: str) -> None:
    """Let parked runs go whose slots belonged to an executor that is gone."""
    for queue in {row[0] for row in tx.rows(SQL.free_slots, executor_id=executor_id)}:
        tx.wake("queue", queue)


def cancel(tx: Tx, *, run: int, reason: str, now_ms: int) -> bool:
    """Cancel a run and its descendants; whether it was still open. Durable before anybody is interrupted."""
    lock_families(tx, [run])
    ended = [Ended(*row) for row in tx.rows(SQL.cancel, run=run, reason=reason, inherited=PARENT_CANCELLED, now=now_ms)]
    newest = ended if tx.dialect == "postgres" else []
    while newest:  # what was committed while the statement waited for a row is not in its snapshot
        rows = rows_json([[one.run] for one in newest])
        newest = [
            Ended(*row) for row in tx.rows(SQL.cancel_children, rows=rows, inherited=PARENT_CANCELLED, now=now_ms)
        ]
        ended += newest
    _after_the_end(tx, ended, now_ms)
    for one in ended:
        if one.executor is not None:
            tx.wake("cancelled", (one.run, one.fence, reason if one.run == run else PARENT_CANCELLED))
    return any(one.run == run for one in ended)


def recall(tx: Tx, *, schedule_ids: Sequence[str], reason: str, now_ms: int) -> None:
    """Cancel the runs of schedules that have not begun: they wait out their jitter, or were not claimed yet."""
    rows = rows_json([[id_] for id_ in schedule_ids])
    _after_the_end(tx, [Ended(*row) for row in tx.rows(SQL.recall, rows=rows, reason=reason, now=now_ms)], now_ms)


@on(Lane.CLAIMS)
def expire(tx: Tx, *, now_ms: int, limit: int) -> int:
    """Cancel runs whose deadline has passed, wherever they are, with the reason `timeout`."""
    count = 0
    overdue = [run for (run,) in tx.rows(SQL.overdue, now=now_ms, limit=limit)]
    lock_families(tx, overdue)
    for run in overdue:
        count += cancel(tx, run=run, reason="timeout", now_ms=now_ms)
    return count


def next_deadline(tx: Tx) -> int | None:
    """The next deadline of an open run."""
    row = tx.row(SQL.next_deadline)
    return None if row is None else row[0]


def letters(tx: Tx, *, executor: str) -> list[tuple[int, int]]:
    """Runs of an executor, (run, fence), that were cancelled under its hands and not yet taken note of."""
    return [(run, fence) for run, fence in tx.rows(SQL.letters, executor=executor)]


def take_letters(tx: Tx, *, letters: Sequence[tuple[int, int]]) -> None:
    """Note that the owner has seen these letters, (run, fence)."""
    tx.run(SQL.take_letters, rows=rows_json(letters), executor=tx.executor)


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0])])
def take_letters_of(tx: Tx, rows: Sequence[tuple[int, int]]) -> list[None]:
    """`take_letters` as a bulk function."""
    take_letters(tx, letters=rows)
    return [None] * len(rows)


def resume(tx: Tx, *, run: int, now_ms: int) -> bool | Deduplicated:
    """Take a run up again that was cancelled, failed or dead-lettered (or set aside); whether anything changed.

    Its recorded steps stay; of a failed run only the failures that ended it are forgotten. Children that failed with
    it, or were cancelled with it, are taken up too.
    """
    row = tx.row(SQL.resumable, run=run)
    if row is None:
        return False
    status, failed_positions, scope, deduplication_id, attention = row
    if attention is not None:
        tx.wake("due", 0)
        _wake_queues(tx, (queue for (queue,) in tx.rows(SQL.clear_attention, run=run, now=now_ms)))
        return True
    if deduplication_id is not None:
        holder = tx.row(SQL.holder, scope=scope, deduplication_id=deduplication_id)
        if holder is not None:
            return Deduplicated(
                f"The run cannot be taken up: its deduplication id {deduplication_id!r} is now held by {holder[0]}",
                workflow_id=holder[0],
                deduplication_id=deduplication_id,
            )
    lock(tx, [run])
    if tx.row(SQL.resume, run=run, now=now_ms, status=status) is None:
        return False
    search.queue_reindex(tx, runs=[run])
    failures.forget(tx, runs=[run])
    for (child,) in tx.rows(SQL.cancelled_children, run=run, inherited=PARENT_CANCELLED):
        resume(tx, run=child, now_ms=now_ms)
    for position in (failed_positions or "").split():
        for (child,) in tx.rows(SQL.failed_children, run=run, position=position):
            resume(tx, run=child, now_ms=now_ms)
        tx.run(SQL.forget_misread_value, run=run, position=position)
        tx.run(SQL.forget_failure, run=run, position=position)
        tx.run(SQL.forget_expired_gate, run=run, position=position)
        tx.run(SQL.reopen_child, run=run, position=position)
        tx.run(SQL.forget_reading, run=run, position=position)
        tx.run(SQL.forget_attempts, run=run, position=position)
    (queue,) = tx.row(SQL.queue_of, run=run) or (None,)
    if queue is not None:
        tx.wake("queue", queue)
    else:
        tx.wake("due", 0)
    return True


def copy_history(
    tx: Tx,
    *,
    source: int,
    target: int,
    positions: Sequence[str],
    edits: Sequence[tuple[str, str | None, str | None]],
    now_ms: int,
) -> None:
    """Give a fork the recorded steps at `positions`, and the values they had published.

    `edits` are (position, output, error): what was recorded there instead. A step that is not over ends now.
    """
    if not positions:
        return
    text = rows_json([[position] for position in positions])
    tx.run(SQL.copy_steps, source=source, target=target, rows=text, now=now_ms)
    tx.run(SQL.copy_attempts, source=source, target=target, rows=text)
    tx.run(SQL.copy_values_history, source=source, target=target, rows=text)
    tx.run(SQL.rebuild_values, target=target)
    for position, output, error in edits:
        tx.run(SQL.edit_step, target=target, position=position, output=output, error=error)


def positions_of(tx: Tx, *, run: int) -> list[tuple[str, bool]]:
    """The recorded positions of a run, and whether each is done."""
    return [(position, ended is not None) for position, ended in tx.rows(SQL.positions_of, run=run)]


def run_of(tx: Tx, *, workflow_id: str) -> int | None:
    """The key of a run."""
    row = tx.row(SQL.run_of, id=workflow_id)
    return None if row is None else row[0]


def delete(tx: Tx, *, runs: Sequence[int]) -> int:
    """Remove runs that are over, with everything that belongs to them. Returns how many."""
    lock(tx, runs)
    text = rows_json([[run] for run in runs])
    over = [row[0] for row in tx.rows(SQL.delete, rows=text)]
    if over:
        text = rows_json([[run] for run in over])
        for statement in (
            SQL.delete_steps,
            SQL.delete_attempts,
            SQL.delete_waits,
            SQL.delete_messages,
            SQL.delete_values,
            SQL.delete_values_history,
            SQL.delete_assignees,
            SQL.delete_approvals,
            SQL.delete_tags,
            SQL.orphan_children,
        ):
            tx.run(statement, rows=text)
        products.forget(tx, runs=over)
        search.forget(tx, runs=over)
        failures.forget(tx, runs=over)
    return len(over)
