"""Executors: who holds runs, until when, and what happens to the runs of the dead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.errors import Conflict
from turbine.store import Statements, Tx
from turbine.store.tx import LANES, Lane, on, rows_json
from turbine.tables import deliveries, workflows

SQL = Statements(Path(__file__))


DEPARTURES_KEPT = 200
LIVES_KEPT = 10_000
BATCHES_KEPT = 1000
"""Launches whose last batches are remembered, for those who still ask what became of one."""


class ProcessMetrics(NamedTuple):
    """How a process fares: its busy threads, how late its event loop was, the memory it uses; None is unknown."""

    threads: int | None
    threads_max: int | None
    loop_delay_ms: int | None
    memory_bytes: int | None


class Executor(NamedTuple):
    """A process that holds runs. `lease_left_ms` is told by the clock of the database."""

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


class PastExecutor(NamedTuple):
    """An executor that is gone; `taken_by` found it dead and set its runs free, or it left by itself."""

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
    """Register a launch under an id and answer its number, by which everything that it writes is fenced.

    `former_life`: an earlier launch of the same id, known to be dead, which is evicted with it. Refuses with Conflict
    while any other launch holds the id.
    """
    held = tx.row(SQL.lock_dead, executor_id=executor_id)
    if held is not None and held[0] == former_incarnation:
        freed = _free(tx, executor_id, held[0], now_ms)
        _deregister(tx, executor_id, taken_by=executor_id, runs=freed)
    elif held is None:
        workflows.free(tx, executor_id=executor_id, now_ms=now_ms)
    known = {name: columns[name] for name in ("hostname", "process_id", "application_version")}
    row = tx.row(SQL.start_incarnation, executor_id=executor_id, now=now_ms, **known)
    assert row is not None
    incarnation = int(row[0])
    if (
        tx.row(
            SQL.register,
            executor_id=executor_id,
            incarnation=incarnation,
            lease=lease_ms,
            now=now_ms,
            **columns,
            **process_metrics._asdict(),
        )
        is None
    ):
        return Conflict(
            f"The executor id {executor_id!r} belongs to another process that is alive; give each process its own"
            " executor_id, or none"
        )
    tx.run(SQL.open_batches, incarnation=incarnation, executor_id=executor_id, lanes=LANES)
    tx.run(SQL.forget_batches, incarnation=incarnation - BATCHES_KEPT)
    tx.run(SQL.forget_lives, incarnation=incarnation - LIVES_KEPT)
    return incarnation


@on(Lane.LEASE)
def renew(tx: Tx, *, executor_id: str, incarnation: int, lease_ms: int, process_metrics: ProcessMetrics) -> bool:
    """Extend the lease of a launch; False when it was evicted meanwhile."""
    return (
        tx.run(SQL.renew, executor_id=executor_id, incarnation=incarnation, lease=lease_ms, **process_metrics._asdict())
        > 0
    )


def live(tx: Tx) -> list[Executor]:
    """All registered executors."""
    return [Executor(*row) for row in tx.rows(SQL.live)]


def get(tx: Tx, *, executor_id: str) -> Executor | None:
    """The launch that holds an id."""
    row = tx.row(SQL.get, executor_id=executor_id)
    return None if row is None else Executor(*row)


def evict(tx: Tx, *, executor_id: str, incarnation: int, seen_lease_ms: int | None, now_ms: int) -> int | None:
    """Evict an executor that is dead, and set its runs free. Returns their number.

    None when that launch is gone already, or when its lease was renewed since it was seen to end at `seen_lease_ms`
    (None: it is known to be dead). From this commit on nothing that it writes for a run is accepted.
    """
    row = tx.row(SQL.lock_dead, executor_id=executor_id)
    if row is None or row[0] != incarnation or (seen_lease_ms is not None and row[1] != seen_lease_ms):
        return None
    freed = _free(tx, executor_id, incarnation, now_ms)
    _deregister(tx, executor_id, taken_by=tx.executor, runs=freed)
    return freed


def deregister(tx: Tx, *, executor_id: str, incarnation: int) -> None:
    """Deregister an executor that ends in good order."""
    row = tx.row(SQL.lock_dead, executor_id=executor_id)
    if row is None or row[0] != incarnation:
        return
    _deregister(tx, executor_id, taken_by=None, runs=0)
    tx.run(SQL.close_batches, incarnation=incarnation)
    workflows.free_slots(tx, executor_id=executor_id)
    deliveries.free(tx, executor_id=executor_id)


def release_orphans(tx: Tx, *, executor_id: str, now_ms: int) -> int:
    """Set the runs of an executor free that is not registered; 0 when it is again."""
    if tx.row(SQL.lock_dead, executor_id=executor_id) is not None:
        return 0
    deliveries.free(tx, executor_id=executor_id)
    return workflows.free(tx, executor_id=executor_id, now_ms=now_ms)


def held(tx: Tx, *, executor_id: str) -> list[tuple[int, int]]:
    """The open runs of an executor, (run, fence)."""
    return [(run, fence) for run, fence in tx.rows(SQL.held, executor_id=executor_id)]


def _deregister(tx: Tx, executor_id: str, *, taken_by: str | None, runs: int) -> None:
    tx.run(SQL.depart, executor_id=executor_id, taken_by=taken_by, runs=runs)
    tx.run(SQL.deregister, executor_id=executor_id)
    tx.run(SQL.forget_departures, kept=DEPARTURES_KEPT)


def _free(tx: Tx, executor_id: str, incarnation: int, now_ms: int) -> int:
    tx.run(SQL.close_batches, incarnation=incarnation)
    deliveries.free(tx, executor_id=executor_id)
    return workflows.free(tx, executor_id=executor_id, now_ms=now_ms)


def past_executors(tx: Tx, *, limit: int) -> list[PastExecutor]:
    """The executors that went last, the newest first."""
    return [PastExecutor(*row) for row in tx.rows(SQL.past_executors, limit=limit)]


def orphans(tx: Tx) -> list[str]:
    """Executors that still hold runs or deliveries and are not on the roll."""
    return sorted({row[0] for row in tx.rows(SQL.orphans)}.union(deliveries.holders(tx)))


def names_known(tx: Tx, *, names: Sequence[str]) -> set[str]:
    """Which of these workflow names a live executor knows."""
    return {row[0] for row in tx.rows(SQL.names_known, rows=rows_json([[name] for name in names]))}
