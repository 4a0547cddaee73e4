"""Short reads from a SQLite file: a few connections, each used by one thread at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Generator

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store.backend import Fault
from turbine.store.sqlite import fork
from turbine.store.sqlite.connection import AWAY, connect, error_code, lacks_schema
from turbine.store.sqlite.transaction import SqliteTx

READERS_MAX = 4


class SqliteReaders:
    """Snapshots for reads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._free: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def transaction(self) -> Generator[SqliteTx]:
        with self._lock:
            connection = self._free.pop() if self._free else None
        with fork.inside():
            if connection is None:
                connection = connect(self._path)
                connection.execute("pragma query_only = on")
            try:
                connection.execute("begin")
                try:
                    yield SqliteTx(connection)
                finally:
                    if connection.in_transaction:
                        connection.execute("rollback")
            except BaseException:
                connection.close()
                raise
        with self._lock:
            if len(self._free) < READERS_MAX and not self._is_closed:
                self._free.append(connection)
                return
        connection.close()

    def classify(self, error: BaseException) -> Fault:
        """The meaning of an error for a read: after LOST it is tried again, after DOWN the database refuses for now."""
        if isinstance(error, sqlite3.OperationalError):
            if lacks_schema(error):
                return Fault.DOWN
            return Fault.LOST if error_code(error) in AWAY else Fault.BAD
        return Fault.LOST if isinstance(error, (StoreUnavailable, StoreInvalid)) else Fault.BAD

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def forked(self) -> None:
        """Do nothing: a fork shares no locks of SQLite's files."""
