"""Threads for blocking workflows and steps: at most so many, none of which keeps the process from ending.

The standard library's pool joins its threads at exit, so a stuck step would keep a process alive for ever; these are
daemons, and what they were doing is done again by whoever recovers the run.

A blocking function cannot be stopped. One that nobody waits for any more, because its time was up or its caller broke
it off, goes on in its thread, which then no longer counts: another one takes its place, so that functions which never
return starve nobody. `given_up` says how many there are.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context
from enum import Enum


class _State(Enum):
    WAITS = 0
    RUNS = 1
    GIVEN_UP = 2
    DONE = 3


class Call:
    """A function that waits for a thread, or runs in one."""

    __slots__ = ("counts", "fn", "state")

    def __init__(self, fn: Callable[[], None], *, counts: bool) -> None:
        self.fn = fn
        self.counts = counts
        """Whether its thread is one of those that there are so many of."""
        self.state = _State.WAITS


class Threads:
    """Calls functions in threads, in order, at most `maximum` at a time."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.given_up = 0
        """Threads that carry out what nobody waits for any more."""
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._idle = 0
        self._alive = 0
        self._closed = False
        self.crowded: Callable[[], None] | None = None
        """Hears, in any thread, that a call waits and all threads are taken."""

    @property
    def alive(self) -> int:
        return self._alive

    @property
    def backlog(self) -> int:
        """Calls that wait for a thread."""
        return max(0, len(self._waiting) - self._idle)

    @property
    def is_crowded(self) -> bool:
        """Whether a call waits until one of the threads is free."""
        return self._alive >= self.maximum and self.backlog > 0

    @property
    def in_use(self) -> int:
        """Threads that carry something out now, of those that count."""
        return self._alive - self._idle

    def submit(self, fn: Callable[[], None]) -> Call:
        """Have `fn` called soon; it must not raise."""
        call = Call(fn, counts=True)
        with self._lock:
            if self._closed:
                raise RuntimeError("the threads of this runtime are closed")
            self._waiting.append(call)
            self._serve()
        if self.crowded is not None and self.is_crowded:
            self.crowded()
        return call

    def submit_for_waiter(self, fn: Callable[[], None]) -> Call:
        """The same for a thread of these that only waits for the call: where all are taken it gets one beside them.

        Else those who wait could take all threads from those whom they wait for.
        """
        with self._lock:
            is_full = self._alive >= self.maximum and len(self._waiting) >= self._idle and not self._closed
        if not is_full:
            return self.submit(fn)
        call = Call(fn, counts=False)
        _start(lambda: self._make(call), "turbine-beside")
        return call

    def give_up(self, call: Call) -> bool:
        """Wait for a call no more: one that has not begun is never made, and the thread of another no longer counts.

        Returns whether it goes on all the same.
        """
        with self._lock:
            if call.state is _State.RUNS:
                call.state = _State.GIVEN_UP
                self.given_up += 1
                if call.counts:
                    self._alive -= 1
                    self._serve()
            elif call.state is _State.WAITS:
                call.state = _State.DONE
                with contextlib.suppress(ValueError):  # a thread beside the others has it already
                    self._waiting.remove(call)
            return call.state is _State.GIVEN_UP

    def _serve(self) -> None:
        """Have what waits seen to, by an idle thread or by a new one. Called under the lock."""
        if len(self._waiting) > self._idle and self._alive < self.maximum:
            self._alive += 1
            _start(self._main, f"turbine-{self._alive}")
        else:
            self._work.notify()

    def _main(self) -> None:
        while True:
            with self._lock:
                while not self._waiting:
                    if self._closed:
                        self._alive -= 1
                        return
                    self._idle += 1
                    self._work.wait()
                    self._idle -= 1
                call = self._waiting.popleft()
            if not self._make(call):
                return

    def _make(self, call: Call) -> bool:
        """Make a call, unless it was given up; whether the thread still counts as one of these."""
        with self._lock:
            if call.state is not _State.WAITS:
                return True
            call.state = _State.RUNS
        call.fn()
        return self._made(call)

    def _made(self, call: Call) -> bool:
        with self._lock:
            was_given_up = call.state is _State.GIVEN_UP
            call.state = _State.DONE
            self.given_up -= was_given_up
            if was_given_up and call.counts:
                if self._alive >= self.maximum or self._closed:
                    return False
                self._alive += 1
        return True

    def close(self) -> None:
        """Let idle threads end; busy ones end after their call."""
        with self._lock:
            self._closed = True
            self._work.notify_all()


def _start(target: Callable[[], object], name: str) -> None:
    # In an empty context: whoever happens to start it, it carries out anybody's calls.
    Context().run(threading.Thread(target=target, name=name, daemon=True).start)
