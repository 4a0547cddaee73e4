"""SQLite files across a fork.

SQLite notes in the memory of the process which locks it holds on a file. A forked child inherits the notes and none of
the locks. A connection that it opens beside inherited ones relies on locks that no process holds: the next process that
closes the file as its last user removes the log under it. But a connection of the parent must not be used in the child,
nor closed, because another thread may be in the middle of it, or of a transaction
(https://www.sqlite.org/howtocorrupt.html, 2.6).

So before a fork all threads leave SQLite for a moment, and the child closes what it has inherited before it does
anything else. Closing a connection that is at rest frees memory and descriptors of the child: the parent's locks are
its own, and by them SQLite sees that the log is still in use.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Generator
from weakref import WeakSet

from turbine.errors import StoreUnavailable
from turbine.forking import keep_for_ever
from turbine.platform import around_fork

PATIENCE = 5.0
"""Seconds that a fork waits until all threads have left SQLite."""


class SqliteConnection(sqlite3.Connection):
    """A connection that is known to the fork handlers."""


class _ForkGuard:
    """Counts the threads that use SQLite, and holds them off during a fork."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._inside = 0
        self._forks = 0

    def enter(self) -> None:
        """Begin to use SQLite; not twice, or a fork would wait for this thread, and this thread for the fork."""
        with self._changed:
            while self._forks:
                self._changed.wait()
            self._inside += 1

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            if self._forks and not self._inside:
                self._changed.notify_all()

    def close(self) -> None:
        """Wait until no thread is inside, and let none in."""
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: not self._inside, PATIENCE)

    def open(self) -> None:
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    @property
    def is_empty(self) -> bool:
        return not self._inside


_guard = _ForkGuard()
_connections: WeakSet[SqliteConnection] = WeakSet()
_was_disturbed = False
"""Whether this is a child that was forked while a thread could not leave SQLite."""


def enter() -> None:
    """Begin to use a connection: no fork happens until `leave`, which must follow."""
    _guard.enter()


def leave() -> None:
    """End the use of a connection, which has no open transaction."""
    _guard.leave()


@contextlib.contextmanager
def inside() -> Generator[None]:
    """Call `enter` and `leave` around a block."""
    _guard.enter()
    try:
        yield
    finally:
        _guard.leave()


def opened(connection: SqliteConnection) -> SqliteConnection:
    """Register a connection, so that a forked child closes its copy. Raises StoreUnavailable if that is impossible."""
    if _was_disturbed:
        keep_for_ever(connection)
        raise StoreUnavailable(
            "This process was forked while its parent was in the middle of a long operation of SQLite, so it must not"
            " open the database; start it anew (spawn instead of fork), or fork before the launch"
        )
    _connections.add(connection)
    return connection


def _before() -> None:
    _guard.close()


def _in_parent() -> None:
    _guard.open()


def _in_child() -> None:
    global _guard, _was_disturbed  # noqa: PLW0603 - a fork concerns the whole process
    is_at_rest, _guard = _guard.is_empty, _ForkGuard()
    _was_disturbed = _was_disturbed or (bool(_connections) and not is_at_rest)
    for connection in list(_connections):
        if is_at_rest:
            connection.close()
        else:
            keep_for_ever(connection)
    _connections.clear()


around_fork(before=_before, in_parent=_in_parent, in_child=_in_child)
