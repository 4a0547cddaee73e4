"""Threads that bodies make themselves: a step that is called there is lost to the run, and says so.

A thread starts without the context of its maker, and so does what a `ThreadPoolExecutor` carries out: a step called
there is just its function, and a replay would call it again. Nothing in Python tells a thread who made it, or a worker
who gave it work. So `watch` puts a wrapper around `Thread.start` and `ThreadPoolExecutor.submit`. Outside of bodies
the wrappers look at one context variable and pass everything on as it is; no durable call goes through them.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import thread as pools
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

from turbine.errors import NotInWorkflow, TurbineWarning
from turbine.registry.scope import current_scope

OURS = str(Path(__file__).parents[1])
LIBRARY = sysconfig.get_path("stdlib")
_PACKAGES = "-packages"

CodePlace = tuple[str, int]
"""A file, and a line in it."""


@dataclass(frozen=True, slots=True)
class Maker:
    """A body that made a thread, or gave something to a pool of threads."""

    workflow: str
    is_async: bool
    place: CodePlace
    """Where it did so."""
    is_strict: bool
    warned: set[CodePlace]
    """Places at which its runtime has warned already."""

    @property
    def thread(self) -> str:
        """The thread, in words."""
        file, line = self.place
        return f"a thread that the body of workflow {self.workflow!r} started, or gave work to, at {file}:{line}"


class _Running(threading.local):
    maker: Maker | None = None
    """For whom a worker of a pool carries out what it does now."""


_running = _Running()
_MARK = "_turbine_maker"


def watch() -> None:
    """From now on know who makes threads. Any number of times."""
    if not hasattr(threading.Thread.start, _MARK):
        kind: Any = threading.Thread
        kind.start = _watching_start(threading.Thread.start)
        ThreadPoolExecutor.submit = _watching_submit(ThreadPoolExecutor.submit)


def maker_of_thread() -> Maker | None:
    """The body that made the running thread, or gave a pool what runs now."""
    return _running.maker or threading.current_thread().__dict__.get(_MARK)


def check_lost(step: str, is_async: bool) -> None:
    """A step was called outside of runs: warn, once for each place, if a body made this thread.

    Raises NotInWorkflow instead if its runtime is strict.
    """
    maker = maker_of_thread()
    if maker is None:
        return
    place = _nearest(sys._getframe(1)) or maker.place  # pyright: ignore[reportPrivateUsage] - documented
    if maker.is_async:
        cure = f"await {step}(...)" if is_async else f"await turbine.do({step}, ...)"
        cure = f"call `{cure}` in the body, several at once with asyncio.gather"
    else:
        cure = f"call `turbine.do_async({step}, ...)` in the body, and `.result()` of what it gives"
    message = (
        f"Step {step!r} was called in {maker.thread}. It runs, but nothing is recorded, and each replay runs it again."
        f" Let Turbine find the thread: {cure}."
    )
    if maker.is_strict:
        raise NotInWorkflow(message)
    if place not in maker.warned:
        maker.warned.add(place)
        warnings.warn_explicit(message, TurbineWarning, *place)


def place_of_caller() -> CodePlace:
    """The nearest line of users' code that has led here."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - documented
    return _nearest(frame) or (frame.f_code.co_filename, frame.f_lineno)


def is_of_users(file: str) -> bool:
    """Whether a file is neither of Turbine nor of the standard library."""
    return not file.startswith((OURS, "<frozen")) and (not file.startswith(LIBRARY) or _PACKAGES in file)


def _nearest(frame: FrameType) -> CodePlace | None:
    lines = [(one.f_code.co_filename, one.f_lineno) for one in _outwards(frame) if is_of_users(one.f_code.co_filename)]
    return next((line for line in lines if _PACKAGES not in line[0]), lines[0] if lines else None)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _maker() -> Maker | None:
    """Who makes a thread that is made now."""
    here = current_scope.get()
    return maker_of_thread() if here is None else here.maker()


def _watching_start(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @wraps(start)
    def watching(self: threading.Thread) -> None:
        # A worker of a pool works for whoever gives it work, not for who happened to be first.
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
        token = current_scope.set(
            None
        )  # a worker that is started by this must not inherit it where threads inherit contexts
        try:
            return submit(self, _Work(maker, fn), *args, **kwargs)
        finally:
            current_scope.reset(token)

    return watching


class _Work:
    """What a body gave to a pool."""

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
    """Whether its threads hand on what they get to other interpreters (Python 3.14), for which it is pickled."""
    module = sys.modules.get("concurrent.futures.interpreter")
    return module is not None and isinstance(pool, module.InterpreterPoolExecutor)
