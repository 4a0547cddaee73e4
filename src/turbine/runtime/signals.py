"""SIGTERM and SIGINT: a process that is told to end drains its runtimes first, and then ends as by that signal.

One for the process, however many runtimes it has. A signal reaches the main thread between any two instructions, also
while it holds a lock; so the handler only opens a lock for a thread that has waited since the launch, and calls the
handler that was there before. When the last runtime is shut down, the handlers of before are put back.
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
"""Seconds beyond their own limit after which runtimes are not waited for: their event loop is blocked."""
LAST_MOMENT = 1.0
"""Seconds after which a main thread that cannot be interrupted is ended together with its process."""
ENDING = (signal.SIGTERM, signal.SIGINT)

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Watched(Protocol):
    """A launched runtime, as this file sees it."""

    @property
    def is_hosted(self) -> bool:
        """Whether a server launched it, which shuts it down by itself."""
        ...

    def close_attached(self) -> None:
        """The process is about to end: close the event streams, for which a server would wait. From any thread."""
        ...

    def drain(self) -> Future[None]:
        """Shut down in good order. From any thread."""
        ...

    @property
    def patience(self) -> float:
        """Seconds that this may take."""
        ...


class _Link:
    """Our handler of one signal, before the one that it took the place of."""

    def __init__(self, number: int, before: Handler) -> None:
        self.number = number
        self.before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        SIGNALS.handle(self, frame)


class Signals:
    """Who hears of the signals of this process."""

    def __init__(self) -> None:
        self._begin()
        tell_after_fork(self._forked)

    def _begin(self) -> None:
        self._watched: list[Watched] = []
        self._draining: list[Watched] | None = None
        """After a SIGTERM of which nobody else takes care: those that are still there."""
        self._is_to_end = False
        self._is_drained = False
        self._waiters: list[list[Callable[[], object]]] = []
        self._rung = threading.Lock()
        self._rung.acquire()
        self._thread: threading.Thread | None = None

    # Who listens

    def listen(self) -> None:
        """Put our handlers in place; until a runtime is watched they change nothing. In the main thread, else no-op."""
        if threading.current_thread() is threading.main_thread():
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="turbine-signals", daemon=True)
                self._thread.start()
            self._install(signal.SIGTERM)
            self._look_again()

    def watch(self, runtime: Watched) -> None:
        """Let a runtime drain when the process is told to end, if anybody listens. From any thread."""
        if self._thread is not None:
            self._watched.append(runtime)

    def look_again(self) -> None:
        """Stand before the handlers of a server, which may have put them there since the launch.

        Of SIGINT a program without any is told by KeyboardInterrupt, and shuts down when it leaves its `with` block.
        """
        if self._watched and threading.current_thread() is threading.main_thread():
            self._look_again()

    def _look_again(self) -> None:
        for number in ENDING:
            if _is_somebodys(number, signal.getsignal(number)):
                self._install(number)

    def unwatch(self, runtime: Watched) -> None:
        """A runtime has shut down. After a SIGTERM the process ends with the last one. From any thread."""
        if runtime in self._watched:
            self._watched.remove(runtime)
        if self._draining is not None and runtime in self._draining:
            self._draining.remove(runtime)
            if not self._draining:
                self._end(signal.SIGTERM)
        self.put_back()

    @contextlib.contextmanager
    def caught(self, told: Callable[[], object]) -> Generator[None]:
        """Have the first SIGTERM or SIGINT call this instead of ending the process; later ones change nothing.

        It is called in the main thread, between any two instructions. Raises RuntimeError elsewhere than there.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "Signals reach the main thread only, and this is another one: call it there, or wait for something of"
                " your own here and then call shutdown()"
            )
        waiter = [told]
        self._waiters.append(waiter)
        try:
            for number in ENDING:
                self._install(number)
            yield
        finally:
            self._waiters.remove(waiter)
            self.put_back()

    def put_back(self) -> None:
        """When nobody listens any more: put the handlers of before back. Only the main thread can; others need not."""
        if self._watched or self._waiters or threading.current_thread() is not threading.main_thread():
            return
        _uninstall()
        self._thread, rung = None, self._rung
        self._rung = threading.Lock()
        self._rung.acquire()
        with contextlib.suppress(RuntimeError):  # it was opened already
            rung.release()  # the thread finds that this is not its lock any more, and ends

    # What happens

    def _install(self, number: int) -> None:
        before = signal.getsignal(number)
        is_ignored = before == signal.SIG_IGN and not self._waiters
        if isinstance(before, _Link) or before is None or is_ignored:  # None: not Python's, and cannot be put back
            return
        signal.signal(number, _Link(number, before))

    def handle(self, link: _Link, frame: FrameType | None) -> None:
        """The signal of this link was sent."""
        number, before = link.number, link.before
        if self._is_drained:
            _die(number)
        if self._waiters:
            waiter = self._waiters[-1]
            if callable(before) and _is_somebodys(number, before):
                before(number, frame)
            if waiter:
                waiter.pop()()
            return
        if self._watched:
            if number == signal.SIGTERM:
                # A server that has ended raises the signal once more, for what was there before it.
                is_cared_for = _is_somebodys(number, before)
                self._is_to_end = not is_cared_for
                if not self._draining:
                    self._draining = [one for one in self._watched if not (one.is_hosted and is_cared_for)]
            with contextlib.suppress(RuntimeError):  # the thread was told already
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
                log.info("SIGTERM: nothing new is started, and what runs may finish")
                wait([runtime.drain() for runtime in draining], max(one.patience for one in draining) + PATIENCE)
                self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        """All is drained: end the process, unless somebody else's handler heard of the signal too, and decides."""
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
        """In a forked child: its signals are its own, and there is nothing here that could drain."""
        self._begin()
        with contextlib.suppress(ValueError):  # an interpreter beside the main one takes no signals
            _uninstall()


def _uninstall() -> None:
    for number in ENDING:
        while isinstance(link := signal.getsignal(number), _Link):
            signal.signal(number, link.before)


def _die(number: int) -> None:
    """End the process by a signal, as if nobody had listened to it."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # the first process of a container: the system does not end it by its signals


def _is_somebodys(number: int, handler: Handler) -> bool:
    """Whether a handler is the program's own or a server's, and not what Python or asyncio do by themselves."""
    if not callable(handler) or isinstance(handler, _Link):
        return False
    if handler is signal.default_int_handler:
        return number != signal.SIGINT
    # asyncio.run: the first SIGINT cancels the main task, the second one is a KeyboardInterrupt.
    return not (isinstance(handler, partial) and isinstance(getattr(handler.func, "__self__", None), asyncio.Runner))


SIGNALS = Signals()
