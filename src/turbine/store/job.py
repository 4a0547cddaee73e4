"""Writes on their way to the writer, and the delivery of their results to the callers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from turbine.errors import StoreUnavailable
from turbine.store.tx import Tx, Wake, take_locks

log = logging.getLogger("turbine.store")

WakeListener = tuple[asyncio.AbstractEventLoop, Callable[[list[Wake]], None]]
"""The event loop that is notified of wakes, and the function that is called in it."""


class BlockingFuture:
    """The result of a write for a blocking caller: a lock of its own that is released once the result is there."""

    __slots__ = ("_lock", "_outcome")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._outcome: tuple[Any, BaseException | None] | None = None

    def resolve(self, result: Any, error: BaseException | None = None) -> None:
        """Set the outcome and release the caller; a second outcome is ignored."""
        if self._outcome is None:
            self._outcome = result, error
            with contextlib.suppress(RuntimeError):  # the closing store and its writer resolved it at the same time
                self._lock.release()

    def wait(self, seconds: float | None = None) -> Any:
        """Return the result or raise the error, any number of times.

        Raises StoreUnavailable when there is none after `seconds`; the write goes on all the same.
        """
        if not self._lock.acquire(timeout=-1 if seconds is None else max(0.0, seconds)):
            raise StoreUnavailable("The database did not answer in time; the write is done as soon as it does")
        self._lock.release()
        assert self._outcome is not None
        result, error = self._outcome
        if error is not None:
            raise error
        return result


class Job:
    """One write: the function, its argument, and the future of its caller."""

    __slots__ = ("argument", "function", "loop", "size", "waiter")

    def __init__(
        self,
        function: Callable[..., Any],
        argument: Any,
        waiter: asyncio.Future[Any] | BlockingFuture | None,
        loop: asyncio.AbstractEventLoop | None,
        size: int = 0,
    ) -> None:
        self.function = function
        self.argument = argument
        self.waiter = waiter
        self.loop = loop
        self.size = size


def are_single_statements(jobs: Sequence[Job]) -> bool:
    """Whether a batch is one call of one function that writes with a single statement."""
    function = jobs[0].function
    return getattr(function, "single_statement", False) and all(job.function is function for job in jobs)


def run_jobs(tx: Tx, jobs: Sequence[Job]) -> list[Any]:
    """Run a batch inside its transaction; calls of one bulk function become one call."""
    take_locks(tx, ((job.function, job.argument) for job in jobs))
    if len(jobs) == 1:
        (job,) = jobs
        if getattr(job.function, "bulk", False):
            (result,) = job.function(tx, [job.argument])
            return [result]
        return [job.function(tx, **job.argument)]
    results: list[Any] = [None] * len(jobs)
    groups: dict[Callable[..., Any], list[int]] = {}
    singles: list[int] = []
    for index, job in enumerate(jobs):
        if getattr(job.function, "bulk", False):
            groups.setdefault(job.function, []).append(index)
        else:
            singles.append(index)
    for function, indexes in groups.items():
        group_results = function(tx, [jobs[index].argument for index in indexes])
        for index, result in zip(indexes, group_results, strict=True):
            results[index] = result
    for index in singles:
        job = jobs[index]
        results[index] = job.function(tx, **job.argument)
    return results


def deliver(
    jobs: Iterable[Job], results: Iterable[Any], wakes: list[Wake] | None = None, listener: WakeListener | None = None
) -> None:
    """Hand results to the callers: one call into each event loop.

    Wakes go first, so that what they wake sees what was written.
    """
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    blocking: list[tuple[BlockingFuture, Any]] = []
    for job, result in zip(jobs, results, strict=True):
        waiter, loop = job.waiter, job.loop
        if isinstance(waiter, BlockingFuture):
            blocking.append((waiter, result))
        elif waiter is not None and loop is not None:
            loops.setdefault(loop, []).append((waiter, result))
        elif isinstance(result, BaseException):
            log.warning("A write without a waiting caller was refused: %r", result)
    for future, result in blocking:
        if isinstance(result, BaseException):
            future.resolve(None, result)
        else:
            future.resolve(result)
    if wakes and listener is not None:
        loop, notify = listener
        _call(loop, _notify_and_settle, notify, wakes, loops.pop(loop, []))
    for loop, outcomes in loops.items():
        _call(loop, _settle, outcomes)


def fail(jobs: Sequence[Job], error: BaseException) -> None:
    """Hand one error to the callers of all these writes."""
    awaited = [job for job in jobs if job.waiter is not None]
    if len(awaited) < len(jobs):
        log.warning("A write without a waiting caller was lost: %r", error)
    deliver(awaited, [error] * len(awaited))


def _notify_and_settle(
    notify: Callable[[list[Wake]], None], wakes: list[Wake], outcomes: list[tuple[asyncio.Future[Any], Any]]
) -> None:
    try:
        notify(wakes)
    finally:
        _settle(outcomes)


def _settle(outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in outcomes:
        if future.done():  # cancelled: its write is finished all the same
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        log.debug("An event loop was closed while one of its writes was in flight; the write is done")
