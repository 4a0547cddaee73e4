"""SIGTERM and SIGINT: shuts the runtimes of the process down before the process ends by the signal.

There is one `Signals` for all runtimes of a process. A signal interrupts the main thread between any two instructions,
also while it holds a lock; so the handler only releases a lock on which a thread has waited since the launch, and calls
the previous handler. When the last runtime has shut down, the previous handlers are restored.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from functools import partial
from types import FrameType
from typing import Any, Protocol

from turbine.forking import tell_after_fork
from turbine.platform import signal_main_thread

log = logging.getLogger("turbine")

PATIENCE = 10.0
"""Seconds beyond their own limit that runtimes are waited for; after that their event loops must be blocked."""
LAST_MOMENT = 1.0
"""Seconds that a main thread has to react to the signal before the process is ended."""
ENDING = (signal.SIGTERM, signal.SIGINT)

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Watched(Protocol):
    """A launched runtime, as seen by this module."""

    @property
    def is_hosted(self) -> bool:
        """Whether a server launched it and will shut it down."""
        ...

    def close_attached(self) -> None:
        """Closes event streams, for which a server would wait, because the process will end. From any thread."""
        ...

    def drain(self) -> Future[None]:
        """Shuts the runtime down. From any thread."""
        ...

    @property
    def patience(self) -> float:
        """The maximum seconds of the shutdown."""
        ...


class _Link:
    """The handler of a signal, which calls the handler that it has replaced."""

    def __init__(self, number: int, before: Handler) -> None:
        self.number = number
        self.before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        SIGNALS.handle(self, frame)


class Signals:
    """The handlers of SIGTERM and SIGINT, and the runtimes and callers that wait for them."""

    def __init__(self) -> None:
        self._begin()
        tell_after_fork(self._forked)

    def _begin(self) -> None:
        self._watched: list[Watched] = []
        self._draining: list[Watched] | None = None
        """The runtimes that still have to shut down after a SIGTERM."""
        self._is_to_end = False
        self._is_drained = False
        self._waiters: list[list[Callable[[], object]]] = []
        self._rung = threading.Lock()
        self._rung.acquire()
        self._thread: threading.Thread | None = None

    def listen(self) -> None:
        """Installs the handlers, which have no effect until a runtime is watched. No-op outside of the main thread."""
        if threading.current_thread() is threading.main_thread():
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="turbine-signals", daemon=True)
                self._thread.start()
            self._install(signal.SIGTERM)
            self._look_again()

    def watch(self, runtime: Watched) -> None:
        """Shuts a runtime down on SIGTERM, if the handlers are installed. From any thread."""
        if self._thread is not None:
            self._watched.append(runtime)

    def look_again(self) -> None:
        """Wraps the handlers of a server that were installed since the launch.

        A program without a handler of SIGINT gets KeyboardInterrupt, and shuts down when it leaves its `with` block.
        """
        if self._watched and threading.current_thread() is threading.main_thread():
            self._look_again()

    def _look_again(self) -> None:
        for number in ENDING:
            if _is_custom(number, signal.getsignal(number)):
                self._install(number)

    def unwatch(self, runtime: Watched) -> None:
        """Forgets a runtime that has shut down. After a SIGTERM the last one ends the process. From any thread."""
        if runtime in self._watched:
            self._watched.remove(runtime)
        if self._draining is not None and runtime in self._draining:
            self._draining.remove(runtime)
            if not self._draining:
                self._end(signal.SIGTERM)
        self.put_back()

    @contextlib.contextmanager
    def caught(self, callback: Callable[[], object]) -> Generator[None]:
        """Calls a function at the first SIGTERM or SIGINT, which then does not end the process; ignores later ones.

        It is called in the main thread, between any two instructions. Raises RuntimeError in other threads.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "Signals reach only the main thread, and this is another one. Call this in the main thread, or wait for"
                " an event of your own and then call shutdown()"
            )
        waiter = [callback]
        self._waiters.append(waiter)
        try:
            for number in ENDING:
                self._install(number)
            yield
        finally:
            self._waiters.remove(waiter)
            self.put_back()

    def put_back(self) -> None:
        """Restores the previous handlers if nothing needs ours any more. Only in the main thread, else no-op."""
        if self._watched or self._waiters or threading.current_thread() is not threading.main_thread():
            return
        _uninstall()
        self._thread, rung = None, self._rung
        self._rung = threading.Lock()
        self._rung.acquire()
        with contextlib.suppress(RuntimeError):  # it was released already
            rung.release()  # the thread finds that its lock was replaced, and ends

    def _install(self, number: int) -> None:
        before = signal.getsignal(number)
        is_ignored = before == signal.SIG_IGN and not self._waiters
        if isinstance(before, _Link) or before is None or is_ignored:  # None: not set by Python, and cannot be restored
            return
        signal.signal(number, _Link(number, before))

    def handle(self, link: _Link, frame: FrameType | None) -> None:
        """Handles the signal of this link."""
        number, before = link.number, link.before
        if self._is_drained:
            _die(number)
        if self._waiters:
            waiter = self._waiters[-1]
            if callable(before) and _is_custom(number, before):
                before(number, frame)
            if waiter:
                waiter.pop()()
            return
        if self._watched:
            if number == signal.SIGTERM:
                # A server that has ended raises the signal again, for the handler before its own.
                is_handled = _is_custom(number, before)
                self._is_to_end = not is_handled
                if not self._draining:
                    self._draining = [runtime for runtime in self._watched if not (runtime.is_hosted and is_handled)]
            with contextlib.suppress(RuntimeError):  # it was released already
                self._rung.release()
        elif before == signal.SIG_DFL:
            _die(number)
        if callable(before):
            before(number, frame)

    def _main(self) -> None:
        rung = self._rung
        while True:
            rung.acquire()
            if self._rung is not rung:
                return
            for runtime in list(self._watched):
                runtime.close_attached()
            draining = list(self._draining or ())
            if draining:
                log.info("SIGTERM: starting no new runs, and waiting for running steps")
                patience = max(runtime.patience for runtime in draining) + PATIENCE
                wait([runtime.drain() for runtime in draining], patience)
                self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        """Ends the process after the shutdown, unless another handler has received the signal, too, and decides."""
        self._draining = None
        if not self._is_to_end:
            return
        self._is_drained = True
        if threading.current_thread() is threading.main_thread():
            _die(number)
        signal_main_thread(number)
        threading.Event().wait(LAST_MOMENT)
        os._exit(128 + number)

    def _forked(self) -> None:
        """Forgets the runtimes of the parent in a forked child."""
        self._begin()
        with contextlib.suppress(ValueError):  # a subinterpreter has no signals
            _uninstall()


def _uninstall() -> None:
    for number in ENDING:
        while isinstance(link := signal.getsignal(number), _Link):
            signal.signal(number, link.before)


def _die(number: int) -> None:
    """Ends the process by a signal, as without a handler."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # the first process of a container is not ended by signals


def _is_custom(number: int, handler: Handler) -> bool:
    """Whether a handler belongs to the program or a server, and not to Python or asyncio."""
    if not callable(handler) or isinstance(handler, _Link):
        return False
    if handler is signal.default_int_handler:
        return number != signal.SIGINT
    # asyncio.run: the first SIGINT cancels the main task, the second one is a KeyboardInterrupt.
    return not (isinstance(handler, partial) and isinstance(getattr(handler.func, "__self__", None), asyncio.Runner))


SIGNALS = Signals()
