"""Reads: whole batches only, never in the writer's way, and also in a database in memory."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from turbine.errors import Conflict, StoreUnavailable
from turbine.store import open_store


def test_readers_never_see_half_a_batch(store, ledger) -> None:
    stop = threading.Event()

    def read_on() -> int:
        looks = 0
        while not stop.is_set():
            ids, total = store.read_blocking(ledger.audit)
            assert total == len(ids)
            assert sum(id.endswith("left") for id in ids) == sum(id.endswith("right") for id in ids)
            looks += 1
        return looks

    def enter_two(tx, *, n: int) -> None:
        ledger.enter(tx, id=f"{n}.left")
        ledger.enter(tx, id=f"{n}.right")

    with ThreadPoolExecutor(3) as readers:
        looks = [readers.submit(read_on) for _ in range(3)]
        for n in range(0, 100, 4):
            for future in [store.submit_blocking(enter_two, {"n": n + i}) for i in range(4)]:
                future.wait()
        stop.set()
        assert all(look.result() > 0 for look in looks)


def test_a_read_is_one_snapshot_however_often_it_looks(store, ledger) -> None:
    def look_twice(tx) -> None:
        before = ledger.audit(tx)
        store.write_blocking(ledger.enter, id="meanwhile")
        assert before == ledger.audit(tx)

    store.read_blocking(look_twice)
    assert ["meanwhile"] == store.read_blocking(ledger.ids)


async def test_a_caller_reads_what_it_has_written(store, ledger) -> None:
    for n in range(20):
        await store.write(ledger.enter, id=f"{n:02}")
        assert n + 1 == (await store.read(ledger.audit))[1]


async def test_more_reads_at_once_than_connections_are_all_answered(store, ledger) -> None:
    await store.write(ledger.enter, id="a")
    assert [["a"]] * 30 == await asyncio.gather(*(store.read(ledger.ids) for _ in range(30)))


def test_reads_go_on_while_the_writer_is_busy(store, ledger, busy_writer) -> None:
    store.write_blocking(ledger.enter, id="a")
    with busy_writer(store):
        assert ["a"] == store.read_blocking(ledger.ids)


def test_a_read_that_fails_is_the_readers_own_affair(store, ledger) -> None:
    def fail(tx) -> None:
        raise ZeroDivisionError

    for _ in range(6):
        with pytest.raises(ZeroDivisionError):
            store.read_blocking(fail)
    assert [] == store.read_blocking(ledger.ids)


async def test_a_database_in_memory_keeps_the_promises_of_one_door(ledger) -> None:
    store = open_store("sqlite://:memory:")
    try:
        await store.write(ledger.make)
        assert "entered a" == await store.write(ledger.enter, id="a")
        with pytest.raises(Conflict):
            await store.write(ledger.refuse, id="b")
        with pytest.raises(ZeroDivisionError):
            await store.write(ledger.break_after_entering, id="c")
        assert (["a"], 1) == await store.read(ledger.audit)
        assert (["a"], 1) == await asyncio.to_thread(store.read_blocking, ledger.audit)
    finally:
        store.close()
    with pytest.raises(StoreUnavailable):
        await store.read(ledger.ids)


def test_two_databases_in_memory_know_nothing_of_each_other(ledger, opened) -> None:
    one, other = opened("sqlite://:memory:"), opened("sqlite:///:memory:")
    one.write_blocking(ledger.make)
    other.write_blocking(ledger.make)
    one.write_blocking(ledger.enter, id="a")
    assert [] == other.read_blocking(ledger.ids)
