"""A ledger to write into, whose two tables give away any write that was lost, doubled or halved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from turbine.errors import Conflict
from turbine.ids import new_id
from turbine.store import Statement, Store, Tx, bulk, open_store
from turbine.store.tx import Lane, on, rows_json
from turbine.tables import executors
from turbine.tables.executors import ProcessMetrics

_MAKE_ENTRIES = Statement.of("create table ledger_entries (id text primary key, text text not null)")
_MAKE_TOTAL = Statement.of("create table ledger_total (total bigint not null)")
_ZERO = Statement.of("insert into ledger_total values (0)")
_ENTER = Statement.of("insert into ledger_entries (id, text) values (:id, :text)")
_ENTER_ALL = Statement.of(
    "insert into ledger_entries (id, text) select r.id, r.text from @rows(id text, text text) as r where true"
)
_COUNT = Statement.of("update ledger_total set total = total + :number")
_IDS = Statement.of("select id from ledger_entries")
_TEXT = Statement.of("select text from ledger_entries where id = :id")
_TOTAL = Statement.of("select total from ledger_total")


class Ledger:
    """Functions of a transaction, in the lane that commits in groups. An id can be entered once; the total counts."""

    @staticmethod
    def make(tx: Tx) -> None:
        tx.run(_MAKE_ENTRIES)
        tx.run(_MAKE_TOTAL)
        tx.run(_ZERO)

    @staticmethod
    @on(Lane.MAIN)
    def enter(tx: Tx, *, id: str, text: str = "") -> str:
        tx.run(_ENTER, id=id, text=text)
        tx.run(_COUNT, number=1)
        return f"entered {id}"

    @staticmethod
    @bulk
    def enter_all(tx: Tx, rows: Sequence[str]) -> list[str]:
        tx.run(_ENTER_ALL, rows=rows_json([[id, ""] for id in rows]))
        tx.run(_COUNT, number=len(rows))
        return [f"entered {id} in bulk" for id in rows]

    @staticmethod
    @on(Lane.MAIN)
    def refuse(tx: Tx, *, id: str) -> Conflict:
        return Conflict(f"not {id}")

    @staticmethod
    @on(Lane.MAIN)
    def break_after_entering(tx: Tx, *, id: str) -> None:
        Ledger.enter(tx, id=id)
        raise ZeroDivisionError(id)

    @staticmethod
    def text(tx: Tx, *, id: str) -> str | None:
        row = tx.row(_TEXT, id=id)
        return None if row is None else row[0]

    @staticmethod
    def ids(tx: Tx) -> list[str]:
        return sorted(row[0] for row in tx.rows(_IDS))

    @staticmethod
    def audit(tx: Tx) -> tuple[list[str], int]:
        """The ids and the total, in one look."""
        row = tx.row(_TOTAL)
        assert row is not None
        return Ledger.ids(tx), row[0]


class BusyWriter:
    """A write that keeps the writer busy, so that what enters behind it gathers into one batch."""

    def __init__(self, store: Store) -> None:
        self._holding = threading.Event()
        self._release = threading.Event()
        self._future = store.submit_blocking(self._hold, {})
        assert self._holding.wait(120)

    @on(Lane.MAIN)
    def _hold(self, tx: Tx) -> None:
        self._holding.set()
        assert self._release.wait(120)

    def __enter__(self) -> BusyWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._future.wait()


@pytest.fixture
def ledger() -> type[Ledger]:
    return Ledger


@pytest.fixture
def busy_writer() -> type[BusyWriter]:
    return BusyWriter


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    """Opens stores, each for an executor of its own as a runtime does, and closes them with the test."""
    stores: list[Store] = []

    def open_(url: str, *, registered: bool = True, executor_id: str | None = None) -> Store:
        store = open_store(url)
        stores.append(store)
        if not registered:
            return store
        executor_id = executor_id or f"executor-{len(stores)}-{new_id()}"
        incarnation = store.write_blocking(
            executors.start_incarnation,
            former_incarnation=None,
            lease_ms=60_000,
            now_ms=0,
            executor_id=executor_id,
            application_id="test",
            application_version="1",
            machine="test",
            lock_path=None,
            lock_token=None,
            hostname="test",
            process_id=0,
            names="[]",
            process_metrics=ProcessMetrics(None, None, None, None),
        )
        store.hold(executor_id, incarnation)
        return store

    yield open_
    for store in stores:
        store.close(patient=False)


@pytest.fixture
def store(database_url: str, opened: Callable[[str], Store]) -> Store:
    """A store with an empty ledger, once on each database."""
    store = opened(database_url)
    store.write_blocking(Ledger.make)
    return store


@pytest.fixture
def sqlite_store(sqlite_url: str, opened: Callable[[str], Store]) -> Store:
    store = opened(sqlite_url)
    store.write_blocking(Ledger.make)
    return store


@pytest.fixture
def postgres_store(postgres_url: str, opened: Callable[[str], Store]) -> Store:
    store = opened(postgres_url)
    store.write_blocking(Ledger.make)
    return store


@pytest.fixture
def outcome() -> Callable[[Callable[[], Any]], Any]:
    """What a call came to: its value, or the error that it raised."""

    def outcome_of(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - the error is the value here
            return error

    return outcome_of
