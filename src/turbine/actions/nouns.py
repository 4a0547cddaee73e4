"""What hangs on a runtime by noun: `rt.kv`, `rt.schedules` and their neighbours."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from turbine.engine.port import Port

T = TypeVar("T")
Method = Callable[..., Coroutine[Any, Any, T]]


class Noun:
    """The base of all nouns. Their public coroutines run in the loop that launched the runtime, whichever loop asks.

    So what a call starts is carried out, and a call that is in progress when the runtime closes raises ShuttingDown.
    """

    def __init__(self, port: Callable[[], Port]) -> None:
        self._port = port

    def __init_subclass__(cls) -> None:
        for name, method in list(vars(cls).items()):
            if inspect.iscoroutinefunction(method) and not name.startswith("_"):
                setattr(cls, name, _in_loop(method))


def _in_loop(method: Method[T]) -> Method[T]:
    @functools.wraps(method)
    async def in_loop(self: Noun, *args: Any, **kwargs: Any) -> T:
        port = self._port()  # pyright: ignore[reportPrivateUsage] - its own
        return await port.in_loop(lambda: method(self, *args, **kwargs))

    return in_loop
