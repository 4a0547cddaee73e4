"""Short reads on Postgres: a few connections, each used by one thread at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator

import psycopg

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store.backend import Fault
from turbine.store.postgres.connection import Connection, Source, classify, close_socket
from turbine.store.postgres.transaction import PostgresTx

READERS_MAX = 4


class PostgresReaders:
    """Snapshots for reads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._free: list[Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def transaction(self) -> Generator[PostgresTx]:
        connection = self._borrow()
        try:
            yield PostgresTx(connection)
            connection.execute("rollback")
        except BaseException as error:
            if not self._is_usable(connection, error):
                connection.close()
                self._close_free()  # they are broken too, most likely
                raise
            self._give_back(connection)
            raise
        self._give_back(connection)

    def _borrow(self) -> Connection:
        """Begin a snapshot. A connection that a pooler, a timeout or a restart has closed meanwhile is replaced."""
        while True:
            with self._lock:
                connection = self._free.pop() if self._free else None
            is_fresh = connection is None
            connection = connection or self._source.connect()
            try:
                connection.execute("begin isolation level repeatable read read only")
            except psycopg.Error as error:
                connection.close()
                if is_fresh or self.classify(error) is Fault.BAD:
                    raise
                self._close_free()
            else:
                return connection

    def _is_usable(self, connection: Connection, error: BaseException) -> bool:
        if connection.closed or connection.broken or self.classify(error) is not Fault.BAD:
            return False
        try:
            connection.execute("rollback")
        except psycopg.Error:
            return False
        return True

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if len(self._free) < READERS_MAX and not self._is_closed:
                self._free.append(connection)
                return
        connection.close()

    def classify(self, error: BaseException) -> Fault:
        """The meaning of an error for a read: LOST and BUSY may be tried again."""
        if isinstance(error, (StoreUnavailable, StoreInvalid)):
            return Fault.LOST
        return classify(error, is_gone=False) if isinstance(error, psycopg.Error) else Fault.BAD

    def _close_free(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
        self._close_free()

    def forked(self) -> None:
        """In a forked child: close the sockets of the parent's connections."""
        for connection in self._free:
            close_socket(connection)
