"""Postgres: connections and servers that go away and come back, and the outcome of the last commit."""

import asyncio
import contextlib
import json
import select
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

from turbine.errors import StoreUnavailable
from turbine.store import Statement, Store, Tx, bulk
from turbine.store.tx import Lane, on, rows_json, single_statement

pytestmark = pytest.mark.postgres

NAP = Statement.of("select pg_sleep(:seconds)")
XACT = Statement.of("select pg_current_xact_id()::text")


def kill_connections(url: str) -> int:
    """End every other connection to a database. Returns how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchall()
    return len(rows)


class Enterers:
    """Threads that write one entry after the other and remember which were acknowledged."""

    def __init__(self, store: Store, enter: Callable[..., str], count: int = 4) -> None:
        self._store = store
        self._enter = enter
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(count)
        self.acknowledged = 0
        self._results = [self._threads.submit(self._main, n) for n in range(count)]

    def _main(self, principal: int) -> list[str]:
        mine: list[str] = []
        while not self._stop.is_set():
            id = f"{principal}.{len(mine):06}"
            self._store.write_blocking(self._enter, id=id)
            mine.append(id)
            self.acknowledged += 1
        return mine

    def wait_for(self, more: int) -> None:
        goal = self.acknowledged + more
        while self.acknowledged < goal:
            if any(result.done() for result in self._results):
                break  # one of them failed; `finish` tells why
            time.sleep(0.002)

    def finish(self) -> list[str]:
        self._stop.set()
        return sorted(id for result in self._results for id in result.result(30))


def channel(store: Store) -> str:
    row = store.read_blocking(lambda tx: tx.row(Statement.of("select current_schema()::regnamespace::oid::bigint")))
    assert row is not None
    return f"turbine_{row[0]}"


class Proxy:
    """A man in the middle of a unix socket, who can cut the line around the next commit."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self.far_url = url
        """Past the man in the middle."""
        self._server = f"{parse_qs(split.query)['host'][0]}/.s.PGSQL.5432"
        self.folder = Path(tempfile.mkdtemp(prefix="turbine-proxy-"))
        self.url = f"postgresql://postgres@{split.path}?host={self.folder}"
        self.cut: str | None = None
        """`before`: the server never sees the next commit; `after`: the client never sees its answer."""
        self.signs = {"before": b"commit", "after": b"COMMIT\0"}
        """What gives a commit away on its way there, and its answer on the way back."""
        self.cuts = 0
        self._stopping = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.folder / ".s.PGSQL.5432"))
        self._listening.listen()
        self._listening.settimeout(0.1)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listening.accept()
                thread = threading.Thread(target=self._carry, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _carry(self, client: socket.socket) -> None:
        # Either end may be killed; then the other one is closed too, which is all there is to do.
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(ConnectionError):
            server.connect(self._server)
            while not self._stopping.is_set():
                for end in select.select([client, server], [], [], 0.1)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    sign = None if self.cut is None else self.signs[self.cut]
                    if sign is not None and sign in data:
                        self.cut = None
                        self.cuts += 1
                        return
                    (client if end is server else server).sendall(data)

    def close(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(120)
        self._listening.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    proxy = Proxy(postgres_url)
    yield proxy
    proxy.close()


@pytest.fixture
def far_store(proxy: Proxy, opened, ledger) -> Store:
    """A store on the other side of the proxy."""
    store = opened(proxy.url)
    store.write_blocking(ledger.make)
    return store


def test_connections_killed_while_writing_lose_nothing_and_double_nothing(postgres_store, postgres_url, ledger) -> None:
    enterers = Enterers(postgres_store, ledger.enter)
    killed = 0
    for _ in range(10):
        enterers.wait_for(120)
        killed += kill_connections(postgres_url)
    enterers.wait_for(120)
    acknowledged = enterers.finish()
    assert killed >= 10
    assert (acknowledged, len(acknowledged)) == postgres_store.read_blocking(ledger.audit)


def test_a_connection_killed_in_the_middle_of_a_batch_begins_the_batch_anew(
    postgres_store, postgres_url, ledger
) -> None:
    begun = threading.Event()

    def enter_slowly(tx: Tx) -> str:
        answer = ledger.enter(tx, id="slow")
        if not begun.is_set():
            begun.set()
            tx.rows(NAP, seconds=20)
        return answer

    future = postgres_store.submit_blocking(enter_slowly, {})
    assert begun.wait(120)
    kill_connections(postgres_url)
    assert "entered slow" == future.wait()
    assert (["slow"], 1) == postgres_store.read_blocking(ledger.audit)


@pytest.mark.parametrize("with_wake", [False, True])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_commit_that_lost_its_answer_is_done_exactly_once(
    far_store, proxy, ledger, busy_writer, cut, with_wake
) -> None:
    calls: list[str] = []

    @on(Lane.MAIN)
    def enter(tx: Tx, *, id: str) -> str:
        calls.append(id)
        if calls.count(f"{id[0]}c") == 1:  # the first time that a batch is complete
            proxy.cut = cut
            calls.append(f"{id[0]}c")
        if with_wake:
            tx.wake("entry", id)
        return ledger.enter(tx, id=id)

    for n in range(5):
        with busy_writer(far_store):
            futures = [far_store.submit_blocking(enter, {"id": f"{n}{id}"}) for id in "abc"]
        assert [f"entered {n}{id}" for id in "abc"] == [future.wait() for future in futures]
    assert 5 == proxy.cuts
    assert ([f"{n}{id}" for n in range(5) for id in "abc"], 15) == far_store.read_blocking(ledger.audit)
    assert {"before": 2, "after": 1}[cut] == calls.count("0a")


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_transaction_of_its_own_that_lost_its_answer_is_done_exactly_once(far_store, proxy, ledger, cut) -> None:
    calls: list[str] = []

    def enter(tx: Tx, *, id: str) -> str:
        calls.append(id)
        if calls.count(id) == 1:
            proxy.cut = cut
        return ledger.enter(tx, id=id)

    assert [f"entered {n}" for n in range(5)] == [far_store.write_blocking(enter, id=f"{n}") for n in range(5)]
    assert 5 == proxy.cuts
    assert ([f"{n}" for n in range(5)], 5) == far_store.read_blocking(ledger.audit)
    assert {"before": 2, "after": 1}[cut] == calls.count("0")


class Decider:
    """A function that writes with one statement, and what it was told each time that it ran."""

    STATEMENT = Statement.of(
        "insert into ledger_entries (id, text) select r.id, '' from @rows(id text) as r"
        " cross join pt_executors as e where e.executor_id = :executor returning id"
    )

    def __init__(self) -> None:
        self.told: list[list[tuple[str]] | None] = []

    @bulk
    @single_statement
    def enter(self, tx: Tx, rows: list[str]) -> list[str]:
        answer = tx.commit_if(self.STATEMENT, rows=rows_json([[id] for id in rows]), executor=tx.executor)
        self.told.append(answer)
        return ["unknown" if answer is None else "entered" if (id,) in answer else "refused" for id in rows]


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_statement_that_decides_and_lost_its_answer_is_carried_out_once(far_store, proxy, ledger, cut) -> None:
    proxy.signs = {"before": b"with mark as", "after": b"INSERT 0 1\0"}
    expected = {"before": "entered", "after": "unknown"}[cut]
    for n in range(3):
        decider = Decider()
        proxy.cut = cut
        assert expected == far_store.submit_blocking(decider.enter, f"{n}").wait()
        assert [{"before": [(f"{n}",)], "after": None}[cut]] == decider.told
    assert 3 == proxy.cuts
    assert ["0", "1", "2"] == far_store.read_blocking(ledger.ids)


def test_an_answer_that_is_lost_twice_is_still_known_to_be_lost(far_store, proxy, ledger) -> None:
    look = Statement.of("select id from ledger_entries")

    @bulk
    @single_statement
    def enter_and_look(tx: Tx, rows: list[str]) -> list[tuple[bool, int]]:
        answer = tx.commit_if(Decider.STATEMENT, rows=rows_json([[id] for id in rows]), executor=tx.executor)
        if answer is None and not looks:
            looks.append("cut")
            kill_connections(proxy.far_url)
        looks.append("look")
        return [(answer is None, len(tx.rows(look)))] * len(rows)

    looks: list[str] = []
    proxy.signs = {"before": b"with mark as", "after": b"INSERT 0 1\0"}
    proxy.cut = "after"
    assert (True, 1) == far_store.submit_blocking(enter_and_look, "a").wait()
    assert ["cut", "look", "look"] == looks


def test_a_statement_that_decides_waits_for_a_burial_and_then_writes_nothing(
    postgres_store, postgres_url, ledger
) -> None:
    decider = Decider()
    with psycopg.connect(postgres_url) as undertaker:
        undertaker.execute("update pt_batches set is_open = 0")
        future = postgres_store.submit_blocking(decider.enter, "a")
        with psycopg.connect(postgres_url, autocommit=True) as onlooker:
            while onlooker.execute("select 1 from pg_locks where not granted").fetchone() is None:
                time.sleep(0.01)
        undertaker.commit()
    assert "refused" == future.wait()
    assert [] == postgres_store.read_blocking(ledger.ids)


def test_a_function_that_decides_is_one_of_many_in_a_mixed_batch(postgres_store, ledger, busy_writer) -> None:
    decider = Decider()
    with busy_writer(postgres_store):
        one = postgres_store.submit_blocking(decider.enter, "a")
        bad = postgres_store.submit_blocking(ledger.break_after_entering, {"id": "b"})
        other = postgres_store.submit_blocking(ledger.enter, {"id": "c"})
    assert ("entered", "entered c") == (one.wait(), other.wait())
    with pytest.raises(ZeroDivisionError):
        bad.wait()
    assert ["a", "c"] == postgres_store.read_blocking(ledger.ids)


def test_a_statement_that_was_put_fails_with_its_own_write_alone(postgres_store, ledger, busy_writer) -> None:
    enter = Statement.of("insert into ledger_entries (id, text) values (:id, :text)")
    with busy_writer(postgres_store):
        twice = postgres_store.submit_blocking(lambda tx: [tx.defer(enter, id="a", text=text) for text in "xy"], {})
        other = postgres_store.submit_blocking(ledger.enter, {"id": "b"})
    assert "entered b" == other.wait()
    with pytest.raises(psycopg.errors.UniqueViolation):
        twice.wait()
    assert ["b"] == postgres_store.read_blocking(ledger.ids)


async def test_an_executor_that_is_alone_notifies_no_other_until_one_comes(
    postgres_store, postgres_url, opened
) -> None:
    notified: asyncio.Queue[object] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    postgres_store.listen(loop, "me", lambda wakes: None)
    postgres_store.set_alone(True)
    with psycopg.connect(postgres_url, autocommit=True) as eavesdropper:
        eavesdropper.execute(f"listen {channel(postgres_store)}")
        await postgres_store.write(lambda tx: tx.wake("entry", "unheard"))
        assert [] == list(eavesdropper.notifies(timeout=0.1))

    other = opened(postgres_url)
    other.listen(loop, "other", lambda wakes: [notified.put_nowait(wake) for wake in wakes])
    async with asyncio.timeout(120):
        assert ("everything", None) == await notified.get()
        while notified.empty():
            await postgres_store.write(lambda tx: tx.wake("entry", "notified"))
            await asyncio.sleep(0)
        assert ("entry", "notified") == await notified.get()


async def test_after_a_lost_commit_every_loop_looks_again(far_store, proxy, ledger) -> None:
    notified: list[object] = []
    far_store.listen(asyncio.get_running_loop(), "me", notified.extend)
    notified.clear()
    proxy.cut = "after"
    await far_store.write(ledger.enter, id="a")
    assert 1 == proxy.cuts
    assert ("everything", None) in notified


def test_an_executor_stays_itself_when_its_connection_changes(postgres_store, postgres_url) -> None:
    postgres_store.hold("me")
    kill_connections(postgres_url)
    assert "me" == postgres_store.write_blocking(lambda tx: tx.executor)


def test_a_server_that_is_restarted_under_load_costs_time_only(own_postgres, ledger, opened) -> None:
    store = opened(own_postgres.url())
    store.write_blocking(ledger.make)
    enterers = Enterers(store, ledger.enter)
    for end in (own_postgres.crash, own_postgres.stop, own_postgres.crash):
        enterers.wait_for(120)
        end()
        own_postgres.start()
    enterers.wait_for(120)
    acknowledged = enterers.finish()
    assert (acknowledged, len(acknowledged)) == store.read_blocking(ledger.audit)


def test_writes_and_reads_wait_for_a_server_that_is_away(own_postgres, ledger, opened) -> None:
    store = opened(own_postgres.url())
    store.write_blocking(ledger.make)
    store.read_blocking(ledger.ids)
    own_postgres.stop()
    with ThreadPoolExecutor(2) as threads:
        write = threads.submit(store.write_blocking, ledger.enter, id="a")
        read = threads.submit(store.read_blocking, ledger.ids)
        time.sleep(0.3)
        assert not write.done()
        assert not read.done()
        own_postgres.start()
        assert "entered a" == write.result(20)
        assert read.result(20) in ([], ["a"])


def test_a_store_whose_server_is_away_can_be_closed(own_postgres, ledger, opened, outcome) -> None:
    store = opened(own_postgres.url())
    store.write_blocking(ledger.make)
    own_postgres.stop()
    futures = [store.submit_blocking(ledger.enter, {"id": id}) for id in "abc"]
    patient = threading.Thread(target=store.close)
    patient.start()
    store.close(patient=False)
    patient.join(120)
    assert not patient.is_alive()
    assert [StoreUnavailable] * 3 == [type(outcome(future.wait)) for future in futures]


def test_a_transaction_that_a_crashed_server_did_not_get_is_begun_anew(own_postgres, ledger, opened) -> None:
    # Nothing of it reached the server's log, so after the crash its id lies in the future.
    store = opened(own_postgres.url())
    store.write_blocking(ledger.make)
    calls: list[str] = []

    def enter_and_crash(tx: Tx) -> str:
        calls.append("call")
        answer = ledger.enter(tx, id="a")
        if len(calls) == 1:
            own_postgres.crash()
            own_postgres.start()
        return answer

    assert "entered a" == store.write_blocking(enter_and_crash)
    assert 2 == len(calls)
    assert (["a"], 1) == store.read_blocking(ledger.audit)


def test_a_transaction_id_that_a_crash_gave_to_another_transaction_proves_nothing(own_postgres, ledger, opened) -> None:
    store = opened(own_postgres.url())
    store.write_blocking(ledger.make)
    lost: list[str] = []

    def enter_and_crash(tx: Tx) -> str:
        answer = ledger.enter(tx, id="a")
        if not lost:
            row = tx.row(XACT)
            assert row is not None
            lost.append(row[0])
            own_postgres.crash()
            own_postgres.start()
            give_away(own_postgres.url(), lost[0])
        return answer

    def give_away(url: str, transaction_id: str) -> None:
        with psycopg.connect(url, autocommit=True) as stranger:
            for _ in range(1000):
                given = stranger.execute("select pg_current_xact_id()::text").fetchone()
                if given == (transaction_id,):
                    return
        raise AssertionError

    assert "entered a" == store.write_blocking(enter_and_crash)
    assert (["a"], 1) == store.read_blocking(ledger.audit)


def test_a_commit_of_another_store_is_notified_with_its_keys(postgres_store, postgres_url, opened) -> None:
    def wake(tx: Tx, *, key: object, remote: bool = True) -> None:
        tx.wake("entry", key, remote=remote)

    keys = ["plain", 7, None, "ünï 🐘 \\ \" '", (12, "0.1")]
    other = opened(postgres_url)
    other.hold("other")

    async def main() -> None:
        notified: asyncio.Queue[object] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        postgres_store.hold("me")
        postgres_store.listen(loop, "me", lambda wakes: [notified.put_nowait(wake) for wake in wakes])
        async with asyncio.timeout(120):
            assert ("everything", None) == await notified.get()
            await other.write(wake, key="near", remote=False)
            for key in keys:
                await other.write(wake, key=key)
                assert ("entry", key) == await notified.get()
        postgres_store.stop_listening()

    asyncio.run(main())


async def test_own_wakes_are_notified_once(postgres_store, postgres_url, opened) -> None:
    notified: asyncio.Queue[object] = asyncio.Queue()
    postgres_store.hold("me")
    other = opened(postgres_url)
    other.hold("other")
    postgres_store.listen(asyncio.get_running_loop(), "me", lambda wakes: [notified.put_nowait(wake) for wake in wakes])
    async with asyncio.timeout(120):
        await postgres_store.write(lambda tx: tx.wake("entry", "mine"))
        await other.write(lambda tx: tx.wake("entry", "theirs"))
        wakes = [await notified.get()]
        while ("entry", "theirs") not in wakes:
            wakes.append(await notified.get())
    assert [("entry", "mine"), ("entry", "theirs")] == [wake for wake in wakes if wake[0] == "entry"]


async def test_more_wakes_than_a_notification_can_carry_arrive_as_everything(
    postgres_store, postgres_url, opened
) -> None:
    def wake_many(tx: Tx) -> None:
        for n in range(2000):
            tx.wake("entry", n)

    notified: asyncio.Queue[object] = asyncio.Queue()
    other = opened(postgres_url)
    other.hold("other")
    postgres_store.listen(asyncio.get_running_loop(), "me", lambda wakes: [notified.put_nowait(wake) for wake in wakes])
    async with asyncio.timeout(120):
        assert ("everything", None) == await notified.get()
        await other.write(wake_many)
        assert ("everything", None) == await notified.get()


async def test_a_listener_that_lost_its_connection_connects_again(postgres_store, postgres_url, opened) -> None:
    notified: asyncio.Queue[object] = asyncio.Queue()
    postgres_store.listen(asyncio.get_running_loop(), "me", lambda wakes: [notified.put_nowait(wake) for wake in wakes])
    async with asyncio.timeout(120):
        assert ("everything", None) == await notified.get()
        kill_connections(postgres_url)
        assert ("everything", None) == await notified.get()
        other = opened(postgres_url)
        other.hold("other")
        await other.write(lambda tx: tx.wake("entry", 1))
        assert ("entry", 1) == await notified.get()


async def test_strange_notifications_stop_no_listener(postgres_store, postgres_url, opened) -> None:
    notified: asyncio.Queue[object] = asyncio.Queue()
    other = opened(postgres_url)
    other.hold("other")
    postgres_store.listen(asyncio.get_running_loop(), "me", lambda wakes: [notified.put_nowait(wake) for wake in wakes])
    async with asyncio.timeout(120):
        with psycopg.connect(postgres_url, autocommit=True) as stranger:
            for strange in ("", "not json", "[]", "7", json.dumps(["x", [[1, 2, 3]]]), json.dumps(["x", 5])):
                stranger.execute("select pg_notify(%s, %s)", (channel(postgres_store), strange))
        await other.write(lambda tx: tx.wake("entry", 1))
        while ("entry", 1) != await notified.get():
            pass


def test_batches_of_two_executors_that_wait_for_each_other_are_tried_again_before_that_is_a_deadlock(
    postgres_store, postgres_url, opened
) -> None:
    other = opened(postgres_url)
    lock = Statement.of("select total from ledger_total where total = :total for update")
    both_hold_one = threading.Barrier(2)
    postgres_store.write_blocking(lambda tx: tx.run(Statement.of("insert into ledger_total values (1)")))
    deadlocks = Statement.of("select deadlocks from pg_stat_database where datname = current_database()")

    def take(tx: Tx, *, first: int, second: int) -> str:
        tx.rows(lock, total=first)
        with contextlib.suppress(threading.BrokenBarrierError):
            both_hold_one.wait(120)
        both_hold_one.abort()
        tx.rows(lock, total=second)
        return "both"

    futures = [
        postgres_store.submit_blocking(take, {"first": 0, "second": 1}),
        other.submit_blocking(take, {"first": 1, "second": 0}),
    ]
    assert ["both", "both"] == [future.wait() for future in futures]
    time.sleep(1)  # as long as the server takes to find one
    assert (0,) == postgres_store.read_blocking(lambda tx: tx.row(deadlocks))


def test_a_server_that_only_reads_is_unavailable_until_it_writes_again(
    postgres_store, postgres_url, ledger, outcome
) -> None:
    name = urlsplit(postgres_url).path[1:]
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(f"alter database {name} set default_transaction_read_only to on")
        kill_connections(postgres_url)
        assert isinstance(outcome(lambda: postgres_store.write_blocking(ledger.enter, id="a")), StoreUnavailable)
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("set default_transaction_read_only to off")
        owner.execute(f"alter database {name} set default_transaction_read_only to off")
    assert isinstance(outcome(lambda: postgres_store.write_blocking(ledger.enter, id="b")), (str, StoreUnavailable))
    assert "entered c" == postgres_store.write_blocking(ledger.enter, id="c")


def test_what_a_role_has_set_for_its_other_programs_means_nothing_here(postgres_url, opened) -> None:
    theirs = "-c statement_timeout=20 -c lock_timeout=20 -c default_transaction_isolation=serializable"
    store = opened(f"{postgres_url}&options={quote(theirs)}")

    assert store.write_blocking(lambda tx: tx.rows(Statement.of("select pg_sleep(0.1)")))
    for setting, value in {"lock_timeout": "400ms", "transaction_isolation": "read committed"}.items():
        show = Statement.of(f"show {setting}")
        assert [(value,)] == store.write_blocking(lambda tx, show=show: tx.rows(show))
