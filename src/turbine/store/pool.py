"""Writers that share one queue: the lanes of Postgres, in which transactions do not wait for each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from turbine.errors import ForkedProcess
from turbine.store.backend import Backend
from turbine.store.job import Job, WakeListener
from turbine.store.writer import Writer, closed, closed_before, fail_queued


class Pool:
    """Writers with a connection each; another one starts when all of them are at work."""

    def __init__(self, name: str, backends: Sequence[Callable[[], Backend]], origin: object = None) -> None:
        self.queue: SimpleQueue[Job] = SimpleQueue()
        self.batches = 0
        self._name = name
        self._origin = origin
        self._listener: WakeListener | None = None
        self._free = list(backends)
        self._writers: dict[Writer, Callable[[], Backend]] = {}
        self._lock = threading.Lock()
        self._pending = 0
        self._is_closed = False
        self._is_forked = False

    @property
    def depth(self) -> int:
        """Writes that are in flight or queued."""
        return self._pending

    def submit(self, job: Job) -> None:
        """Let a write enter. Raises StoreUnavailable when the store was closed, ForkedProcess in a forked child."""
        with self._lock:
            if self._is_forked:
                raise ForkedProcess
            if self._is_closed:
                raise closed(self._origin)
            self._pending += 1
            self.queue.put(job)
            if self._pending > len(self._writers) and self._free:
                make = self._free.pop(0)
                writer = Writer(make(), self._name, self, self._origin)
                writer.listener = self._listener
                self._writers[writer] = make

    def listen(self, listener: WakeListener | None) -> None:
        """Notify this listener of the wakes of commits."""
        with self._lock:
            self._listener = listener
            for writer in self._writers:
                writer.listener = listener

    def finished(self) -> None:
        with self._lock:
            self._pending -= 1
            self.batches += 1

    def left(self, writer: Writer) -> None:
        """Note that a writer has ended; if it died of an error, the next job gets a new one."""
        with self._lock:
            make = self._writers.pop(writer, None)
            if make is not None:
                self._free.append(make)
                self._pending -= writer.has_taken

    def close(self, *, patient: bool = True, seconds: float | None = None) -> None:
        """Finish what has entered, then end the threads, as `Writer.close` does."""
        until = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            self._is_closed = True
            writers = list(self._writers)
        for writer in writers:
            writer.stop(patient=patient)
        for writer in writers:
            writer.join(None if until is None else max(0.0, until - time.monotonic()))
        fail_queued(self.queue, closed_before(self._origin))

    def forked(self) -> None:
        """Refuse writes: this is a forked child, and the threads are in the parent."""
        self._lock = threading.Lock()  # a thread of the parent may have held the old one
        self._is_forked = True
        for writer in self._writers:
            writer.forked()
            writer.backend.forked()

    def die(self) -> None:
        """End as a killed process does. For the testing kit."""
        with self._lock:
            for writer in self._writers:
                writer.lose()
        self.close(patient=False)
