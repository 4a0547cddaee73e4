"""SQLite behind the store: WAL, fsync at every commit, one writer at a time among all processes of the machine."""

from turbine.store.sqlite.backend import SqliteBackend
from turbine.store.sqlite.connection import check_path, connect, locks_folder
from turbine.store.sqlite.listener import SqliteListener
from turbine.store.sqlite.readers import SqliteReaders
from turbine.store.sqlite.writer_lock import find_holder

__all__ = ["SqliteBackend", "SqliteListener", "SqliteReaders", "check_path", "connect", "find_holder", "locks_folder"]
