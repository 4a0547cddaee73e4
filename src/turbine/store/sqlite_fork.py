"""SQLite files across a fork.

SQLite notes in the memory of the process which locks it holds on a file. A forked child inherits the notes and none of
the locks. A connection that it opens beside inherited ones relies on locks that nobody holds: the next process that
closes the file as its last user removes the log under it. But a connection of the parent must not be used in the child,
nor closed, because another thread may be in the middle of it, or of a transaction
(https://www.sqlite.org/howtocorrupt.html, 2.6).

So before a fork all threads leave SQLite for a moment, and the child closes what it has inherited before it does
anything else. To close a connection that is at rest gives up memory and descriptors of the child: the parent's locks
are its own, and by them SQLite sees that the log is still in use.
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


class Connection(sqlite3.Connection):
    """A connection that a forked child finds."""


class _Passage:
    """Lets threads into SQLite, but for the moment of a fork."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._inside = 0
        self._forks = 0

    def enter(self) -> None:
        """Go in; not twice, or a fork would wait for this thread, and this thread for the fork."""
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
        """Wait until nobody is inside, and let nobody in."""
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


_passage = _Passage()
_connections: WeakSet[Connection] = WeakSet()
_was_disturbed = False
"""Whether this is a child that was forked while a thread could not leave SQLite."""


def enter() -> None:
    """Before a thread uses a connection: in the middle of this nothing is forked. `leave` must follow."""
    _passage.enter()


def leave() -> None:
    """After a thread has used a connection, and left no transaction open."""
    _passage.leave()


@contextlib.contextmanager
def inside() -> Generator[None]:
    """`enter` and `leave`."""
    _passage.enter()
    try:
        yield
    finally:
        _passage.leave()


def opened(connection: Connection) -> Connection:
    """Have a forked child close its copy of this. Raises StoreUnavailable where that was not possible."""
    if _was_disturbed:
        keep_for_ever(connection)
        raise StoreUnavailable(
            "This process was forked while its parent was in the middle of a long operation of SQLite, so it must not"
            " open the database; start it anew (spawn instead of fork), or fork before the launch"
        )
    _connections.add(connection)
    return connection


def _before() -> None:
    _passage.close()


def _in_parent() -> None:
    _passage.open()


def _in_child() -> None:
    global _passage, _was_disturbed  # noqa: PLW0603 - what a fork does, it does to the whole process
    is_at_rest, _passage = _passage.is_empty, _Passage()
    _was_disturbed = _was_disturbed or (bool(_connections) and not is_at_rest)
    for connection in list(_connections):
        if is_at_rest:
            connection.close()
        else:
            keep_for_ever(connection)
    _connections.clear()


around_fork(before=_before, in_parent=_in_parent, in_child=_in_child)
