"""Threads for blocking workflows and steps: at most so many, none of which keeps the process from ending.

The standard library's pool joins its threads at exit, so a stuck step would keep a process alive for ever; these are
daemons, and what they were doing is done again by whoever recovers the run.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class Threads:
    """Calls functions in threads, in order, at most `maximum` at a time."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._idle = 0
        self._alive = 0
        self._closed = False

    @property
    def alive(self) -> int:
        return self._alive

    @property
    def backlog(self) -> int:
        """Calls that wait for a thread."""
        return max(0, len(self._waiting) - self._idle)

    @property
    def in_use(self) -> int:
        """Threads that carry something out now."""
        return self._alive - self._idle

    def submit(self, call: Callable[[], None]) -> None:
        """Have `call` made soon; it must not raise."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the threads of this runtime are closed")
            self._waiting.append(call)
            if len(self._waiting) > self._idle and self._alive < self.maximum:
                self._alive += 1
                threading.Thread(target=self._main, name=f"turbine-{self._alive}", daemon=True).start()
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
            call()

    def close(self) -> None:
        """Let idle threads end; busy ones end after their call."""
        with self._lock:
            self._closed = True
            self._work.notify_all()
