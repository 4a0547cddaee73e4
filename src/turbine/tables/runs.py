"""Runs: every statement that moves a run's status, except its start (`run_starts`) and approvals.

Together they implement the table of transitions in `model/workflows.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.errors import Deduplicated
from turbine.model.approvals import WAITING_COLOR, WAITING_LABEL
from turbine.model.workflows import WorkflowStatus
from turbine.store import Statements, Tx, bulk
from turbine.store.tx import Lane, locking, on, rows_json
from turbine.tables import deliveries, failures, products, search, waits
from turbine.tables.deliveries import Announcement
from turbine.tables.failures import RunFailure
from turbine.tables.ownership import Answer, Lock, lock, lock_all, lock_held, lock_lineages, refusals

SQL = Statements(Path(__file__))

PARENT_CANCELLED = "its parent was cancelled"


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


class EndedRun(NamedTuple):
    """A run that has just ended."""

    run: int
    id: str
    name: str
    status: str
    queue: str | None
    executor: str | None
    fence: int = 0


def run_of(tx: Tx, *, workflow_id: str) -> int | None:
    """The key of a run."""
    row = tx.row(SQL.run_of, id=workflow_id)
    return None if row is None else row[0]


def deduplication_holder(tx: Tx, scope: str | None, deduplication_id: str | None) -> str | None:
    """The id of the unfinished run that holds a deduplication id."""
    row = tx.row(SQL.deduplication_holder, scope=scope, deduplication_id=deduplication_id)
    return None if row is None else row[0]


@on(Lane.CLAIMS)
def claim(tx: Tx, *, names: Sequence[str], limit: int, now_ms: int) -> list[Claimed]:
    """Claim runs that are due and not held. Two executors never claim the same one."""
    rows = rows_json([[name] for name in names])
    claimed = [
        Claimed(*row)
        for row in tx.rows(
            SQL.claim, rows=rows, limit=limit, now=now_ms, executor=tx.executor, incarnation=tx.incarnation
        )
    ]
    for run in claimed:
        if run.deadline_ms is not None:
            tx.wake("deadline", run.deadline_ms, remote=False)
    return claimed


@on(Lane.CLAIMS)
def requeue(tx: Tx, *, now_ms: int) -> int:
    """Enqueue runs that are due, wait for an approval and gave their slot back."""
    queues = [queue for (queue,) in tx.rows(SQL.requeue, now=now_ms)]
    _wake_queues(tx, queues)
    return len(queues)


def next_requeue(tx: Tx) -> int | None:
    """When `requeue` has something to do next."""
    row = tx.row(SQL.next_requeue)
    return None if row is None else row[0]


def next_due(tx: Tx, *, names: Sequence[str], executor: str) -> int | None:
    """When the next run of these workflows is due that this executor may claim."""
    row = tx.row(SQL.next_due, rows=rows_json([[name] for name in names]), executor=executor)
    return None if row is None else row[0]


@bulk
@locking(lock_all, lambda row: [Lock(run=row.run), Lock(ended=row.run)])
def finish(tx: Tx, rows: Sequence[Finish]) -> list[Answer]:
    """End runs with their outcomes, and meet the waits for their results."""
    ended = [EndedRun(*row) for row in tx.rows(SQL.finish, rows=rows_json(rows), executor=tx.executor)]
    names = {run.run: run.name for run in ended}
    after_end(tx, ended, rows[0].now_ms)
    with_error = [row for row in rows if row.error is not None and row.run in names]
    if with_error:
        search.queue_reindex(tx, runs=[row.run for row in with_error])
    failed = [
        RunFailure(row.run, names[row.run], row.error, row.failed_positions)
        for row in rows
        if row.run in names and row.status == WorkflowStatus.ERROR
    ]
    if failed:
        failures.record(tx, failures=failed, now_ms=rows[0].now_ms)
    return _answers(tx, [(row.run, row.fence) for row in rows], set(names))


def after_end(tx: Tx, ended: Sequence[EndedRun], now_ms: int) -> None:
    """Do what follows every end: close waits and approvals, meet waits for the result, free the slot, announce it."""
    if not ended:
        return
    rows = rows_json([[run.run] for run in ended])
    tx.defer(SQL.delete_waits, rows=rows)
    tx.defer(SQL.restore_app_status, rows=rows, label=WAITING_LABEL, color=WAITING_COLOR)
    tx.defer(SQL.close_approvals, rows=rows, now=now_ms)
    waits.meet(tx, kind="result", subjects=[run.id for run in ended])
    deliveries.announce(tx, [Announcement(run.run, f"workflow.{run.status}", run.status, now_ms) for run in ended])
    for run in ended:
        tx.wake("done", (run.id, run.name, run.status))
    _wake_queues(tx, (run.queue for run in ended))


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0])])
def park(tx: Tx, rows: Sequence[tuple[int, int]]) -> list[Answer]:
    """Release waiting runs, (run, fence). Any executor may claim them when a wait is met."""
    parked = tx.rows(SQL.park, rows=rows_json(rows), executor=tx.executor)
    dues = [due for _, due, _, status in parked if due is not None and status != "ENQUEUED"]
    if dues:
        tx.wake("due", min(dues), remote=False)
    # Some gave their slot back: they are ENQUEUED by now, or WAITING_FOR_APPROVAL.
    _wake_queues(tx, (queue for _, _, queue, status in parked if status != "PENDING"))
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
    """Uncount the attempts of runs, (run, fence), that this executor stops executing but holds until it is gone.

    The executor that claims them next counts one.
    """
    tx.run(SQL.return_attempts, rows=rows_json(pairs), executor=tx.executor)


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0])])
def set_aside(tx: Tx, rows: Sequence[tuple[int, int, str]]) -> list[Answer]:
    """Set runs aside, (run, fence, attention), until an operator resumes them or the code changes."""
    queues = dict(tx.rows(SQL.set_aside, rows=rows_json(rows), executor=tx.executor))
    _wake_queues(tx, queues.values())
    return _answers(tx, [(run, fence) for run, fence, _ in rows], set(queues))


def _answers(tx: Tx, rows: Sequence[tuple[int, int]], done: set[int]) -> list[Answer]:
    missing = [pair for pair in rows if pair[0] not in done]
    refused = refusals(tx, missing) if missing else {}
    return [Answer.DONE if run in done else refused[run, fence] for run, fence in rows]


def retry_set_aside(tx: Tx, *, names: Sequence[str], now_ms: int) -> int:
    """Make runs due that were set aside: the code may fit their history again."""
    queues = tx.rows(SQL.retry_set_aside, rows=rows_json([[name] for name in names]), now=now_ms)
    if queues:
        tx.wake("due", 0)
        _wake_queues(tx, (queue for (queue,) in queues))
    return len(queues)


def _wake_queues(tx: Tx, queues: Iterable[str | None]) -> None:
    for queue in {queue for queue in queues if queue is not None}:
        tx.wake("queue", queue)


def release_held(tx: Tx, *, executor_id: str, now_ms: int) -> int:
    """Release the runs of a dead executor: enqueued or due at once, or ended if they were recovered too often."""
    lock_held(tx, executor_id)
    dead = [EndedRun(*row) for row in tx.rows(SQL.dead_letter, executor_id=executor_id, now=now_ms)]
    after_end(tx, dead, now_ms)
    if dead:
        failures.record(tx, failures=[RunFailure(run.run, run.name, None, None) for run in dead], now_ms=now_ms)
    released = tx.rows(SQL.release_held, executor_id=executor_id, now=now_ms)
    release_slots(tx, executor_id=executor_id)
    _wake_queues(tx, (queue for _, queue in released))
    if released:
        tx.wake("due", 0)
    return len(released) + len(dead)


def release_slots(tx: Tx, *, executor_id: str) -> None:
    """Enqueue parked runs that hold slots of an executor that is gone."""
    _wake_queues(tx, (queue for (queue,) in tx.rows(SQL.release_slots, executor_id=executor_id)))


def cancel(tx: Tx, *, run: int, reason: str, now_ms: int) -> bool:
    """Cancel a run and its open descendants; whether the run was open."""
    lock_lineages(tx, [run])
    rows = tx.rows(SQL.cancel, run=run, reason=reason, inherited=PARENT_CANCELLED, now=now_ms)
    newest = ended = [EndedRun(*row) for row in rows]
    while newest and tx.dialect == "postgres":  # children committed while the statement waited for a lock
        parents = rows_json([[parent.run] for parent in newest])
        rows = tx.rows(SQL.cancel_children, rows=parents, inherited=PARENT_CANCELLED, now=now_ms)
        newest = [EndedRun(*row) for row in rows]
        ended = ended + newest
    after_end(tx, ended, now_ms)
    for member in ended:
        if member.executor is not None:
            tx.wake("cancelled", (member.run, member.fence, reason if member.run == run else PARENT_CANCELLED))
    return any(member.run == run for member in ended)


def cancel_unstarted(tx: Tx, *, schedule_ids: Sequence[str], reason: str, now_ms: int) -> None:
    """Cancel runs of schedules that have not started: their jitter is not over, or they were not claimed yet."""
    schedules = rows_json([[id_] for id_ in schedule_ids])
    rows = tx.rows(SQL.cancel_unstarted, rows=schedules, reason=reason, now=now_ms)
    after_end(tx, [EndedRun(*row) for row in rows], now_ms)


@on(Lane.CLAIMS)
def expire(tx: Tx, *, now_ms: int, limit: int) -> int:
    """Cancel runs whose deadline has passed, wherever they are, with the reason `timeout`."""
    overdue = [run for (run,) in tx.rows(SQL.overdue, now=now_ms, limit=limit)]
    lock_lineages(tx, overdue)
    return sum(cancel(tx, run=run, reason="timeout", now_ms=now_ms) for run in overdue)


def next_deadline(tx: Tx) -> int | None:
    """The next deadline of an open run."""
    row = tx.row(SQL.next_deadline)
    return None if row is None else row[0]


def pending_cancellations(tx: Tx, *, executor: str) -> list[tuple[int, int]]:
    """Cancelled runs, (run, fence), that their executor has not acknowledged yet."""
    return [(run, fence) for run, fence in tx.rows(SQL.pending_cancellations, executor=executor)]


@bulk
@locking(lock_all, lambda row: [Lock(run=row[0])])
def acknowledge_cancellation(tx: Tx, rows: Sequence[tuple[int, int]]) -> list[None]:
    """Record that the owner knows of cancellations, (run, fence)."""
    tx.run(SQL.acknowledge_cancellation, rows=rows_json(rows), executor=tx.executor)
    return [None] * len(rows)


def resume(tx: Tx, *, run: int, now_ms: int) -> bool | Deduplicated:
    """Resume a run that was cancelled, failed, dead-lettered or set aside; whether anything changed.

    Its recorded steps stay; of a failed run only the failures that ended it are deleted. Children that failed with it,
    or were cancelled with it, are resumed too.
    """
    row = tx.row(SQL.resumable, run=run)
    if row is None:
        return False
    status, failed_positions, scope, deduplication_id, attention = row
    if attention is not None:
        tx.wake("due", 0)
        _wake_queues(tx, (queue for (queue,) in tx.rows(SQL.clear_attention, run=run, now=now_ms)))
        return True
    holder = None if deduplication_id is None else deduplication_holder(tx, scope, deduplication_id)
    if holder is not None:
        return Deduplicated(
            f"The run cannot be resumed: its deduplication id {deduplication_id!r} is now held by {holder}",
            workflow_id=holder,
            deduplication_id=deduplication_id,
        )
    lock(tx, [run])
    resumed = tx.row(SQL.resume, run=run, now=now_ms, status=status)
    if resumed is None:
        return False
    search.queue_reindex(tx, runs=[run])
    failures.forget_runs(tx, runs=[run])
    for (child,) in tx.rows(SQL.cancelled_children, run=run, inherited=PARENT_CANCELLED):
        resume(tx, run=child, now_ms=now_ms)
    for position in (failed_positions or "").split():
        for (child,) in tx.rows(SQL.failed_children, run=run, position=position):
            resume(tx, run=child, now_ms=now_ms)
        tx.run(SQL.forget_misread_value, run=run, position=position)
        tx.run(SQL.delete_failed_step, run=run, position=position)
        tx.run(SQL.reset_expired_approval, run=run, position=position)
        tx.run(SQL.reopen_child, run=run, position=position)
        tx.run(SQL.forget_reading, run=run, position=position)
        tx.run(SQL.delete_step_attempts, run=run, position=position)
    (queue,) = resumed
    if queue is not None:
        tx.wake("queue", queue)
    else:
        tx.wake("due", 0)
    return True


def delete(tx: Tx, *, runs: Sequence[int]) -> int:
    """Delete runs that have ended, with everything that belongs to them. Returns how many."""
    lock(tx, runs)
    ended = [run for (run,) in tx.rows(SQL.delete, rows=rows_json([[run] for run in runs]))]
    if ended:
        rows = rows_json([[run] for run in ended])
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
            tx.run(statement, rows=rows)
        products.delete(tx, runs=ended)
        search.remove(tx, runs=ended)
        failures.forget_runs(tx, runs=ended)
    return len(ended)
