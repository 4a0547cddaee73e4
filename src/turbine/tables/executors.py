"""The executor registry: which processes execute runs, until when, and how dead ones are evicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.errors import Conflict
from turbine.store import Statements, Tx
from turbine.store.tx import LANES, Lane, on, rows_json
from turbine.tables import deliveries, runs

SQL = Statements(Path(__file__))

PAST_KEPT = 200
INCARNATIONS_KEPT = 10_000
BATCHES_KEPT = 1000
"""Launches whose last batches are kept, for processes that still have to learn whether one was committed."""


class ProcessMetrics(NamedTuple):
    """The load of a process: busy threads, delay of the event loop, memory; None is unknown."""

    threads: int | None
    threads_max: int | None
    loop_delay_ms: int | None
    memory_bytes: int | None


class ExecutorRow(NamedTuple):
    """A registered executor; `lease_left_ms` is measured by the clock of the database."""

    executor_id: str
    incarnation: int
    application_id: str
    application_version: str
    machine: str
    lock_path: str | None
    lock_token: str | None
    hostname: str
    process_id: int
    started_ms: int
    lease_ms: int
    lease_until_ms: int
    lease_left_ms: int
    names: str
    threads: int | None
    threads_max: int | None
    loop_delay_ms: int | None
    memory_bytes: int | None


class PastExecutorRow(NamedTuple):
    """An executor that is gone: evicted by `taken_by`, or deregistered by itself."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str
    started_ms: int
    left_ms: int
    taken_by: str | None
    runs: int


def start_incarnation(
    tx: Tx,
    *,
    executor_id: str,
    former_incarnation: int | None,
    lease_ms: int,
    now_ms: int,
    process_metrics: ProcessMetrics,
    **columns: Any,
) -> int | Conflict:
    """Register a launch under an executor id. Returns its incarnation, which fences everything that it writes.

    `former_incarnation`: an earlier launch of the same id, known to be dead, which is evicted first. Refuses with
    Conflict while any other launch holds the id.
    """
    holder = tx.row(SQL.lock, executor_id=executor_id)
    if holder is not None and holder[0] == former_incarnation:
        _evict(tx, executor_id, holder[0], now_ms, taken_by=executor_id)
    elif holder is None:
        runs.release_held(tx, executor_id=executor_id, now_ms=now_ms)
    process = {name: columns[name] for name in ("hostname", "process_id", "application_version")}
    row = tx.row(SQL.start_incarnation, executor_id=executor_id, now=now_ms, **process)
    assert row is not None
    incarnation = int(row[0])
    columns |= process_metrics._asdict()
    if not tx.rows(
        SQL.register, executor_id=executor_id, incarnation=incarnation, lease=lease_ms, now=now_ms, **columns
    ):
        return Conflict(
            f"The executor id {executor_id!r} belongs to another process that is alive; give each process its own"
            " executor_id, or none"
        )
    tx.run(SQL.open_batches, incarnation=incarnation, executor_id=executor_id, lanes=LANES)
    tx.run(SQL.delete_old_batches, incarnation=incarnation - BATCHES_KEPT)
    tx.run(SQL.delete_old_incarnations, incarnation=incarnation - INCARNATIONS_KEPT)
    return incarnation


@on(Lane.LEASE)
def renew(tx: Tx, *, executor_id: str, incarnation: int, lease_ms: int, process_metrics: ProcessMetrics) -> bool:
    """Renew the lease of a launch; False when it was evicted."""
    metrics = process_metrics._asdict()
    return tx.run(SQL.renew, executor_id=executor_id, incarnation=incarnation, lease=lease_ms, **metrics) > 0


def registered(tx: Tx) -> list[ExecutorRow]:
    """All registered executors."""
    return [ExecutorRow(*row) for row in tx.rows(SQL.registered)]


def get(tx: Tx, *, executor_id: str) -> ExecutorRow | None:
    """The registered executor of an id."""
    row = tx.row(SQL.get, executor_id=executor_id)
    return None if row is None else ExecutorRow(*row)


def evict(tx: Tx, *, executor_id: str, incarnation: int, seen_lease_ms: int | None, now_ms: int) -> int | None:
    """Evict a dead executor and release its runs. Returns how many.

    None when that launch is gone, or when its lease was renewed since it was seen to end at `seen_lease_ms` (None: it
    is known to be dead). From this commit on nothing that it writes for a run is accepted.
    """
    row = tx.row(SQL.lock, executor_id=executor_id)
    if row is None or row[0] != incarnation or (seen_lease_ms is not None and row[1] != seen_lease_ms):
        return None
    return _evict(tx, executor_id, incarnation, now_ms, taken_by=tx.executor)


def _evict(tx: Tx, executor_id: str, incarnation: int, now_ms: int, *, taken_by: str) -> int:
    tx.run(SQL.close_batches, incarnation=incarnation)
    deliveries.release_all(tx, executor_id=executor_id)
    released = runs.release_held(tx, executor_id=executor_id, now_ms=now_ms)
    _deregister(tx, executor_id, taken_by=taken_by, released=released)
    return released


def deregister(tx: Tx, *, executor_id: str, incarnation: int) -> None:
    """Deregister an executor that shuts down."""
    row = tx.row(SQL.lock, executor_id=executor_id)
    if row is None or row[0] != incarnation:
        return
    _deregister(tx, executor_id, taken_by=None, released=0)
    tx.run(SQL.close_batches, incarnation=incarnation)
    runs.release_slots(tx, executor_id=executor_id)
    deliveries.release_all(tx, executor_id=executor_id)


def _deregister(tx: Tx, executor_id: str, *, taken_by: str | None, released: int) -> None:
    tx.run(SQL.add_past, executor_id=executor_id, taken_by=taken_by, runs=released)
    tx.run(SQL.deregister, executor_id=executor_id)
    tx.run(SQL.delete_old_past, kept=PAST_KEPT)


def release_orphans(tx: Tx, *, executor_id: str, now_ms: int) -> int:
    """Release the runs of an executor that is not registered; 0 when it has registered again."""
    if tx.row(SQL.lock, executor_id=executor_id) is not None:
        return 0
    deliveries.release_all(tx, executor_id=executor_id)
    return runs.release_held(tx, executor_id=executor_id, now_ms=now_ms)


def held_runs(tx: Tx, *, executor_id: str) -> list[tuple[int, int]]:
    """The open runs, (run, fence), of an executor."""
    return [(run, fence) for run, fence in tx.rows(SQL.held_runs, executor_id=executor_id)]


def past_executors(tx: Tx, *, limit: int) -> list[PastExecutorRow]:
    """The executors that are gone, newest first."""
    return [PastExecutorRow(*row) for row in tx.rows(SQL.past_executors, limit=limit)]


def orphans(tx: Tx) -> list[str]:
    """Executors that hold runs or deliveries but are not registered."""
    return sorted({row[0] for row in tx.rows(SQL.orphans)}.union(deliveries.unregistered_holders(tx)))


def known_workflows(tx: Tx, *, names: Sequence[str]) -> set[str]:
    """Those of these workflows that a live executor has registered."""
    return {row[0] for row in tx.rows(SQL.known_workflows, rows=rows_json([[name] for name in names]))}
