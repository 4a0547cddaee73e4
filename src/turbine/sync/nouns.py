"""What hangs on a blocking `Runtime` by noun: `rt.kv`, and its neighbours. Each waits for its asynchronous twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from turbine.registry import UNSET

if TYPE_CHECKING:
    from turbine.sync.runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Kv:
    """The global key-value store; see `turbine.Runtime.kv`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def get(self, key: str, type: Any = Any, default: Any = None) -> Any:
        """The value of a key, decoded as `type`; `default` when there is none."""
        return self._runtime.wait_for(self._runtime.inner.kv.get(key, type, default))

    def set(self, key: str, value: Any, expect: Any = UNSET) -> None:
        """Write a key, with `expect` only if the stored value is the expected one. Raises Conflict."""
        self._runtime.wait_for(self._runtime.inner.kv.set(key, value, expect))

    def delete(self, key: str) -> None:
        """Remove a key; fine when there is none."""
        self._runtime.wait_for(self._runtime.inner.kv.delete(key))
