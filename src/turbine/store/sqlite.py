"""SQLite behind the door: WAL, fsync at every commit, one writer at a time among all processes of the machine.

- `begin immediate` always: a deferred begin that writes after it read costs 4 to 10 times under contention.
- Processes take turns with a file lock around each transaction, because SQLite's busy timeout starves all but one.
- The write-ahead log is sized once and then written over: a growing file costs an extra journal write at each fsync.
  Checkpoints are the writer's work, when it is idle or when the log has become large.
- The database file is opened by SQLite only: closing any other descriptor of it would drop this process' locks on it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Literal

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.platform import FileLock
from turbine.store import sqlite_fork
from turbine.store.sql import Statement
from turbine.store.tx import Identity, Row, Wake
from turbine.store.writer import Fault

WAL_PRESIZED = 4 * 1024 * 1024
WAL_LARGE_PAGES = 4000
"""Pages in the log (16 MiB) after which the writer stops for a checkpoint."""
READERS_MAX = 4

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_AWAY = _BUSY | {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM}
_DOWN = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_AUTH,
}


class SqliteTx:
    """A transaction of the writer, or a snapshot of a reader."""

    dialect: Literal["sqlite", "postgres"] = "sqlite"
    __slots__ = ("_connection", "_execute", "executor", "incarnation", "wakes")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self.executor = ""
        self.incarnation = 0
        self.wakes: list[Wake] = []

    def rows(self, statement: Statement, **parameters: Any) -> list[Row]:
        return self._execute(statement.sqlite, parameters).fetchall()

    def row(self, statement: Statement, **parameters: Any) -> Row | None:
        cursor = self._execute(statement.sqlite, parameters)
        row = cursor.fetchone()
        cursor.close()
        return row

    def run(self, statement: Statement, **parameters: Any) -> int:
        return self._execute(statement.sqlite, parameters).rowcount

    def defer(self, statement: Statement, **parameters: Any) -> None:
        self._execute(statement.sqlite, parameters)

    def execute_many(self, *asked: tuple[Statement, dict[str, Any]]) -> list[list[Row]]:
        return [self.rows(statement, **parameters) for statement, parameters in asked]

    def commit_if(self, statement: Statement, **parameters: Any) -> list[Row]:
        return self.rows(statement, **parameters)

    def wake(self, kind: str, key: Any = None, *, remote: bool = True) -> None:
        self.wakes.append((kind, key))


class SqliteBackend:
    """The writer's connection to a SQLite file (or to a database in memory)."""

    def __init__(self, path: str, identity: Identity | None = None) -> None:
        self.path = path
        self.is_memory = path == ":memory:"
        self._identity = identity or Identity()
        self._turn: FileLock | None = None
        self._is_inside = False
        if not self.is_memory:
            self._turn = _open_writer_lock(path)
        self._connection: sqlite3.Connection | None = None
        self._commits = 0
        self._seen = 0
        try:
            self.tx = SqliteTx(self._open())
        except BaseException:
            self.close()
            raise

    def _open(self) -> sqlite3.Connection:
        with self._take_writer_lock(), sqlite_fork.inside():
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        connection = connect(self.path)
        try:
            if not self.is_memory:
                # For a new file: it can be made smaller in small pieces, while everybody goes on. To an old one it
                # does nothing. It costs a log that is 2 % larger.
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
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
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
        if self._turn is not None:
            self._turn.acquire()
        assert self._connection is not None
        self._enter()
        self._connection.execute("begin immediate")
        self.tx.wakes = []
        if not self.is_memory:
            (version,) = self._connection.execute("pragma data_version").fetchone()
            if version != self._seen:  # on this connection it changes with the commits of other connections only
                self._seen = version
                self.tx.wakes.append(("everything", None))
        return self.tx

    def commit(self) -> list[Wake]:
        assert self._connection is not None
        self._connection.execute("commit")
        self._leave()
        self._release_writer_lock()
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
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _BUSY:
                return Fault.BUSY
            if code in _DOWN:
                return Fault.DOWN
        if isinstance(error, (OSError, StoreUnavailable, StoreInvalid)):
            return Fault.DOWN
        return Fault.BAD

    def recover(self, patience: Callable[[], bool]) -> bool:
        """Drop a connection that failed, because what it still holds must not be trusted; the next batch opens anew."""
        if self.is_memory:
            return False
        self._release_writer_lock()
        self._drop()
        return False

    def idle(self) -> None:
        """Copy the log into the file while nobody writes. A passive checkpoint never waits for readers."""
        if self._commits and self._connection is not None and not self.is_memory:
            self._commits = 0
            with self._take_writer_lock(), sqlite_fork.inside():
                self._connection.execute("pragma wal_checkpoint(passive)").fetchone()

    def _drop(self) -> None:
        if self._connection is not None:
            self._enter()
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._leave()

    def _enter(self) -> None:
        if not self._is_inside:
            sqlite_fork.enter()
            self._is_inside = True

    def _leave(self) -> None:
        if self._is_inside:
            self._is_inside = False
            sqlite_fork.leave()

    def close(self) -> None:
        self._drop()
        if self._turn is not None:
            self._turn.close()
            self._turn = None

    def forked(self) -> None:
        if self._turn is not None:  # while it is open here, the turn of a parent that dies would last
            self._turn.close()
            self._turn = None

    @contextlib.contextmanager
    def _take_writer_lock(self) -> Generator[None]:
        if self._turn is None:
            yield
            return
        try:
            self._turn.acquire()
        except OSError as error:
            raise StoreInvalid(
                f"The lock file beside {self.path} cannot be locked ({error}); put the database on a local disk"
            ) from error
        try:
            yield
        finally:
            self._turn.release()

    def _release_writer_lock(self) -> None:
        if self._turn is not None:
            self._turn.release()


class SqliteReaders:
    """A few connections for short reads, each used by one thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._free: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def transaction(self) -> Generator[SqliteTx]:
        with self._lock:
            connection = self._free.pop() if self._free else None
        with sqlite_fork.inside():
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
        """What an error means for a read: LOST may be tried again."""
        if isinstance(error, sqlite3.OperationalError):
            return Fault.LOST if getattr(error, "sqlite_errorcode", 0) & 0xFF in _AWAY else Fault.BAD
        return Fault.LOST if isinstance(error, (StoreUnavailable, StoreInvalid)) else Fault.BAD

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def forked(self) -> None:
        """SQLite's files are not shared by what a fork copies: its locks belong to the parent alone."""


class ChangePoll:
    """Tells whether any other connection has committed since the last look; about 2 µs a look."""

    def __init__(self, path: str) -> None:
        with sqlite_fork.inside():
            self._connection = connect(path)
            self._seen = self._version()

    def _version(self) -> int:
        return self._connection.execute("pragma data_version").fetchone()[0]

    def changed(self) -> bool:
        with sqlite_fork.inside():
            version = self._version()
        changed, self._seen = version != self._seen, version
        return changed

    def close(self) -> None:
        with sqlite_fork.inside():
            self._connection.close()


def connect(path: str) -> sqlite3.Connection:
    """A connection as all of ours are: no implicit transactions, usable from the thread that borrows it.

    It is made and used while the thread is `sqlite_fork.inside()`.
    """
    try:
        connection = sqlite_fork.opened(
            sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=5.0, factory=sqlite_fork.Connection
            )
        )
    except sqlite3.OperationalError as error:
        raise StoreInvalid(f"{path} cannot be opened as a SQLite database: {error}") from error
    connection.execute("pragma foreign_keys = on")
    return connection


def check_path(path: str) -> None:
    """Refuse at launch what can never be a database, with the reason. Raises StoreInvalid."""
    if path == ":memory:":
        return
    file = Path(path)
    if file.is_dir():
        raise StoreInvalid(f"{path} is a folder; name a file in it, for example sqlite:///{path}/turbine.db")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreInvalid(f"The folder of the database {path} cannot be made: {error}") from error
    if file.exists():
        if not os.access(path, os.W_OK):
            raise StoreInvalid(f"{path} is read-only for this user; make it writable or name another file")
    elif not os.access(file.parent, os.W_OK):
        raise StoreInvalid(f"The folder {file.parent} is read-only for this user; the database {path} cannot be made")


def locks_folder(path: str) -> Path:
    """Where the lock files of a database live: beside it."""
    folder = Path(path + "-locks")
    folder.mkdir(exist_ok=True)
    return folder


def _open_writer_lock(path: str) -> FileLock:
    try:
        return FileLock(locks_folder(path) / "writer.lock")
    except OSError as error:
        raise StoreInvalid(f"The lock file of {path} cannot be opened: {error}") from error


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
        # Little room is enough for small writes; they are only slower.
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
