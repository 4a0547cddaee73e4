"""Queues: their limits, and the claims that never exceed them.

A slot is a row: a run of the queue that was claimed and has not ended. There are no counters beside the rows, so no
slot can leak. A claim counts and takes in one transaction, which on Postgres locks the row of the queue, so the limits
hold at every instant and for all processes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from turbine.model.queues import Queue, RateLimit
from turbine.store import Statement, Statements, Tx
from turbine.store.tx import Lane, on, rows_json
from turbine.tables.runs import Claimed

SQL = Statements(Path(__file__))

UNLIMITED = 1_000_000_000


class Claim(NamedTuple):
    """The answer of `claim`."""

    runs: list[Claimed]
    fresh: set[int]
    """Those of the runs that were never executed before."""
    again_ms: int | None
    """When to claim again."""
    queue: Queue | None
    """The queue at the time of the claim."""


class QueueCounts(NamedTuple):
    """The number of runs of a queue that wait, hold a slot, succeeded, and did not succeed."""

    enqueued: int
    running: int
    completed: int
    failed: int


def declare(tx: Tx, *, queues: Sequence[Queue], now_ms: int) -> None:
    """Write declared queues. Limits changed at run time stay until the declaration itself changes."""
    for queue in queues:
        tx.run(SQL.declare, declared=_declaration(queue), now=now_ms, **_columns(queue))


def _declaration(queue: Queue) -> str:
    columns = _columns(queue)
    del columns["paused"]
    return json.dumps(columns, sort_keys=True)


def _columns(queue: Queue) -> dict[str, Any]:
    return {
        "name": queue.name,
        "worker_concurrency": queue.worker_concurrency,
        "global_concurrency": queue.global_concurrency,
        "rate_limit": queue.rate_limit.limit if queue.rate_limit else None,
        "rate_period_ms": queue.rate_limit.period_ms if queue.rate_limit else None,
        "priority": int(queue.priority),
        "partitioned": int(queue.partitioned),
        "batch_max": queue.batch_max,
        "release_while_waiting": int(queue.release_while_waiting),
        "paused": int(queue.paused),
    }


def save(tx: Tx, *, queue: Queue, now_ms: int) -> None:
    """Change a queue at run time; it applies to every process from its next claim on."""
    tx.run(SQL.save, now=now_ms, **_columns(queue))
    tx.wake("queue", queue.name)


def get(tx: Tx, *, name: str) -> Queue | None:
    """A queue by its name."""
    row = tx.row(SQL.get, name=name)
    return None if row is None else _queue(row)


def listing(tx: Tx) -> list[Queue]:
    """All queues."""
    return [_queue(row) for row in tx.rows(SQL.listing)]


def _queue(row: tuple[Any, ...]) -> Queue:
    name, per_worker, total, rate, period_ms, priority, partitioned, batch_max, release, paused = row
    return Queue(
        name=name,
        worker_concurrency=per_worker,
        global_concurrency=total,
        rate_limit=None if rate is None else RateLimit(rate, per=timedelta(milliseconds=period_ms)),
        priority=bool(priority),
        partitioned=bool(partitioned),
        batch_max=batch_max,
        release_while_waiting=bool(release),
        paused=bool(paused),
    )


@on(Lane.CLAIMS)
def claim(
    tx: Tx,
    *,
    name: str,
    names: Sequence[str],
    now_ms: int,
    expected: Queue | None = None,
    rate_ms: int | None = None,
) -> Claim:
    """Claim the runs of a queue that its limits allow now, the most urgent first, of the workflows `names`.

    A claim waits for the row of its queue and for nothing else: a run that is locked is left to the next claim.
    `expected` is the queue as it was last time; if it has no limits, one round trip finds the runs to claim. `rate_ms`
    is the time by which rates are measured, by default that of the database.
    """
    workflows = rows_json([[workflow] for workflow in names])
    next_delayed = (SQL.next_delayed, {"queue": name, "now": now_ms})
    if expected is not None and _is_limitless(expected):
        locked, unlimited, delayed = tx.execute_many(
            (SQL.lock, {"name": name}), _next_runs(expected, workflows, now_ms, expected.batch_max), next_delayed
        )
    else:
        locked, unlimited, delayed = tx.rows(SQL.lock, name=name), None, None
    if not locked:
        return Claim([], set(), None, None)
    queue = _queue(locked[0])
    if queue.paused:
        return Claim([], set(), None, queue)
    at_ms = _rate_clock(tx, queue, rate_ms) if queue.rate_limit is not None else now_ms
    again_ms = None
    if unlimited is not None and queue == expected:
        chosen = [row[0] for row in unlimited]
    elif queue.partitioned:
        chosen, again_ms = _choose_by_key(tx, queue, workflows, now_ms, at_ms)
    else:
        free, more_ms = _free_slots(tx, queue, None, at_ms)
        chosen = _choose(tx, queue, workflows, now_ms, None, min(free, queue.batch_max))
        again_ms = more_ms if len(chosen) == free else None
    if again_ms is not None:
        again_ms += now_ms - at_ms  # by the clock of this process
    parameters = {"now": at_ms, "executor": tx.executor, "incarnation": tx.incarnation}
    take = (SQL.claim, {"rows": rows_json([[run] for run in chosen]), **parameters})
    statements = [*([take] if chosen else []), *([next_delayed] if delayed is None else [])]
    answers = tx.execute_many(*statements) if statements else []
    claimed = answers[0] if chosen else []
    delayed = answers[-1] if delayed is None else delayed
    if not chosen:
        return Claim([], set(), delayed[0][0] if again_ms is None else again_ms, queue)
    if queue.rate_limit is not None:
        tx.defer(SQL.delete_old_starts, queue=name, since=at_ms - queue.rate_limit.period_ms)
        tx.defer(SQL.add_starts, rows=rows_json([[row[0]] for row in claimed]), queue=name, now=at_ms)
    order = {run: index for index, run in enumerate(chosen)}
    runs = sorted((Claimed(*row[:9]) for row in claimed), key=lambda run: order[run.run])
    for run in runs:
        if run.deadline_ms is not None:
            tx.wake("deadline", run.deadline_ms, remote=False)
    if len(chosen) >= queue.batch_max:
        again_ms = now_ms
    elif again_ms is None:
        again_ms = delayed[0][0]
    # The first claim of a run makes its fence 2; only a fork begins with a history.
    return Claim(runs, {row[0] for row in claimed if row[4] == 2 and row[9] is None}, again_ms, queue)


def _is_limitless(queue: Queue) -> bool:
    limits = (queue.all_workers, queue.worker_concurrency, queue.rate_limit)
    return not (queue.partitioned or queue.paused) and limits == (None, None, None)


def _rate_clock(tx: Tx, queue: Queue, given_ms: int | None) -> int:
    """The time by which the rate is measured: one clock for all processes, and never before the newest start."""
    now_ms, newest_ms = tx.row(SQL.rate_clock, queue=queue.name, at=given_ms) or (0, None)
    if newest_ms is not None and newest_ms > now_ms:
        tx.defer(SQL.clamp_starts, queue=queue.name, now=now_ms)
    return now_ms


def _free_slots(tx: Tx, queue: Queue, key: str | None, at_ms: int) -> tuple[int, int | None]:
    """How many runs (of a key) may start now, and when the rate allows more, if the rate is what limits them."""
    free = UNLIMITED
    if queue.all_workers is not None or queue.worker_concurrency is not None:
        slots = SQL.slots_of_key if queue.partitioned else SQL.slots
        parameters: dict[str, Any] = {"key": key} if queue.partitioned else {}
        total, own = tx.row(slots, queue=queue.name, executor=tx.executor, **parameters) or (0, 0)
        if queue.all_workers is not None:
            free = min(free, queue.all_workers - total)
        if queue.worker_concurrency is not None:
            free = min(free, queue.worker_concurrency - own)
    if queue.rate_limit is None:
        return max(0, free), None
    period_ms = queue.rate_limit.period_ms
    count, oldest_ms = tx.row(SQL.starts, queue=queue.name, key=key or "", since=at_ms - period_ms) or (0, None)
    left = queue.rate_limit.limit - count
    more_ms = (oldest_ms or at_ms) + period_ms if left <= free else None
    return max(0, min(free, left)), more_ms


def _choose_by_key(tx: Tx, queue: Queue, workflows: str, now_ms: int, at_ms: int) -> tuple[list[int], int | None]:
    chosen: list[int] = []
    again: list[int] = []
    keys = tx.rows(
        SQL.keys,
        queue=queue.name,
        rows=workflows,
        now=now_ms,
        executor=tx.executor,
        total=UNLIMITED if queue.all_workers is None else queue.all_workers,
        own=UNLIMITED if queue.worker_concurrency is None else queue.worker_concurrency,
        limit=queue.batch_max * 10,
    )
    for (key,) in keys:
        if len(chosen) >= queue.batch_max:
            break
        free, more_ms = _free_slots(tx, queue, key, at_ms)
        of_key = _choose(tx, queue, workflows, now_ms, key, min(free, queue.batch_max - len(chosen)))
        if more_ms is not None and len(of_key) == free:
            again.append(more_ms)
        chosen += of_key
    return chosen, min(again, default=None)


def _choose(tx: Tx, queue: Queue, workflows: str, now_ms: int, key: str | None, limit: int) -> list[int]:
    if limit <= 0:
        return []
    if queue.partitioned:
        statement = SQL.most_urgent_runs_of_key if queue.priority else SQL.oldest_runs_of_key
        rows = tx.rows(statement, queue=queue.name, rows=workflows, now=now_ms, key=key, limit=limit)
    else:
        statement, parameters = _next_runs(queue, workflows, now_ms, limit)
        rows = tx.rows(statement, **parameters)
    return [row[0] for row in rows]


def _next_runs(queue: Queue, workflows: str, now_ms: int, limit: int) -> tuple[Statement, dict[str, Any]]:
    """The statement that finds the next runs of a queue that is not partitioned, with its parameters."""
    statement = SQL.most_urgent_runs if queue.priority else SQL.oldest_runs
    return statement, {"queue": queue.name, "rows": workflows, "now": now_ms, "limit": limit}


def has_due(tx: Tx, *, name: str, now_ms: int) -> bool:
    """Whether a run of a queue waits and is due."""
    return tx.row(SQL.has_due, queue=name, now=now_ms) is not None


def counts(tx: Tx, *, name: str) -> QueueCounts:
    """The counts of a queue."""
    return _counts(dict(tx.rows(SQL.counts, queue=name)))


def counts_open(tx: Tx, *, name: str) -> QueueCounts:
    """The counts of a queue without its ended runs."""
    return _counts(dict(tx.rows(SQL.counts_open, queue=name)))


def _counts(by_status: dict[str, int]) -> QueueCounts:
    failed = sum(by_status.get(status, 0) for status in ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"))
    running = by_status.get("PENDING", 0) + by_status.get("WAITING_FOR_APPROVAL", 0)
    return QueueCounts(by_status.get("ENQUEUED", 0), running, by_status.get("SUCCESS", 0), failed)


class SlotHolder(NamedTuple):
    """A run that holds a slot of a queue."""

    run: int
    workflow_id: str
    name: str
    executor_id: str
    since_ms: int | None


def holders(tx: Tx, *, name: str, key: str | None = None, limit: int) -> list[SlotHolder]:
    """The runs that hold slots of a queue (or of one of its keys), the oldest first."""
    rows = tx.rows(SQL.holders, queue=name, key=key or "", any_key=int(key is None), limit=limit)
    return [SlotHolder(*row) for row in rows]


class Blockage(NamedTuple):
    """Why a run is not claimed from its queue; `more_ms` is when the rate allows the next start."""

    reason: str
    limit: int | None
    holders: list[SlotHolder]
    more_ms: int | None
    waiting_for_it: list[int]
    """Holders that wait for the result of this run, which is a deadlock."""


def blockage(tx: Tx, *, name: str, key: str | None, workflow_id: str, now_ms: int) -> Blockage:
    """The reason why a run stays in its queue: `paused`, `limit`, `rate`, or `turn` if others are before it."""
    row = tx.row(SQL.get, name=name)
    if row is None:
        return Blockage("unknown", None, [], None, [])
    queue = _queue(row)
    if queue.paused:
        return Blockage("paused", None, [], None, [])
    held = holders(tx, name=name, key=key if queue.partitioned else None, limit=20)
    limits = [limit for limit in (queue.all_workers, queue.worker_concurrency) if limit is not None]
    if limits and len(held) >= min(limits):
        runs = rows_json([[holder.run] for holder in held])
        waiting = [run for (run,) in tx.rows(SQL.waits_for, workflow_id=workflow_id, rows=runs)]
        return Blockage("limit", min(limits), held, None, waiting)
    if queue.rate_limit is not None:
        period_ms = queue.rate_limit.period_ms
        partition = (key or "") if queue.partitioned else ""
        count, oldest_ms = tx.row(SQL.starts, queue=name, key=partition, since=now_ms - period_ms) or (0, None)
        if count >= queue.rate_limit.limit:
            return Blockage("rate", queue.rate_limit.limit, held, (oldest_ms or now_ms) + period_ms, [])
    return Blockage("turn", None, held, None, [])
