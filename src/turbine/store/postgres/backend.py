"""The writers' connections to Postgres: they commit batches, and find out afterwards which of them were committed.

- A batch is `begin`, its statements, at most one `pg_notify`, `commit`. It also writes its number into a row of its
  executor (one for each lane): the lock on that row delays an eviction of the executor that comes between its check
  and its commit.
- When a connection is lost during `commit`, that number tells afterwards whether the commit happened: nothing is done
  twice, and no write is reported as lost that was kept. (A transaction id would not do: a server that crashed may give
  one out again.)
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable

import psycopg
from psycopg import sql

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store.backend import Fault
from turbine.store.postgres.connection import Connection, Source, classify, close_socket
from turbine.store.postgres.notifications import channel_of, notification
from turbine.store.postgres.transaction import MARKED, PostgresTx, Query
from turbine.store.tx import Identity, Wake

log = logging.getLogger("turbine.store")

RECONNECT_MAX = 2.0
"""Seconds between attempts to reach a server that is away, at most."""
IDLE_MAX = 30.0
"""Seconds after which a lane without work closes its connection."""


class PostgresBackend:
    """The connection of one lane. `lane` is None for writes that need no number."""

    def __init__(
        self, source: Source, identity: Identity, lane: int | None = 0, *, connection: Connection | None = None
    ) -> None:
        """`connection`: one to begin with; without it the first batch opens one."""
        self.source = source
        self.identity = identity
        self.lane = lane
        self._connection = connection
        self.tx: PostgresTx | None = None if connection is None else PostgresTx(connection, lane=lane)
        self._batch = time.time_ns()
        """The number of the batch in flight, written with it; no earlier launch of this executor has used it."""
        self._is_committing = False
        self._used = time.monotonic()

    def begin(self, *, is_single_statement: bool = False, was_decided: bool = False) -> PostgresTx:
        if self.tx is None or self._connection is None:
            self._reopen()
        assert self.tx is not None
        self._batch += 1
        self._is_committing = False
        self._used = time.monotonic()
        self.tx.executor, self.tx.incarnation = self.identity.executor, self.identity.incarnation
        self.tx.begin(self._batch, is_single_statement=is_single_statement, was_decided=was_decided)
        return self.tx

    def commit(self) -> list[Wake]:
        tx = self.tx
        assert tx is not None
        wakes = [(kind, key) for kind, key, _ in tx.wakes]
        if tx.is_decided:
            if wakes:
                raise RuntimeError("A function marked with @single_statement published a wake after its commit")
            return []
        remote = [] if self.identity.is_alone else [[kind, key] for kind, key, is_remote in tx.wakes if is_remote]
        queries: list[Query] = [("commit", None)]
        if remote and self.identity.channel:
            parameters = {"channel": self.identity.channel, "text": notification(tx.executor, remote)}
            queries.insert(0, ("select pg_notify(%(channel)s, %(text)s)", parameters))
        self._is_committing = True
        if not (tx.is_open or tx.is_waiting or len(queries) > 1):
            return wakes
        cursor = tx.send(*queries)[-1]
        if (
            cursor.statusmessage != "COMMIT"
        ):  # Postgres answers the commit of a failed transaction with a quiet rollback
            raise RuntimeError("A statement failed and its function hid that: nothing of its transaction was written")
        return wakes

    def rollback(self) -> None:
        if self._connection is not None and self.tx is not None and self.tx.is_open and not self.tx.is_decided:
            self._connection.execute("rollback")

    def classify(self, error: BaseException) -> Fault:
        connection = self._connection
        is_gone = connection is None or connection.closed or connection.broken
        return classify(error, is_gone=is_gone)

    def recover(self, patience: Callable[[], bool]) -> bool:
        """Reconnect, and look up whether the transaction that was in flight was committed."""
        may_be_committed = self.tx is not None and (self._is_committing or self.tx.is_decided)
        is_marked = self.tx is not None and self.tx.is_marked
        incarnation = 0 if self.tx is None else self.tx.incarnation
        self._drop()
        pause = 0.05
        while True:
            try:
                connection = self._reopen()
                if not may_be_committed or not is_marked:
                    return False
                # The lock waits until the server has noticed that its former client is gone.
                row = connection.execute(MARKED, {"incarnation": incarnation, "lane": self.lane}).fetchone()
                return row is not None and row[0] == self._batch
            except (psycopg.Error, StoreUnavailable, StoreInvalid) as error:
                self._drop()
                if not patience():
                    return False
                log.warning("Postgres cannot be reached, runs wait for it: %s", str(error).strip())
                time.sleep(pause)
                pause = min(pause * 2, RECONNECT_MAX)

    def _reopen(self) -> Connection:
        self._drop()
        self._connection = connection = self.source.connect()
        self.tx = PostgresTx(connection, lane=self.lane)
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
            self.tx = None

    def channel(self) -> str:
        """The channel of the executors that share these tables."""
        assert self._connection is not None
        return channel_of(self._connection)

    def location(self) -> str:
        """A short name for the schema of the database of the server, the same in all processes that use this URL."""
        assert self._connection is not None
        info = self._connection.info
        text = f"{info.host}:{info.port}/{info.dbname}/{self.identity.channel}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def obstacle(self) -> str | None:
        return None  # Postgres ends the transaction of a process that is stopped

    def abandon(self) -> None:
        """Do nothing: waits for locks are short here (`lock_timeout`)."""

    def idle(self) -> None:
        """Close the connection of a lane that has been idle for long; the main lane keeps its own."""
        if self.lane != 0 and time.monotonic() - self._used > IDLE_MAX:
            self._drop()

    def close(self) -> None:
        self._drop()

    def forked(self) -> None:
        if self._connection is not None:
            close_socket(self._connection)


def vacuum(source: Source, tables: list[str]) -> list[str]:
    """Free the dead rows of these tables for new ones, and update statistics; returns the tables that were skipped.

    It takes no lock that a read or a write needs, and skips a table that is locked. Raises StoreUnavailable.
    """
    skipped: list[str] = []
    with source.connect() as connection:
        notices: list[str] = []
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        try:
            for table in tables:
                notices.clear()
                query = sql.SQL("vacuum (analyze, skip_locked) {}").format(sql.Identifier(table))
                connection.execute(query)
                if notices:
                    skipped.append(table)
        except psycopg.Error as error:
            raise StoreUnavailable(f"Postgres broke off the vacuum: {str(error).strip()}") from error
    return skipped
