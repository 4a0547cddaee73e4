"""Executors: who holds runs, until when, and what happens to the runs of the dead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import deliveries, workflows

SQL = Statements(Path(__file__))


DEPARTURES_KEPT = 200
LIVES_KEPT = 10_000


class Vitals(NamedTuple):
    """How a process fares: its busy threads, how late its event loop was, the memory it uses; None is unknown."""

    threads: int | None
    threads_max: int | None
    loop_delay_ms: int | None
    memory_bytes: int | None


class Executor(NamedTuple):
    """A process that holds runs."""

    executor_id: str
    application_id: str
    application_version: str
    machine: str
    lock_path: str | None
    hostname: str
    process_id: int
    started_ms: int
    lease_left_ms: int
    names: str
    threads: int | None
    threads_max: int | None
    loop_delay_ms: int | None
    memory_bytes: int | None


class Departure(NamedTuple):
    """An executor that is gone; `taken_by` found it dead and set its runs free, or it left by itself."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str
    started_ms: int
    left_ms: int
    taken_by: str | None
    runs: int


def enlist(tx: Tx, *, lease_ms: int, now_ms: int, vitals: Vitals, **columns: Any) -> None:
    """Enter an executor into the roll, or put it back when somebody thought it dead."""
    tx.run(SQL.enlist, lease=lease_ms, now=now_ms, **columns, **vitals._asdict())


def begin_life(tx: Tx, *, executor_id: str, **known: Any) -> int:
    """`enlist` a process at its launch; what it records of steps names it by the number that this returns."""
    enlist(tx, executor_id=executor_id, **known)
    row = tx.one(SQL.begin_life, executor_id=executor_id)
    assert row is not None  # it was enlisted in this transaction
    tx.run(SQL.forget_lives, life=row[0] - LIVES_KEPT)
    return int(row[0])


def renew(tx: Tx, *, lease_ms: int, vitals: Vitals) -> bool:
    """Extend the lease of this store's executor; False when it was declared dead meanwhile."""
    return tx.run(SQL.renew, executor=tx.executor, lease=lease_ms, **vitals._asdict()) > 0


def roll(tx: Tx) -> list[Executor]:
    """All executors; `lease_left_ms` is negative when the lease has run out."""
    return [Executor(*row) for row in tx.all(SQL.roll)]


def bury(tx: Tx, *, executor_id: str, only_expired: bool, now_ms: int) -> int | None:
    """Declare an executor dead and set its runs free; None when it is gone already or its lease was renewed.

    From this commit on nothing that it writes for a run is accepted. Returns the number of runs set free.
    """
    row = tx.one(SQL.exhume, executor_id=executor_id)
    if row is None or (only_expired and row[0] > 0):
        return None
    freed = _free(tx, executor_id, now_ms)
    _strike(tx, executor_id, taken_by=tx.executor, runs=freed)
    return freed


def strike(tx: Tx, *, executor_id: str) -> None:
    """Take an executor that ends in good order off the roll."""
    _strike(tx, executor_id, taken_by=None, runs=0)
    workflows.free_slots(tx, executor_id=executor_id)
    deliveries.free(tx, executor_id=executor_id)


def free_orphans(tx: Tx, *, executor_id: str, now_ms: int) -> int:
    """Set the runs of an executor free that is not on the roll; 0 when it is there again."""
    if tx.one(SQL.exhume, executor_id=executor_id) is not None:
        return 0
    return _free(tx, executor_id, now_ms)


def replace_former(tx: Tx, *, executor_id: str, now_ms: int) -> int:
    """Bury an earlier bearer of an id that is taken again."""
    tx.one(SQL.exhume, executor_id=executor_id)
    freed = _free(tx, executor_id, now_ms)
    _strike(tx, executor_id, taken_by=executor_id, runs=freed)
    return freed


def _strike(tx: Tx, executor_id: str, *, taken_by: str | None, runs: int) -> None:
    tx.run(SQL.depart, executor_id=executor_id, taken_by=taken_by, runs=runs)
    tx.run(SQL.strike, executor_id=executor_id)
    tx.run(SQL.forget_departures, kept=DEPARTURES_KEPT)


def departures(tx: Tx, *, limit: int) -> list[Departure]:
    """The executors that went last, the newest first."""
    return [Departure(*row) for row in tx.all(SQL.departures, limit=limit)]


def _free(tx: Tx, executor_id: str, now_ms: int) -> int:
    deliveries.free(tx, executor_id=executor_id)
    return workflows.free(tx, executor_id=executor_id, now_ms=now_ms)


def orphans(tx: Tx) -> list[str]:
    """Executors that still hold runs or deliveries and are not on the roll."""
    return sorted({row[0] for row in tx.all(SQL.orphans)}.union(deliveries.holders(tx)))


def names_known(tx: Tx, *, names: Sequence[str]) -> set[str]:
    """Which of these workflow names a live executor knows."""
    return {row[0] for row in tx.all(SQL.names_known, rows=rows_json([[name] for name in names]))}
