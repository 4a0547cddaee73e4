"""The writer's connection to a SQLite file.

- `begin immediate` always: a deferred begin that writes after it read costs 4 to 10 times under contention.
- Processes take turns with a file lock around each transaction (`WriterLock`).
- The write-ahead log is sized once and then written over: a growing file costs an extra journal write at each fsync.
  Checkpoints are the writer's work, when it is idle or when the log has become large.
- Only SQLite opens the database file: closing any other descriptor of it would drop this process' locks on it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Generator
from pathlib import Path

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store.backend import Fault
from turbine.store.sqlite import fork
from turbine.store.sqlite.connection import BUSY, DOWN, connect, error_code, lacks_schema
from turbine.store.sqlite.transaction import SqliteTx
from turbine.store.sqlite.writer_lock import LAUNCH_PATIENCE, WriterLock
from turbine.store.tx import Identity, Wake

WAL_PRESIZED = 4 * 1024 * 1024
WAL_LARGE_PAGES = 4000
"""Pages in the log (16 MiB) after which the writer stops for a checkpoint."""


class SqliteBackend:
    """A connection for writing to a SQLite file, or to a database in memory."""

    def __init__(
        self, path: str, identity: Identity | None = None, *, abandoned: threading.Event | None = None
    ) -> None:
        """`abandoned`: set from outside to break off a wait for the lock. Raises StoreInvalid, StoreUnavailable."""
        self.path = path
        self.is_memory = path == ":memory:"
        self._identity = identity or Identity()
        self._lock = None if self.is_memory else WriterLock(path, abandoned)
        self._is_inside = False
        self._connection: sqlite3.Connection | None = None
        self._commits = 0
        self._data_version = 0
        try:
            self.tx = SqliteTx(self._open())
        except BaseException:
            self.close()
            raise

    def _open(self) -> sqlite3.Connection:
        with self._take_writer_lock(), fork.inside():
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.path)
        try:
            if not self.is_memory:
                # A new file can then be made smaller in small pieces, beside reads and writes; on an old one it has no
                # effect. It costs a log that is 2 % larger.
                connection.execute("pragma auto_vacuum = incremental")
                (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
                if mode != "wal":
                    raise StoreInvalid(
                        f"{self.path} cannot use SQLite's write-ahead log (it is in mode {mode!r});"
                        " put the database on a local disk"
                    )
                connection.execute("pragma synchronous = full")
                connection.execute("pragma fullfsync = on")  # on macOS `fsync` leaves it in the cache of the drive
                connection.execute(f"pragma wal_autocheckpoint = {WAL_LARGE_PAGES}")
                _presize(connection, self.path)
            connection.execute("pragma cache_size = -64000")
        except sqlite3.DatabaseError as error:
            connection.close()
            if error_code(error) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
                raise StoreInvalid(
                    f"{self.path} exists and is not a SQLite database (or is damaged): {error}; name another file"
                ) from error
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def begin(self, *, is_single_statement: bool = False, was_decided: bool = False) -> SqliteTx:
        if self._connection is None:  # closed after a failing disk; every batch tries anew
            self.tx = SqliteTx(self._open())
        self.tx.executor, self.tx.incarnation = self._identity.executor, self._identity.incarnation
        if self._lock is not None:
            self._lock.acquire(self._patience)
        assert self._connection is not None
        self._enter()
        self._connection.execute("begin immediate")
        self.tx.wakes = []
        if self._lock is not None:
            (version,) = self._connection.execute("pragma data_version").fetchone()
            if version != self._data_version:  # on this connection it changes with the commits of other connections
                self._data_version = version
                self._lock.note()
                self.tx.wakes.append(("everything", None))
        return self.tx

    def commit(self) -> list[Wake]:
        assert self._connection is not None
        self._connection.execute("commit")
        self._leave()
        if self._lock is not None:
            self._lock.release(has_committed=True)
        self._commits += 1
        return self.tx.wakes

    def rollback(self) -> None:
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("rollback")
        finally:
            self._leave()
            self._release_writer_lock()

    def classify(self, error: BaseException) -> Fault:
        if isinstance(error, sqlite3.Error):
            code = error_code(error)
            if code in BUSY:
                return Fault.BUSY
            if code in DOWN or lacks_schema(error):
                return Fault.DOWN
        if isinstance(error, (OSError, StoreUnavailable, StoreInvalid)):
            return Fault.DOWN
        return Fault.BAD

    def recover(self, patience: Callable[[], bool]) -> bool:
        """Drop a connection that failed, because its state must not be trusted; the next batch opens a new one."""
        if self.is_memory:
            return False
        self._release_writer_lock()
        self._drop()
        return False

    def obstacle(self) -> str | None:
        return None if self._lock is None else self._lock.obstacle()

    def report_obstacle(self) -> None:
        """Log a wait for the lock of another process, once it is long."""
        if self._lock is not None:
            self._lock.report()

    def abandon(self) -> None:
        if self._lock is not None:
            self._lock.abandon()

    def idle(self) -> None:
        """Copy the log into the file while no process writes. A passive checkpoint never waits for readers."""
        if not self._commits or self._connection is None or self._lock is None or not self._lock.try_acquire():
            return
        self._commits = 0
        try:
            with fork.inside():
                self._connection.execute("pragma wal_checkpoint(passive)").fetchone()
        finally:
            self._lock.release()

    def close(self) -> None:
        self._drop()
        self._close_lock()

    def forked(self) -> None:
        self._close_lock()  # open in the child, it would stay locked after the death of the parent

    @property
    def _patience(self) -> float | None:
        """Seconds to wait for the lock. A registered executor waits as it waits for a database that is away."""
        return None if self._identity.executor else LAUNCH_PATIENCE

    def _drop(self) -> None:
        if self._connection is not None:
            self._enter()
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._leave()

    def _enter(self) -> None:
        if not self._is_inside:
            fork.enter()
            self._is_inside = True

    def _leave(self) -> None:
        if self._is_inside:
            self._is_inside = False
            fork.leave()

    @contextlib.contextmanager
    def _take_writer_lock(self) -> Generator[None]:
        if self._lock is None:
            yield
            return
        try:
            self._lock.acquire(self._patience)
        except OSError as error:
            raise StoreInvalid(
                f"The lock file beside {self.path} cannot be locked ({error}); put the database on a local disk"
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    def _release_writer_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _close_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _presize(connection: sqlite3.Connection, path: str) -> None:
    """Give the log its size at once: pages spilled by a transaction that is rolled back stay in the file."""
    with contextlib.suppress(FileNotFoundError):
        if Path(path + "-wal").stat().st_size >= WAL_PRESIZED:
            return
    connection.execute("pragma cache_size = 10")
    connection.execute("begin immediate")
    try:
        connection.execute("create table pt_presize (filler blob)")
        # A little more than the size: not every page is spilled before the end.
        connection.execute("insert into pt_presize values (zeroblob(?))", (WAL_PRESIZED + 65536,))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        # Small writes still fit on the disk; they are only slower.
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
