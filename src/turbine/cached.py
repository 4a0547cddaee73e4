"""`cached_property` without a lock, which a process that is forked while another thread computes a value would inherit.

In Python 3.11 all instances share one lock, and a forked child would wait for it for ever. Python 3.12 removed it
(https://docs.python.org/3/library/functools.html#functools.cached_property). Two threads may compute a value at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

T = TypeVar("T")

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property(Generic[T]):  # noqa: N801 - it stands in for the standard one
        """A value that is computed once for each instance and kept in its `__dict__`."""

        def __init__(self, compute: Callable[[Any], T]) -> None:
            self.compute = compute
            self.__doc__ = compute.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self.name = name

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            value = instance.__dict__[self.name] = self.compute(instance)
            return value


__all__ = ["cached_property"]
