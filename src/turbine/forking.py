"""Forks: a forked child keeps the declarations of its parent, and nothing that was launched.

Threads do not exist in the child of a fork; locks and connections do, in whatever state they were. So every launched
object is told in the child that it is a copy: it refuses with `ForkedProcess`, releases lock files (a `flock` is shared
with the parent, and would outlive it), and neither uses nor closes its connections. Calls check nothing on their way;
only a fork pays for this.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from turbine.platform import after_fork_in_child

_callbacks: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def tell_after_fork(forked: Callable[[], None]) -> None:
    """Have a method called in every child that is forked while its object exists, before any other code of the child.

    It must not wait for a lock: the thread that held it does not exist in the child.
    """
    method: Any = forked
    _callbacks[method.__self__] = method.__func__


def keep_for_ever(thing: object) -> None:
    """Keep an object from being finalized in this process.

    SQLite forbids closing a connection of the parent in the child, the end of the interpreter included:
    https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_file_across_a_fork_
    """
    if hasattr(ctypes, "pythonapi"):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _in_child() -> None:
    for thing, forked in list(_callbacks.items()):
        forked(thing)


after_fork_in_child(_in_child)
