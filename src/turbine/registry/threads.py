"""Detects steps that are called in threads which the body of a workflow started itself, where they are not recorded.

A thread starts without the context of the code that started it, and so do the calls of a `ThreadPoolExecutor`: a step
called there is an ordinary function call, and each replay repeats it. Python does not record which code started a
thread or submitted work to a pool, so `watch` wraps `Thread.start` and `ThreadPoolExecutor.submit`. Outside of bodies
the wrappers read one context variable and pass the call on; no durable call goes through them.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import thread as pools
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

from turbine.errors import NotInWorkflow, TurbineWarning
from turbine.registry.scope import CodePlace, Maker, current_scope

OURS = str(Path(__file__).parents[1])
LIBRARY = sysconfig.get_path("stdlib")
_PACKAGES = "-packages"


class _Running(threading.local):
    maker: Maker | None = None
    """The body that submitted the call which this worker of a pool makes now."""


_running = _Running()
_MARK = "_turbine_maker"


def watch() -> None:
    """Installs the wrappers; idempotent."""
    if not hasattr(threading.Thread.start, _MARK):
        kind: Any = threading.Thread
        kind.start = _watching_start(threading.Thread.start)
        ThreadPoolExecutor.submit = _watching_submit(ThreadPoolExecutor.submit)


def maker_of_thread() -> Maker | None:
    """Returns the body that started the running thread or submitted the running call."""
    return _running.maker or threading.current_thread().__dict__.get(_MARK)


def check_lost(step: str, is_async: bool) -> None:
    """Warns, once for each line, about a step that is called outside of runs in a thread that a body started.

    Raises NotInWorkflow instead if the runtime of the body is strict.
    """
    maker = maker_of_thread()
    if maker is None:
        return
    place = _nearest(sys._getframe(1)) or maker.place  # pyright: ignore[reportPrivateUsage] - documented
    if maker.is_async:
        cure = f"await {step}(...)" if is_async else f"await turbine.do({step}, ...)"
        cure = f"call `{cure}` in the body; to run several at once, use asyncio.gather"
    else:
        cure = f"call `turbine.do_async({step}, ...)` in the body, then `.result()` of the task that it returns"
    message = (
        f"Step {step!r} was called in {maker.thread}. It runs, but is not recorded, and each replay runs it again."
        f" Let Turbine provide the thread: {cure}."
    )
    if maker.is_strict:
        raise NotInWorkflow(message)
    if place not in maker.warned:
        maker.warned.add(place)
        warnings.warn_explicit(message, TurbineWarning, *place)


def place_of_caller() -> CodePlace:
    """Returns the innermost line of user code on the stack."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - documented
    return _nearest(frame) or (frame.f_code.co_filename, frame.f_lineno)


def is_of_users(file: str) -> bool:
    """Whether a file belongs neither to Turbine nor to the standard library."""
    return not file.startswith((OURS, "<frozen")) and (not file.startswith(LIBRARY) or _PACKAGES in file)


def _nearest(frame: FrameType) -> CodePlace | None:
    codes = [(outer.f_code.co_filename, outer.f_lineno) for outer in _outwards(frame)]
    lines = [code for code in codes if is_of_users(code[0])]
    return next((line for line in lines if _PACKAGES not in line[0]), lines[0] if lines else None)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _maker() -> Maker | None:
    scope = current_scope.get()
    return maker_of_thread() if scope is None else scope.maker()


def _watching_start(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @wraps(start)
    def watching(self: threading.Thread) -> None:
        # A worker of a pool works for every body that submits to it, not only for the first one, which started it.
        if getattr(self, "_target", None) is not _WORKER and (maker := _maker()) is not None:
            self.__dict__[_MARK] = maker
        start(self)

    setattr(watching, _MARK, True)
    return watching


def _watching_submit(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(submit)
    def watching(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        maker = _maker()
        if maker is None or _runs_elsewhere(self):
            return submit(self, fn, *args, **kwargs)
        token = current_scope.set(None)  # a worker started by this call must not inherit the scope (free threading)
        try:
            return submit(self, _Work(maker, fn), *args, **kwargs)
        finally:
            current_scope.reset(token)

    return watching


class _Work:
    """A call that a body submitted to a pool."""

    __slots__ = ("_fn", "_maker")

    def __init__(self, maker: Maker, fn: Callable[..., Any]) -> None:
        self._maker = maker
        self._fn = fn

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        before, _running.maker = _running.maker, self._maker
        try:
            return self._fn(*args, **kwargs)
        finally:
            _running.maker = before


_WORKER: Any = getattr(pools, "_worker", object())


def _runs_elsewhere(pool: ThreadPoolExecutor) -> bool:
    """Whether the pool pickles its calls for other interpreters (Python 3.14)."""
    module = sys.modules.get("concurrent.futures.interpreter")
    return module is not None and isinstance(pool, module.InterpreterPoolExecutor)
