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
        if self.crowded is not None and self.is_crowded:
            self.crowded()

    def submit_for_waiter(self, call: Callable[[], None]) -> None:
        """The same for a thread of these that only waits for the call: where all are taken it gets one beside them.

        Else those who wait could take all threads from those whom they wait for.
        """
        with self._lock:
            is_full = self._alive >= self.maximum and len(self._waiting) >= self._idle and not self._closed
        if is_full:
            threading.Thread(target=call, name="turbine-beside", daemon=True).start()
        else:
            self.submit(call)

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
