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
from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables.workflows import Claimed

SQL = Statements(Path(__file__))

UNLIMITED = 1_000_000_000


class Claim(NamedTuple):
    """What a claim brought: the runs, those among them that were never carried out before, and when to look again."""

    runs: list[Claimed]
    fresh: set[int]
    again_ms: int | None


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
    row = tx.one(SQL.get, name=name)
    return None if row is None else _queue(row)


def listing(tx: Tx) -> list[Queue]:
    """All queues that this database knows."""
    return [_queue(row) for row in tx.all(SQL.listing)]


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


def claim(tx: Tx, *, name: str, names: Sequence[str], now_ms: int) -> Claim:
    """Take from a queue what its limits allow now, the most urgent first, of workflows that this process knows."""
    row = tx.one(SQL.hold, name=name)
    if row is None:
        return Claim([], set(), None)
    queue = _queue(row)
    if queue.paused:
        return Claim([], set(), None)
    known = rows_json([[one] for one in names])
    if queue.partitioned:
        chosen, again_ms = _choose_by_key(tx, queue, known, now_ms)
    else:
        free, again_ms = _free(tx, queue, None, now_ms)
        chosen = _oldest(tx, queue, known, now_ms, None, min(free, queue.batch_max))
    if again_ms is None:
        later = tx.one(SQL.next_delayed, queue=name, now=now_ms)
        again_ms = later[0] if later else None
    if not chosen:
        return Claim([], set(), again_ms)
    claimed = tx.all(SQL.claim, rows=rows_json([[run] for run in chosen]), now=now_ms, executor=tx.executor)
    if queue.rate_limit is not None:
        tx.run(SQL.note_starts, rows=rows_json([[row[0]] for row in claimed]), queue=name, now=now_ms)
    runs = [Claimed(*row[:9]) for row in claimed]
    order = {run: place for place, run in enumerate(chosen)}
    runs.sort(key=lambda one: order[one.run])
    for one in runs:
        if one.deadline_ms is not None:
            tx.wake("deadline", one.deadline_ms, far=False)
    if len(chosen) >= queue.batch_max:
        again_ms = now_ms
    # The first claim of a run makes its fencing number 2; only a fork begins with a history.
    return Claim(runs, {row[0] for row in claimed if row[4] == 2 and row[9] is None}, again_ms)


def _free(tx: Tx, queue: Queue, key: str | None, now_ms: int) -> tuple[int, int | None]:
    """How many more may start now (of a key), and when that changes by itself."""
    free = UNLIMITED
    held = SQL.slots_of_key if queue.partitioned else SQL.slots
    everywhere = queue.all_workers
    if everywhere is not None or queue.worker_concurrency is not None:
        parameters: dict[str, Any] = {"key": key} if queue.partitioned else {}
        row = tx.one(
            held, queue=queue.name, executor=tx.executor, parked=int(not queue.release_while_waiting), **parameters
        )
        total, mine = row or (0, 0)
        if everywhere is not None:
            free = min(free, everywhere - total)
        if queue.worker_concurrency is not None:
            free = min(free, queue.worker_concurrency - mine)
    if queue.rate_limit is None:
        return max(0, free), None
    since_ms = now_ms - queue.rate_limit.period_ms
    tx.run(SQL.forget_starts, queue=queue.name, since=since_ms)
    count, oldest_ms = tx.one(SQL.starts, queue=queue.name, key=key or "", since=since_ms) or (0, None)
    left = queue.rate_limit.limit - count
    again_ms = None
    if left <= 0 and oldest_ms is not None:
        again_ms = oldest_ms + queue.rate_limit.period_ms + 1
    return max(0, min(free, left)), again_ms


def _choose_by_key(tx: Tx, queue: Queue, known: str, now_ms: int) -> tuple[list[int], int | None]:
    chosen: list[int] = []
    again: list[int] = []
    for (key,) in tx.all(SQL.keys, queue=queue.name, now=now_ms, limit=queue.batch_max * 10):
        if len(chosen) >= queue.batch_max:
            break
        free, again_ms = _free(tx, queue, key, now_ms)
        if again_ms is not None:
            again.append(again_ms)
        if free > 0:
            chosen += _oldest(tx, queue, known, now_ms, key, min(free, queue.batch_max - len(chosen)))
    return chosen, min(again, default=None)


def _oldest(tx: Tx, queue: Queue, known: str, now_ms: int, key: str | None, limit: int) -> list[int]:
    if limit <= 0:
        return []
    statement = SQL.most_urgent if queue.priority else SQL.oldest
    if queue.partitioned:
        statement = SQL.most_urgent_of_key if queue.priority else SQL.oldest_of_key
        rows = tx.all(statement, queue=queue.name, rows=known, now=now_ms, key=key, limit=limit)
    else:
        rows = tx.all(statement, queue=queue.name, rows=known, now=now_ms, limit=limit)
    return [row[0] for row in rows]


def has_due(tx: Tx, *, name: str, now_ms: int) -> bool:
    """Whether anybody waits in a queue whose time has come."""
    return tx.one(SQL.has_due, queue=name, now=now_ms) is not None


def counts(tx: Tx, *, name: str) -> Counts:
    """How many runs of a queue wait, hold a slot, succeeded and did not."""
    found: dict[str, int] = {row[0]: row[1] for row in tx.all(SQL.counts, queue=name)}
    failed = sum(found.get(status, 0) for status in ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"))
    running = found.get("PENDING", 0) + found.get("WAITING_FOR_APPROVAL", 0)
    return Counts(found.get("ENQUEUED", 0), running, found.get("SUCCESS", 0), failed)
