"""What a forked child may keep of its parent: the declarations, and nothing that was launched.

Threads do not come along with a fork; locks and connections do, in whatever state they were. So everything that was
launched is told in the child that it is a copy: it refuses with `ForkedProcess`, lets go of lock files (a `flock` is
shared with the parent, and would outlive it), and its connections are neither used nor closed. Nothing is asked on the
way of a call: only a fork pays for this.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from turbine.platform import after_fork_in_child

_told: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def tell_after_fork(forked: Callable[[], None]) -> None:
    """Have a method called in every child that is forked while its object exists, before any other code of the child.

    It must not wait for a lock: who held it is not there.
    """
    method: Any = forked
    _told[method.__self__] = method.__func__


def keep_for_ever(thing: object) -> None:
    """Let nothing of this be finalized in this process.

    SQLite forbids closing a connection of the parent in the child, the end of the interpreter included:
    https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_file_across_a_fork_
    """
    if hasattr(ctypes, "pythonapi"):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _in_child() -> None:
    for thing, forked in list(_told.items()):
        forked(thing)


after_fork_in_child(_in_child)
