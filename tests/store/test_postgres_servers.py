"""Postgres as people have it: timeouts, restarts, poolers, schemas, roles, encodings, and networks that fall silent."""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

from turbine.errors import StoreInvalid
from turbine.store import Statement, Store, Tx, open_store

pytestmark = pytest.mark.postgres

ONE = Statement.of("select 1")
NAP = Statement.of("select 1 from pg_sleep(:seconds)")
FORGET_PREPARED = Statement.of("do $$ begin execute 'deallocate all'; end $$")
PIDS = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


class Relay:
    """A relay before a unix socket whose open connections can fall silent: nothing is closed, and nothing arrives."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._server = f"{parse_qs(split.query)['host'][0]}/.s.PGSQL.5432"
        self._folder = Path(tempfile.mkdtemp(prefix="turbine-relay-"))
        self.url = f"postgresql://postgres@{split.path}?host={self._folder}"
        self.opened = 0
        self._silent: set[int] = set()
        self._stopping = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._folder / ".s.PGSQL.5432"))
        self._listening.listen()
        self._listening.settimeout(0.1)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def fall_silent(self) -> None:
        """Silences the connections that are open now; new ones work."""
        self._silent = set(range(1, self.opened + 1))

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listening.accept()
                self.opened += 1
                thread = threading.Thread(target=self._carry, args=(client, self.opened), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, client: socket.socket, number: int) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(ConnectionError):
            server.connect(self._server)
            while not self._stopping.is_set():
                for end in select.select([client, server], [], [], 0.05)[0]:
                    if number in self._silent:
                        self._stopping.wait(0.05)
                        continue
                    data = end.recv(65536)
                    if not data:
                        return
                    (client if end is server else server).sendall(data)

    def close(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(120)
        self._listening.close()
        shutil.rmtree(self._folder)


@pytest.fixture
def relay(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    monkeypatch.setattr("turbine.store.postgres.connection.SILENCE", 0.5)
    relay = Relay(postgres_url)
    yield relay
    relay.close()


def test_writes_and_reads_go_on_over_new_connections_when_the_old_ones_are_silent(relay, opened, ledger) -> None:
    store = opened(relay.url)
    store.write_blocking(ledger.make)
    store.read_blocking(ledger.ids)
    store.write_blocking(ledger.enter, id="before")
    relay.fall_silent()

    assert "entered after" == store.write_blocking(ledger.enter, id="after")
    assert store.write_blocking(lambda tx: tx.row(ONE)) == (1,)  # in a lane of its own
    assert (["after", "before"], 2) == store.read_blocking(ledger.audit)


def test_a_call_on_which_the_server_works_is_waited_for(relay, opened) -> None:
    store = opened(relay.url)
    before = relay.opened

    assert (1,) == store.write_blocking(lambda tx: tx.row(NAP, seconds=3))
    assert relay.opened > before, "the server was asked whether it still works on it"


@pytest.mark.parametrize("is_read", [False, True], ids=["write", "read"])
def test_a_prepared_statement_that_is_gone_is_a_fault_of_the_connection(postgres_store, is_read) -> None:
    def ask(tx: Tx) -> object:
        return tx.row(ONE)

    call = postgres_store.read_blocking if is_read else postgres_store.write_blocking
    for _ in range(12):  # psycopg prepares what it sees for the sixth time
        call(ask)
    call(lambda tx: tx.run(FORGET_PREPARED))

    assert (1,) == call(ask)


@pytest.mark.parametrize("is_read", [False, True], ids=["write", "read"])
def test_a_plan_that_no_longer_fits_its_table_is_a_fault_of_the_connection(
    postgres_store, postgres_url, is_read
) -> None:
    everything = Statement.of("select * from growing")

    def ask(tx: Tx) -> object:
        return tx.rows(everything)

    call = postgres_store.read_blocking if is_read else postgres_store.write_blocking
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("create table growing (id bigint)")
        owner.execute("insert into growing values (1)")
        for _ in range(12):
            call(ask)
        owner.execute("alter table growing add column name text default 'new'")

    assert [(1, "new")] == call(ask)


def test_sessions_that_are_closed_when_they_are_idle_cost_nothing(postgres_url, opened, ledger) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(f"alter database {urlsplit(postgres_url).path[1:]} set idle_session_timeout = '50ms'")
    store = open_store(postgres_url, pooler=True)  # which sets nothing for its sessions
    try:
        store.write_blocking(ledger.make)
        for number in range(5):
            with psycopg.connect(f"{postgres_url}&options={quote('-c idle_session_timeout=0')}") as onlooker:
                while onlooker.execute(PIDS).fetchall():
                    onlooker.commit()
                    time.sleep(0.01)
            assert f"entered {number}" == store.write_blocking(ledger.enter, id=f"{number}")
            assert number + 1 == store.read_blocking(ledger.audit)[1]
    finally:
        store.close(patient=False)


def test_our_own_sessions_are_not_closed_for_being_idle(postgres_url, opened) -> None:
    show = Statement.of("show idle_session_timeout")
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(f"alter database {urlsplit(postgres_url).path[1:]} set idle_session_timeout = '10min'")
    store = opened(postgres_url)

    assert [("0",), ("0",)] == [
        store.write_blocking(lambda tx: tx.row(show)),
        store.read_blocking(lambda tx: tx.row(show)),
    ]


async def test_applications_in_schemas_of_their_own_do_not_hear_each_other(postgres_url, opened) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        for schema in ("shop", "bank"):
            owner.execute(f"create schema {schema}")
    shop, bank = (opened(f"{postgres_url}&options={quote(f'-c search_path={schema}')}") for schema in ("shop", "bank"))

    assert shop._identity.channel != bank._identity.channel
    assert {"turbine_"} == {store._identity.channel[:8] for store in (shop, bank)}


def test_a_search_path_without_a_schema_is_refused_with_the_reason(postgres_url) -> None:
    with pytest.raises(StoreInvalid, match=r"search_path|schema"):
        open_store(f"{postgres_url}&options={quote('-c search_path=nowhere')}")


def test_a_role_that_may_only_read_and_write_rows_is_enough(postgres_url, opened, postgres_server) -> None:
    opened(postgres_url).close()
    role = f"app_{urlsplit(postgres_url).path[1:]}"
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(f"create role {role} login")
        owner.execute("revoke create on schema public from public")
        owner.execute(f"grant select, insert, update, delete on all tables in schema public to {role}")
    try:
        store = opened(postgres_url.replace("postgres@", f"{role}@"))
        assert (1,) == store.write_blocking(lambda tx: tx.row(ONE))
        store.close()
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as owner:
            owner.execute(f"drop owned by {role}; drop role {role}; grant create on schema public to public")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_whose_encoding_lacks_letters_is_refused_with_the_reason(postgres_server, encoding) -> None:
    name = f"in_{encoding.lower()}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as owner:
        owner.execute(f"create database {name} encoding '{encoding}' template template0 locale 'C'")
        try:
            with pytest.raises(StoreInvalid, match=f"{encoding}.*UTF8"):
                open_store(postgres_server.url(name))
        finally:
            owner.execute(f"drop database {name} with (force)")


def test_a_url_may_come_from_a_callable_that_is_asked_at_each_connection(postgres_url, ledger) -> None:
    asked: list[str] = []

    def url() -> str:
        asked.append(postgres_url)
        return postgres_url

    store = open_store(url)
    try:
        store.write_blocking(ledger.make)
        before = len(asked)
        with psycopg.connect(postgres_url, autocommit=True) as owner:
            owner.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        store.write_blocking(ledger.enter, id="a")
        assert len(asked) > before
    finally:
        store.close()


def test_a_callable_that_fails_for_a_while_makes_writes_wait(postgres_url, ledger) -> None:
    fails = 0

    def url() -> str:
        nonlocal fails
        if fails > 0:
            fails -= 1
            raise OSError("the token service is away")
        return postgres_url

    store: Store = open_store(url)
    try:
        store.write_blocking(ledger.make)
        fails = 3
        with psycopg.connect(postgres_url, autocommit=True) as owner:
            owner.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert "entered a" == store.write_blocking(ledger.enter, id="a")
        assert 0 == fails
    finally:
        store.close()
