"""Postgres behind the door: one connection writes in groups, a few read, one listens.

- A batch is `begin`, its statements, at most one `pg_notify`, `commit`. It also writes its number into the row of
  its executor: the lock on that row keeps anybody from declaring the executor dead between its check and its commit.
- When a connection is lost during `commit`, that number tells afterwards whether the commit happened: nothing is done
  twice and nothing is believed lost that was written. (A transaction id would not do: a server that crashed may give
  one out again.)
- A journey to the server costs as much as its work there. So `begin`, the number and every statement without an answer
  wait for the next statement that has one, or for the commit, and a batch that is a single statement is nothing else:
  it writes the number itself and is its own transaction.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Generator
from functools import cache
from typing import Any, Literal, LiteralString, cast

import psycopg
from psycopg import errors as pg
from psycopg import sql

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store.sql import Statement
from turbine.store.tx import Row, Wake
from turbine.store.writer import Fault

log = logging.getLogger("turbine.store")

CHANNEL = "turbine"
NOTIFY_MAX_BYTES = 7000
"""Postgres takes notifications of less than 8000 bytes."""
READERS_MAX = 4
RECONNECT_MAX = 2.0
"""Seconds between attempts to reach a server that is away, at most."""

_SETTINGS = (
    "set timezone to 'UTC'; set synchronous_commit to on; set idle_in_transaction_session_timeout to 5000;"
    # What the role has for its other programs: a batch that is broken off would be taken for a wrong one, and what is
    # read behind a lock must be what is there by then.
    " set statement_timeout to 0; set lock_timeout to 0; set default_transaction_isolation to 'read committed'"
)
_MARK = "update pt_executors set batch = %(batch)s where executor_id = %(executor)s"
_MARKED = "select batch from pt_executors where executor_id = %(executor)s for update"


_Query = tuple[LiteralString, dict[str, Any] | None]


class PostgresTx:
    """A transaction of the writer, or a snapshot of a reader."""

    dialect: Literal["sqlite", "postgres"] = "postgres"
    __slots__ = (
        "_batch",
        "_connection",
        "_is_decisive",
        "_unsent",
        "_was_decided",
        "executor",
        "is_decided",
        "is_open",
        "life",
        "wakes",
    )

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection
        self._unsent: list[_Query] = []
        self._batch = 0
        self._is_decisive = False
        self._was_decided = False
        self.executor = ""
        self.life = 0
        self.is_open = False
        """Whether the server has heard of this transaction."""
        self.is_decided = False
        """Whether it was one statement, which is committed or on its way."""
        self.wakes: list[tuple[str, Any, bool]] = []

    def begin(self, batch: int, *, is_decisive: bool, was_decided: bool) -> None:
        """A new transaction, of which the server hears with its first statement."""
        self.wakes = []
        self.is_open = self.is_decided = False
        self._batch = batch
        self._is_decisive = is_decisive and self.executor != ""
        self._was_decided = was_decided
        self._unsent = [("begin", None)]
        if self.executor:
            self._unsent.append((_MARK, {"executor": self.executor, "batch": batch}))

    def all(self, statement: Statement, **parameters: Any) -> list[Row]:
        return self._execute(statement, parameters).fetchall()

    def one(self, statement: Statement, **parameters: Any) -> Row | None:
        return self._execute(statement, parameters).fetchone()

    def run(self, statement: Statement, **parameters: Any) -> int:
        return self._execute(statement, parameters).rowcount

    def put(self, statement: Statement, **parameters: Any) -> None:
        self._unsent.append((cast(LiteralString, statement.postgres), parameters))

    def together(self, *asked: tuple[Statement, dict[str, Any]]) -> list[list[Row]]:
        queries: list[_Query] = [(cast(LiteralString, statement.postgres), given) for statement, given in asked]
        return [cursor.fetchall() for cursor in self.send(*queries)]

    def decide(self, statement: Statement, **parameters: Any) -> list[Row] | None:
        if not self._is_decisive:
            return self.all(statement, **parameters)
        self._unsent.clear()
        self.is_decided = True
        if self._was_decided:
            return None
        return self._connection.execute(_deciding(statement), {**parameters, "batch": self._batch}).fetchall()

    def _execute(self, statement: Statement, parameters: dict[str, Any]) -> psycopg.Cursor[Row]:
        return self.send((cast(LiteralString, statement.postgres), parameters))[0]

    def send(self, *queries: _Query) -> list[psycopg.Cursor[Row]]:
        """What waits to be sent, and these, in one journey; the answers to these."""
        unsent, self._unsent = self._unsent, []
        self.is_open = True
        if not unsent and len(queries) == 1:
            ((text, parameters),) = queries
            return [self._connection.execute(text, parameters)]
        with self._connection.pipeline():
            for text, parameters in unsent:
                self._connection.execute(text, parameters)
            return [self._connection.execute(text, parameters) for text, parameters in queries]

    @property
    def is_waiting(self) -> bool:
        """Whether something waits to be sent, beside the beginning."""
        return len(self._unsent) > (2 if self.executor else 1)

    def wake(self, kind: str, key: Any = None, *, far: bool = True) -> None:
        self.wakes.append((kind, key, far))


@cache
def _deciding(statement: Statement) -> LiteralString:
    """A statement that writes the batch's number with what it writes, or nothing when its executor was struck off."""
    text = statement.postgres.replace("%(executor)s", "(select executor_id from mark)")
    return cast(LiteralString, f"with mark as ({_MARK} returning executor_id)\n{text}")


class PostgresBackend:
    """The writer's connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_alone = False
        self._connection: psycopg.Connection[Row] | None = connect(url)
        self.tx = PostgresTx(self._connection)
        self._batch = time.time_ns()
        """The number of the batch in flight, written with it; no earlier life of this executor has used it."""
        self._is_committing = False

    def begin(self, *, is_decisive: bool = False, was_decided: bool = False) -> PostgresTx:
        if self._connection is None:
            self._reopen()
        self._batch += 1
        self._is_committing = False
        self.tx.begin(self._batch, is_decisive=is_decisive, was_decided=was_decided)
        return self.tx

    def commit(self) -> list[Wake]:
        tx = self.tx
        wakes = [(kind, key) for kind, key, _ in tx.wakes]
        if tx.is_decided:
            if wakes:
                raise RuntimeError("A function marked decisive woke somebody after its transaction was committed")
            return []
        far = [] if self.is_alone else [[kind, key] for kind, key, is_far in tx.wakes if is_far]
        queries: list[_Query] = [("commit", None)]
        if far:
            text = _notification(tx.executor, far)
            queries.insert(0, ("select pg_notify(%(channel)s, %(text)s)", {"channel": CHANNEL, "text": text}))
        self._is_committing = True
        if not (tx.is_open or tx.is_waiting or far):
            return wakes
        done = tx.send(*queries)[-1]
        if done.statusmessage != "COMMIT":  # Postgres answers the commit of a failed transaction with a quiet rollback
            raise RuntimeError("A statement failed and its function hid that: nothing of its transaction was written")
        return wakes

    def rollback(self) -> None:
        if self._connection is not None and self.tx.is_open and not self.tx.is_decided:
            self._connection.execute("rollback")

    def classify(self, error: BaseException) -> Fault:
        if self._connection is None or self._connection.closed or self._connection.broken:
            return Fault.LOST
        if isinstance(error, (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)):
            return Fault.BUSY
        if isinstance(error, (pg.AdminShutdown, pg.CrashShutdown, pg.CannotConnectNow)):
            return Fault.LOST
        if isinstance(error, (pg.DiskFull, pg.ReadOnlySqlTransaction, pg.OutOfMemory, pg.TooManyConnections)):
            return Fault.DOWN
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            return Fault.LOST
        return Fault.BAD

    def recover(self, patience: Callable[[], bool]) -> bool:
        """Reconnect, patiently, and ask what became of the transaction that was in flight."""
        is_decided = self.tx.is_decided
        self._drop()
        pause = 0.05
        while True:
            try:
                self._reopen()
                assert self._connection is not None
                if not (self._is_committing or is_decided) or not self.tx.executor:
                    return False
                # The lock waits until the server has noticed that its former client is gone.
                row = self._connection.execute(_MARKED, {"executor": self.tx.executor}).fetchone()
                return row is not None and row[0] == self._batch
            except (psycopg.Error, StoreUnavailable, StoreInvalid) as error:
                self._drop()
                if not patience():
                    return False
                log.warning("Postgres cannot be reached, runs wait for it: %s", str(error).strip())
                time.sleep(pause)
                pause = min(pause * 2, RECONNECT_MAX)

    def _reopen(self) -> None:
        self._drop()
        self._connection = connect(self.url)
        executor, life = self.tx.executor, self.tx.life
        self.tx = PostgresTx(self._connection)
        self.tx.executor, self.tx.life = executor, life

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def idle(self) -> None:
        """Nothing to do: the server keeps its own house."""

    def close(self) -> None:
        self._drop()

    def forked(self) -> None:
        if self._connection is not None:
            let_go(self._connection)


class PostgresReaders:
    """A few connections for short reads, each used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._free: list[psycopg.Connection[Row]] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def transaction(self) -> Generator[PostgresTx]:
        with self._lock:
            connection = self._free.pop() if self._free else None
        if connection is None or connection.closed:
            connection = connect(self._url)
        try:
            connection.execute("begin isolation level repeatable read read only")
            try:
                yield PostgresTx(connection)
            finally:
                if not connection.closed:
                    connection.execute("rollback")
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._free) < READERS_MAX and not self._is_closed:
                self._free.append(connection)
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def forked(self) -> None:
        for connection in self._free:
            let_go(connection)


class Listener:
    """A thread that hears the notifications of other executors and hands them on; deaf for a while, it says so."""

    def __init__(self, url: str, executor: str, heard: Callable[[list[Wake]], None]) -> None:
        self._url = url
        self._executor = executor
        self._heard = heard
        self._connection: psycopg.Connection[Row] | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="turbine-listener", daemon=True)
        self._thread.start()
        self._ready.wait(5)

    def _main(self) -> None:
        pause = 0.05
        while not self._stopping.is_set():
            try:
                with connect(self._url) as connection:
                    self._connection = connection
                    connection.execute(f"listen {CHANNEL}")
                    # Who believed to be alone tells us from now on.
                    connection.execute("select pg_notify(%s, %s)", (CHANNEL, _notification(self._executor, [])))
                    self._ready.set()
                    self._heard([("everything", None)])  # what was said before we listened
                    pause = 0.05
                    self._listen(connection)
            except (psycopg.Error, StoreUnavailable, StoreInvalid) as error:
                if not self._stopping.is_set():
                    log.warning("Listening to Postgres failed, trying again: %s", str(error).strip())
            self._stopping.wait(pause)
            pause = min(pause * 2, RECONNECT_MAX)

    def _listen(self, connection: psycopg.Connection[Row]) -> None:
        while not self._stopping.is_set():
            for notice in connection.notifies(timeout=0.1, stop_after=100):
                sender, wakes = _heard_in(notice.payload)
                if sender != self._executor:
                    self._heard(wakes)
                if self._stopping.is_set():
                    return

    def close(self, seconds: float) -> None:
        self._stopping.set()
        self._thread.join(seconds)

    def forked(self) -> None:
        if self._connection is not None:
            let_go(self._connection)


def let_go(connection: psycopg.Connection[Row]) -> None:
    """In a forked child: close the socket alone, without a word to the server, which is in talk with the parent.

    While it is open here, the server does not notice that the parent is dead, and keeps its locks.
    """
    with contextlib.suppress(psycopg.Error, OSError):
        os.close(connection.fileno())


def _notification(executor: str, far: list[list[Any]]) -> str:
    unique = [list(pair) for pair in dict.fromkeys((kind, key) for kind, key in far)]
    text = json.dumps([executor, unique], separators=(",", ":"))
    if len(text) < NOTIFY_MAX_BYTES:
        return text
    return json.dumps([executor, [["everything", None]]])


def _heard_in(notification: str) -> tuple[str, list[Wake]]:
    """The sender and the wakes; keys that were tuples are tuples again."""
    try:
        sender, wakes = json.loads(notification)
        return sender, [(kind, _hashable(key)) for kind, key in wakes]
    except (TypeError, ValueError):  # somebody else's use of our channel
        return "", [("everything", None)]


def _hashable(key: Any) -> Any:
    return tuple(cast("list[Any]", key)) if isinstance(key, list) else key


def vacuum(url: str, tables: list[str]) -> list[str]:
    """Free the dead rows of these tables for new ones, and count them anew; returns the tables that were skipped.

    Nobody waits for it: it takes no lock that a read or a write needs, and skips a table that is locked.
    Raises StoreUnavailable.
    """
    skipped: list[str] = []
    with connect(url) as connection:
        told: list[str] = []
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        try:
            connection.execute("set statement_timeout to 0")
            for table in tables:
                told.clear()
                query = sql.SQL("vacuum (analyze, skip_locked) {}").format(sql.Identifier(table))
                connection.execute(query)
                if told:
                    skipped.append(table)
        except psycopg.Error as error:
            raise StoreUnavailable(f"Postgres broke off the vacuum: {str(error).strip()}") from error
    return skipped


def connect(url: str) -> psycopg.Connection[Row]:
    """A connection as all of ours are. Raises StoreUnavailable if the server is away, StoreInvalid for a wrong URL."""
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
        try:
            connection.execute(_SETTINGS)
        except BaseException:
            connection.close()
            raise
    except psycopg.ProgrammingError as error:
        raise StoreInvalid(f"The Postgres URL cannot be used: {error}") from error
    except psycopg.OperationalError as error:
        text = str(error).strip()
        if any(word in text for word in ("does not exist", "authentication failed", "no password supplied")):
            raise StoreInvalid(f"Postgres refuses the connection: {text}; check user, password and database") from error
        raise StoreUnavailable(
            f"Postgres cannot be reached: {text}; is the server up and the address right?"
        ) from error
    return connection
