"""The event loop of a blocking runtime, in a thread of its own: launch, waiting for calls, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from turbine.errors import ShuttingDown
from turbine.forking import keep_for_ever, tell_after_fork
from turbine.runtime import Runtime as AsyncRuntime
from turbine.runtime.signals import SIGNALS
from turbine.sync.calls import refuse_in_async
from turbine.threads import running_loop

T = TypeVar("T")

CANCEL_TIMEOUT = 2.0
"""Seconds that cancelled tasks get to end before their loop is closed."""
SHUTDOWN_POLL = 0.5
"""Seconds between checks whether another thread has shut the runtime down."""


class LoopThread:
    """The base of the blocking `Runtime`. Async workflows and steps run in its event loop beside blocking ones."""

    def __init__(self, inner: AsyncRuntime) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        """Held while a call enters the loop and while the loop ends, so that no call enters an ended loop."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        tell_after_fork(self._forked)

    def wait_for(self, act: Awaitable[T]) -> T:
        """Run a coroutine in the event loop of this runtime, and wait for its result."""
        coroutine: Coroutine[Any, Any, T] = cast("Any", act) if inspect.iscoroutine(act) else _awaited(act)
        name = coroutine.__qualname__
        try:
            if self._thread is threading.current_thread():
                raise TypeError(
                    f"{name} of a blocking runtime was called in its own event loop, which it would block for ever."
                    f" In async code use the async runtime: `await turbine.current().runtime.…`"
                )
            if running_loop() is not None:
                refuse_in_async(name, f"turbine.current().runtime.{name.partition('.')[2] or name}(...)")
            with self._lock:
                future = None if self._loop is None else asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except BaseException:
            coroutine.close()
            raise
        if future is None:
            return _raise_not_launched(coroutine)
        try:
            return future.result()
        except CancelledError:  # another thread has ended the loop
            raise ShuttingDown("This runtime was shut down before the call could finish") from None

    def iterate(self, iterate: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Iterate in this thread over what an async iterator gives in the event loop."""
        iterator = self.wait_for(_called(iterate))
        end = object()
        return iter(lambda: self.wait_for(anext(iterator, end)), end)  # pyright: ignore[reportReturnType]

    def launch(self) -> None:
        """Open the database, take up what is due, and start the loops. See `turbine.Runtime.launch`."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="turbine-loop", daemon=True)
                self._thread.start()
        if self.inner.config.handle_signals:
            SIGNALS.listen()  # signal handlers can be set in the main thread only, and this may be it
        try:
            self.wait_for(self.inner.launch())
        except BaseException:
            if not self.inner.is_launched:
                self._end_loop()
                SIGNALS.put_back()
            raise

    def shutdown(self) -> None:
        """Stop in good order; idempotent. See `turbine.Runtime.shutdown`."""
        if self._loop is not None:
            try:
                with contextlib.suppress(ShuttingDown):  # another thread was faster
                    self.wait_for(self.inner.shutdown())
            finally:
                self._end_loop()
                SIGNALS.put_back()

    def run_until_signal(self) -> None:
        """Run until SIGTERM or SIGINT, then drain as `shutdown` does, and return.

        Launches the runtime unless it is launched already. See `turbine.Runtime.run_until_signal`.
        """
        received = threading.Lock()  # a signal handler may release a lock, whatever the main thread holds
        received.acquire()
        with SIGNALS.caught(received.release):
            if self._loop is None:
                self.launch()
            try:
                while self._loop is not None and not received.acquire(timeout=SHUTDOWN_POLL):
                    pass
            finally:
                self.shutdown()

    def __enter__(self) -> Self:
        self.launch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    @property
    def app(self) -> Any:
        """The host ASGI application, if there is one."""
        return self.inner.app

    def _end_loop(self) -> None:
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join()

    def _forked(self) -> None:
        """Forgets the loop in a forked child: its thread is in the parent, with which the child shares the selector."""
        keep_for_ever(self._loop)
        self._lock = threading.Lock()
        self._loop = self._thread = None


async def _awaited(act: Awaitable[T]) -> T:
    return await act


async def _called(function: Callable[[], T]) -> T:
    return function()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        # Threads of the user may wait for what is left, and nothing will wake it any more.
        if tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks, timeout=CANCEL_TIMEOUT))
        with contextlib.suppress(RuntimeError):
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _raise_not_launched(act: Coroutine[Any, Any, T]) -> T:
    """Drives a call of a runtime that is not launched until it raises, which it does before it waits."""
    try:
        act.send(None)
    except StopIteration as stop:
        return stop.value
    act.close()
    raise RuntimeError("This runtime is not launched")
