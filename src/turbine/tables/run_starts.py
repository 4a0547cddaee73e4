"""Starts of runs, also by other runs. A second start under the same id joins the existing run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.errors import Deduplicated, QueueNotFound, WorkflowConflict
from turbine.store import Statements, Tx, bulk
from turbine.store.tx import locking, rows_json
from turbine.tables import runs, steps
from turbine.tables.ownership import Answer, Lock, lock_all, refusals
from turbine.tables.runs import EndedRun
from turbine.tables.steps import Outcome

SQL = Statements(Path(__file__))


class Start(NamedTuple):
    """A row of `start`. `direct`: the starting executor executes the run itself, from this commit on."""

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
    """The schedule that started the run."""


class StartedRun(NamedTuple):
    """The answer of `start`: the run of the id; `is_new` when this call created it.

    `is_held`: the starting executor executes it. An executor that was evicted in the meantime leaves it to others.
    """

    run: int
    is_new: bool
    same_input: bool
    is_held: bool = False


@bulk
def start(tx: Tx, rows: Sequence[Start]) -> list[StartedRun | Exception]:
    """Create runs, or join the existing runs of their ids; a join writes nothing.

    Refuses another name or queue under the same id with WorkflowConflict, a deduplication id that an unfinished run
    holds with Deduplicated, an unknown queue with QueueNotFound, and a partition key that is missing or not allowed
    with ValueError.
    """
    inserted = tx.rows(SQL.start, rows=rows_json(rows), executor=tx.executor, incarnation=tx.incarnation)
    created = {id_: run for run, id_, _ in inserted}
    held = {run for run, _, is_held in inserted if is_held}
    queue_errors: dict[tuple[str, bool], Exception] = {}
    existing: dict[str, tuple[int, str, str | None, str]] = {}
    if len(created) < len(rows):
        queue_errors = _queue_errors(tx, rows)
        existing = {row[0]: row[1:] for row in tx.rows(SQL.existing, rows=rows_json([[row.id] for row in rows]))}
    tags = [[tag, created[row.id]] for row in rows if row.tags and row.id in created for tag in json.loads(row.tags)]
    if tags:
        tx.defer(SQL.add_tags, rows=rows_json(tags))
    results: list[StartedRun | Exception] = []
    queues: set[str] = set()
    due: list[int] = []
    for row in rows:
        error = None if row.queue is None else queue_errors.get((row.queue, row.partition is not None))
        if error is not None:
            results.append(error)
            continue
        run = created.pop(row.id, None)
        if run is not None:
            results.append(StartedRun(run, True, True, run in held))
            if row.completed_ms is not None:
                runs.after_end(tx, [EndedRun(run, row.id, row.name, row.status, None, None)], row.completed_ms)
            elif row.queue is not None:
                queues.add(row.queue)
            elif run not in held:
                due.append(row.wake_ms or 0)
            if row.deadline_ms is not None:
                tx.wake("deadline", row.deadline_ms)
        elif row.id in existing:
            results.append(_join(row, *existing[row.id]))
        elif row.deduplication_id is not None:
            results.append(_deduplicated(tx, row))
        else:  # its queue was declared between the two statements
            results.append(QueueNotFound(row.queue or ""))
    for queue in queues:
        tx.wake("queue", queue)
    if due:
        tx.wake("due", min(due))
    return results


def _queue_errors(tx: Tx, rows: Sequence[Start]) -> dict[tuple[str, bool], Exception]:
    """The errors of starts in queues that do not exist or do not fit, by (queue, has a partition key)."""
    pairs = {(row.queue, row.partition is not None) for row in rows if row.queue is not None}
    if not pairs:
        return {}
    partitioned = dict(tx.rows(SQL.existing_queues, rows=rows_json([[queue] for queue, _ in pairs])))
    errors: dict[tuple[str, bool], Exception] = {}
    for queue, has_key in pairs:
        if queue not in partitioned:
            errors[queue, has_key] = QueueNotFound(queue)
        elif partitioned[queue] and not has_key:
            errors[queue, has_key] = ValueError(
                f"queue {queue!r} is partitioned: pass options(partition_key=...), or the run would never be claimed"
            )
        elif has_key and not partitioned[queue]:
            errors[queue, has_key] = ValueError(
                f"queue {queue!r} is not partitioned: leave out partition_key, or declare partitioned=True"
            )
    return errors


def _join(row: Start, run: int, name: str, queue: str | None, inputs: str) -> StartedRun | WorkflowConflict:
    if name == row.name and queue == row.queue:
        return StartedRun(run, False, inputs == row.inputs)
    stored = f"workflow {name!r}" + (f" in queue {queue!r}" if queue else " without a queue")
    requested = f"workflow {row.name!r}" + (f" in queue {row.queue!r}" if row.queue else " without a queue")
    return WorkflowConflict(
        f"The id {row.id!r} belongs to {stored}, and {requested} was to be started; use another id", workflow_id=row.id
    )


def _deduplicated(tx: Tx, row: Start) -> Deduplicated:
    holder = runs.deduplication_holder(tx, row.deduplication_scope, row.deduplication_id)
    scope = f"queue {row.queue!r}" if row.queue else f"workflow {row.name!r}"
    return Deduplicated(
        f"The deduplication id {row.deduplication_id!r} of {scope} is held by the unfinished run"
        f" {holder or '(just ended)'}; wait for it, or cancel it",
        workflow_id=holder,
        queue_name=row.queue,
        deduplication_id=row.deduplication_id,
    )


@bulk
@locking(lock_all, lambda row: [Lock(run=row[1].run)])  # first: a run that is being cancelled starts no more children
def start_child(tx: Tx, rows: Sequence[tuple[Start, Outcome]]) -> list[StartedRun | Answer | Exception]:
    """Start runs from within runs, each together with the parent's step. A replay finds the same child."""
    answers = refusals(tx, ((step.run, step.fence) for _, step in rows))
    results: list[StartedRun | Answer | Exception] = [answers[step.run, step.fence] for _, step in rows]
    allowed = [index for index, answer in enumerate(results) if answer is Answer.DONE]
    if allowed:
        for index, started in zip(allowed, start(tx, [rows[index][0] for index in allowed]), strict=True):
            results[index] = started
        steps.record(tx, [rows[index][1] for index in allowed if isinstance(results[index], StartedRun)])
    return results
