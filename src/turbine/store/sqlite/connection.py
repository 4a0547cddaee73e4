"""Connections to a SQLite file: how they are opened, where the file may be, and what their errors mean."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from turbine.errors import StoreInvalid
from turbine.store.sqlite import fork

BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
AWAY = BUSY | {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM}
"""Errors after which a read is tried again."""
DOWN = frozenset(
    {
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
)
"""Errors of the disk, after which a write is refused."""


def error_code(error: BaseException) -> int:
    """The primary result code of an error of SQLite, 0 for others."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def lacks_schema(error: sqlite3.Error) -> bool:
    """Whether a table or column is missing, as during a restore; SQLite has no code of its own for that."""
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith(("no such table", "no such column"))


def connect(path: str) -> sqlite3.Connection:
    """Open a connection without implicit transactions, usable from the thread that borrows it.

    Call and use it while the thread is `fork.inside()`. Raises StoreInvalid.
    """
    try:
        connection = fork.opened(
            sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=5.0, factory=fork.SqliteConnection
            )
        )
    except sqlite3.OperationalError as error:
        raise StoreInvalid(f"{path} cannot be opened as a SQLite database: {error}") from error
    connection.execute("pragma foreign_keys = on")
    return connection


def check_path(path: str) -> None:
    """Raise StoreInvalid, with the reason, for a path that can never be a database."""
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
    """The folder for the lock files of a database, beside it; made if it is missing."""
    folder = Path(path + "-locks")
    folder.mkdir(exist_ok=True)
    return folder
