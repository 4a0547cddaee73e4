"""Queues: their limits, and the claims that never exceed them.

A slot is a row: a run of the queue that was claimed and is not over. Nothing is counted beside the rows, so nothing
can leak. A claim decides and takes in one transaction, which on Postgres holds the queue's row, so limits hold at every
instant and for all processes.
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
from turbine.tables.workflows import Claimed

SQL = Statements(Path(__file__))

UNLIMITED = 1_000_000_000


class Claim(NamedTuple):
    """What a claim brought: the runs, those among them that were never carried out before, and when to look again."""

    runs: list[Claimed]
    fresh: set[int]
    again_ms: int | None
    queue: Queue | None
    """The queue as it was."""


class Counts(NamedTuple):
    """A queue in numbers."""

    enqueued: int
    running: int
    completed: int
    failed: int


def declare(tx: Tx, *, queues: Sequence[Queue], now_ms: int) -> None:
    """Enter declared queues. Limits that were changed at run time stay, unless the declaration itself has changed."""
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
    """Change a queue at run time; every process keeps to it from its next claim on."""
    tx.run(SQL.save, now=now_ms, **_columns(queue))
    tx.wake("queue", queue.name)


def get(tx: Tx, *, name: str) -> Queue | None:
    """A queue as it is now."""
    row = tx.row(SQL.get, name=name)
    return None if row is None else _queue(row)


def listing(tx: Tx) -> list[Queue]:
    """All queues that this database knows."""
    return [_queue(row) for row in tx.rows(SQL.listing)]


def _queue(row: tuple[Any, ...]) -> Queue:
    name, workers, everywhere, rate, period_ms, priority, partitioned, batch_max, release, paused = row
    return Queue(
        name=name,
        worker_concurrency=workers,
        global_concurrency=everywhere,
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
    """Take from a queue what its limits allow now, the most urgent first, of workflows that this process knows.

    A run that is locked at the moment is passed over and found by the next look: a claim waits for its queue's row, and
    for nothing else. `expected`: the queue as it was the last time. If it has no limits, one round trip tells what to
    take. `rate_ms`: the time by which to measure rates, by default the database's.
    """
    known = rows_json([[one] for one in names])
    later = (SQL.next_delayed, {"queue": name, "now": now_ms})
    if expected is not None and _is_limitless(expected):
        held, found, delayed = tx.execute_many(
            (SQL.hold, {"name": name}), _urgent(expected, known, now_ms, expected.batch_max), later
        )
    else:
        held, found, delayed = tx.rows(SQL.hold, name=name), None, None
    if not held:
        return Claim([], set(), None, None)
    queue = _queue(held[0])
    if queue.paused:
        return Claim([], set(), None, queue)
    at_ms = _rate_clock(tx, queue, rate_ms) if queue.rate_limit is not None else now_ms
    again_ms = None
    if found is not None and queue == expected:
        chosen = [row[0] for row in found]
    elif queue.partitioned:
        chosen, again_ms = _choose_by_key(tx, queue, known, now_ms, at_ms)
    else:
        free, more_ms = _free(tx, queue, None, at_ms)
        chosen = _oldest(tx, queue, known, now_ms, None, min(free, queue.batch_max))
        again_ms = more_ms if len(chosen) == free else None
    if again_ms is not None:
        again_ms += now_ms - at_ms  # by the clock of this process
    taken = rows_json([[run] for run in chosen])
    take = (SQL.claim, {"rows": taken, "now": at_ms, "executor": tx.executor, "incarnation": tx.incarnation})
    asked = [*([take] if chosen else []), *([later] if delayed is None else [])]
    answers = tx.execute_many(*asked) if asked else []
    claimed = answers[0] if chosen else []
    delayed = answers[-1] if delayed is None else delayed
    if not chosen:
        return Claim([], set(), delayed[0][0] if again_ms is None else again_ms, queue)
    if queue.rate_limit is not None:
        tx.defer(SQL.forget_starts, queue=name, since=at_ms - queue.rate_limit.period_ms)
        tx.defer(SQL.note_starts, rows=rows_json([[row[0]] for row in claimed]), queue=name, now=at_ms)
    runs = [Claimed(*row[:9]) for row in claimed]
    order = {run: place for place, run in enumerate(chosen)}
    runs.sort(key=lambda one: order[one.run])
    for one in runs:
        if one.deadline_ms is not None:
            tx.wake("deadline", one.deadline_ms, remote=False)
    if len(chosen) >= queue.batch_max:
        again_ms = now_ms
    elif again_ms is None:
        again_ms = delayed[0][0]
    # The first claim of a run makes its fencing number 2; only a fork begins with a history.
    return Claim(runs, {row[0] for row in claimed if row[4] == 2 and row[9] is None}, again_ms, queue)


def _is_limitless(queue: Queue) -> bool:
    limits = (queue.all_workers, queue.worker_concurrency, queue.rate_limit)
    return not (queue.partitioned or queue.paused) and limits == (None, None, None)


def _rate_clock(tx: Tx, queue: Queue, given_ms: int | None) -> int:
    """The time of this claim for the rate: one clock for all processes, and never before the newest start."""
    now_ms, newest_ms = tx.row(SQL.rate_clock, queue=queue.name, at=given_ms) or (0, None)
    if newest_ms is not None and newest_ms > now_ms:
        tx.defer(SQL.move_starts, queue=queue.name, now=now_ms)
    return now_ms


def _free(tx: Tx, queue: Queue, key: str | None, at_ms: int) -> tuple[int, int | None]:
    """How many more may start now (of a key), and when the rate allows more, if it is the rate that limits."""
    free = UNLIMITED
    held = SQL.slots_of_key if queue.partitioned else SQL.slots
    everywhere = queue.all_workers
    if everywhere is not None or queue.worker_concurrency is not None:
        parameters: dict[str, Any] = {"key": key} if queue.partitioned else {}
        total, mine = tx.row(held, queue=queue.name, executor=tx.executor, **parameters) or (0, 0)
        if everywhere is not None:
            free = min(free, everywhere - total)
        if queue.worker_concurrency is not None:
            free = min(free, queue.worker_concurrency - mine)
    if queue.rate_limit is None:
        return max(0, free), None
    period_ms = queue.rate_limit.period_ms
    count, oldest_ms = tx.row(SQL.starts, queue=queue.name, key=key or "", since=at_ms - period_ms) or (0, None)
    left = queue.rate_limit.limit - count
    more_ms = (oldest_ms or at_ms) + period_ms if left <= free else None
    return max(0, min(free, left)), more_ms


def _choose_by_key(tx: Tx, queue: Queue, known: str, now_ms: int, at_ms: int) -> tuple[list[int], int | None]:
    chosen: list[int] = []
    again: list[int] = []
    keys = tx.rows(
        SQL.keys,
        queue=queue.name,
        rows=known,
        now=now_ms,
        executor=tx.executor,
        everywhere=UNLIMITED if queue.all_workers is None else queue.all_workers,
        here=UNLIMITED if queue.worker_concurrency is None else queue.worker_concurrency,
        limit=queue.batch_max * 10,
    )
    for (key,) in keys:
        if len(chosen) >= queue.batch_max:
            break
        free, more_ms = _free(tx, queue, key, at_ms)
        of_key = _oldest(tx, queue, known, now_ms, key, min(free, queue.batch_max - len(chosen)))
        if more_ms is not None and len(of_key) == free:
            again.append(more_ms)
        chosen += of_key
    return chosen, min(again, default=None)


def _oldest(tx: Tx, queue: Queue, known: str, now_ms: int, key: str | None, limit: int) -> list[int]:
    if limit <= 0:
        return []
    if queue.partitioned:
        statement = SQL.most_urgent_of_key if queue.priority else SQL.oldest_of_key
        rows = tx.rows(statement, queue=queue.name, rows=known, now=now_ms, key=key, limit=limit)
    else:
        statement, parameters = _urgent(queue, known, now_ms, limit)
        rows = tx.rows(statement, **parameters)
    return [row[0] for row in rows]


def _urgent(queue: Queue, known: str, now_ms: int, limit: int) -> tuple[Statement, dict[str, Any]]:
    """What to ask for the runs of a queue without keys that come first."""
    statement = SQL.most_urgent if queue.priority else SQL.oldest
    return statement, {"queue": queue.name, "rows": known, "now": now_ms, "limit": limit}


def has_due(tx: Tx, *, name: str, now_ms: int) -> bool:
    """Whether anybody waits in a queue whose time has come."""
    return tx.row(SQL.has_due, queue=name, now=now_ms) is not None


def counts(tx: Tx, *, name: str) -> Counts:
    """How many runs of a queue wait, hold a slot, succeeded and did not."""
    found: dict[str, int] = {row[0]: row[1] for row in tx.rows(SQL.counts, queue=name)}
    failed = sum(found.get(status, 0) for status in ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"))
    running = found.get("PENDING", 0) + found.get("WAITING_FOR_APPROVAL", 0)
    return Counts(found.get("ENQUEUED", 0), running, found.get("SUCCESS", 0), failed)


def counts_open(tx: Tx, *, name: str) -> Counts:
    """How many runs of a queue wait and hold a slot; what is over is not counted."""
    found: dict[str, int] = dict(tx.rows(SQL.counts_open, queue=name))
    running = found.get("PENDING", 0) + found.get("WAITING_FOR_APPROVAL", 0)
    return Counts(found.get("ENQUEUED", 0), running, 0, 0)


class Holder(NamedTuple):
    """A run that holds a slot of a queue."""

    run: int
    workflow_id: str
    name: str
    executor_id: str
    since_ms: int | None


def holders(tx: Tx, *, name: str, key: str | None = None, limit: int) -> list[Holder]:
    """Who holds the slots of a queue (of one key of it), the oldest first."""
    rows = tx.rows(SQL.holders, queue=name, key=key or "", any_key=int(key is None), limit=limit)
    return [Holder(*row) for row in rows]


class Blockage(NamedTuple):
    """Why nothing more is claimed from a queue for a run now; `more_ms` is when the rate allows the next start."""

    reason: str
    limit: int | None
    holders: list[Holder]
    more_ms: int | None
    waiting_for_it: list[int]
    """Holders that wait for the result of the very run: their slots and it wait for each other."""


def blockage(tx: Tx, *, name: str, key: str | None, workflow_id: str, now_ms: int) -> Blockage:
    """What keeps a run in its queue: `paused`, `limit`, `rate`, or `turn` when it only has to wait for its turn."""
    row = tx.row(SQL.get, name=name)
    if row is None:
        return Blockage("unknown", None, [], None, [])
    queue = _queue(row)
    if queue.paused:
        return Blockage("paused", None, [], None, [])
    held = holders(tx, name=name, key=key if queue.partitioned else None, limit=20)
    limits = [one for one in (queue.all_workers, queue.worker_concurrency) if one is not None]
    if limits and len(held) >= min(limits):
        runs = rows_json([[one.run] for one in held])
        waiting = [run for (run,) in tx.rows(SQL.waits_for, workflow_id=workflow_id, rows=runs)]
        return Blockage("limit", min(limits), held, None, waiting)
    if queue.rate_limit is not None:
        period_ms = queue.rate_limit.period_ms
        counted = tx.row(SQL.starts, queue=name, key=(key or "") if queue.partitioned else "", since=now_ms - period_ms)
        count, oldest_ms = counted or (0, None)
        if count >= queue.rate_limit.limit:
            return Blockage("rate", queue.rate_limit.limit, held, (oldest_ms or now_ms) + period_ms, [])
    return Blockage("turn", None, held, None, [])
