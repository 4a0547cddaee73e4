"""The one writer of a store: a thread that commits in groups.

Writes gather in a queue while the commit before them is in flight; then all that gathered run in one transaction, are
committed once, and their results are handed over with one call into each event loop. Rules that this file keeps:

- A write is acknowledged only after its commit returned, and a write that entered is finished even when its caller
  went away.
- A write that raises takes no other with it: the batch is rolled back and halved until the bad write is alone.
- Busy and deadlocked batches are tried again. A lost connection is opened again, and the outcome of the batch is looked
  up before anything is repeated. A disk that is full, read-only or failing fails every waiter of the batch, and no
  failed fsync is ever retried.
- When this thread ends, for whatever reason, no caller is left waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from turbine.errors import ForkedProcess, StoreUnavailable, TurbineError
from turbine.store.backend import NOTICE_AFTER, Backend, Fault
from turbine.store.crash_point import CrashPoint, NoMoreCommits, SimulatedCrash
from turbine.store.job import Job, WakeListener, are_single_statements, deliver, fail, run_jobs

log = logging.getLogger("turbine.store")

BATCH_MAX = 1000
"""Jobs in one transaction at most: a bound on how long one commit may take."""
BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Payload bytes in one transaction at most, beyond its first job."""
LOSSES_MAX = 8
"""Times that a batch may lose its connection before its commit until one of its writes is blamed for that."""
IDLE_AFTER = 0.2
"""Seconds without work after which the backend may do its housekeeping (checkpoints)."""
IDLE_AGAIN = 30.0
"""The same from then on, as long as there is no work."""
LAST_MOMENT = 0.5
"""Seconds beyond its deadline that closing waits for the thread, which has stopped waiting for the database by then."""

STOP = Job(lambda: None, None, None, None)
"""The last entry of a queue."""


class SharedQueue(Protocol):
    """A queue of several writers, from which each takes one job at a time."""

    queue: SimpleQueue[Job]

    def finished(self) -> None: ...
    def left(self, writer: Writer) -> None: ...


class Writer:
    """The thread, its queue, and the hand-over of results."""

    def __init__(self, backend: Backend, name: str, shared: SharedQueue | None = None, origin: object = None) -> None:
        """`origin`: the store that its errors name."""
        self.backend = backend
        self.listener: WakeListener | None = None
        self.crash_point: CrashPoint | None = None
        """Asked before and after each commit whether the process dies there; only tests have one."""
        self.batch_max = BATCH_MAX if shared is None else 1
        self.batches = 0
        self.jobs = 0
        self._origin = origin
        self._shared = shared
        self._queue: SimpleQueue[Job] = SimpleQueue() if shared is None else shared.queue
        self.put = self._queue.put
        self._closing = threading.Event()
        self._is_over = False
        self._is_forked = False
        self._is_impatient = False
        self._taken: list[Job] = []
        self._busy: str | None = None
        self._thread = threading.Thread(target=self._main, name=f"turbine-writer-{name}", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._closing.is_set()

    @property
    def depth(self) -> int:
        """Writes that wait for the next batch."""
        return self._queue.qsize()

    @property
    def has_taken(self) -> bool:
        """Whether a batch is in flight."""
        return bool(self._taken)

    def obstacle(self) -> str | None:
        """The lock of another process that the batch in flight has been waiting for since `NOTICE_AFTER`."""
        return self._busy or self.backend.obstacle()

    def submit(self, job: Job) -> None:
        """Let a write enter. Raises StoreUnavailable when the store was closed, ForkedProcess in a forked child."""
        if self._closing.is_set():
            raise self.refusal()
        self.put(job)
        if self._is_over:  # the job entered after the queue was emptied for the last time
            self._fail_queued(self._closed_before())

    def refusal(self) -> TurbineError:
        """The error for a write that comes too late."""
        return ForkedProcess() if self._is_forked else closed(self._origin)

    def close(self, *, patient: bool = True, seconds: float | None = None) -> None:
        """Finish what has entered, then end the thread. Not `patient`: do not wait for a database that is away.

        After `seconds` the writes that are left fail, and the batch in flight is rolled back as soon as the database
        answers.
        """
        self.stop(patient=patient)
        self.join(seconds)

    def stop(self, *, patient: bool = True) -> None:
        """Begin to close."""
        self._is_impatient = self._is_impatient or not patient
        if not self._closing.is_set():
            self._closing.set()
            self.put(STOP)

    def join(self, seconds: float | None = None) -> None:
        """Wait for the end of the thread; after `seconds` as `close` says."""
        if seconds is None and self._is_impatient:
            while self._thread.is_alive() and self.obstacle() is None:
                self._thread.join(LAST_MOMENT)
        else:
            self._thread.join(seconds)
        if not self._thread.is_alive():
            return
        self._is_impatient = True
        self.backend.abandon()
        self._thread.join(LAST_MOMENT)
        if self._thread.is_alive():
            self._give_up()

    def _give_up(self) -> None:
        """Leave the thread behind. It is stuck in the database, and commits nothing when it comes back."""
        self.crash_point = NoMoreCommits()
        log.warning("The database does not answer; the store was closed without it, and what was not written is lost")
        unknown = StoreUnavailable(
            "The store was closed while the database did not answer; whether this write was kept is not known",
            origin=self._origin,
        )
        fail([job for job in self._taken if job.waiter is not None], unknown)
        self._fail_queued(self._closed_before())

    def forked(self) -> None:
        """Refuse writes: this is a forked child, and the thread is in the parent."""
        self._is_forked = True
        # A new event: a thread of the parent may have held the lock of the old one.
        self._closing = threading.Event()
        self._closing.set()

    def die(self) -> None:
        """End as a killed process does: what is not committed by now never will be. For the testing kit."""
        self.lose()
        self.close(patient=False)

    def lose(self) -> None:
        """Commit nothing any more."""
        self.crash_point = NoMoreCommits()

    def _main(self) -> None:
        try:
            self._work()
        except SimulatedCrash:
            # The backend is closed below in the middle of its transaction, so nothing of that is kept.
            self._fail_all("The process died here, because a test wanted it to; launch the runtime again")
        except BaseException as error:
            log.critical("The writer of the store died; runs stop until the runtime is launched again", exc_info=True)
            self._fail_all(f"The writer of the store died: {error!r}; launch the runtime again")
            raise
        else:
            self._fail_queued(self._closed_before())
        finally:
            self.backend.close()
            if self._shared is not None:
                self._shared.left(self)

    def _work(self) -> None:
        stopping = False
        postponed: Job | None = None
        while not (stopping or self._is_over):
            if postponed is not None:
                first, postponed = postponed, None
            else:
                first = self._next()
            if first is STOP:
                break
            batch, size = [first], 0
            while len(batch) < self.batch_max:
                try:
                    job = self._queue.get_nowait()
                except Empty:
                    break
                if job is STOP:
                    stopping = True
                    break
                size += job.size
                if size > BATCH_BYTES_MAX:
                    postponed = job
                    break
                batch.append(job)
            self._taken = batch if postponed is None else [*batch, postponed]
            self._finish(batch)
            self._taken = []
            if self._shared is not None:
                self._shared.finished()

    def _next(self) -> Job:
        patience = IDLE_AFTER
        while True:
            try:
                return self._queue.get(timeout=patience)
            except Empty:
                self._housekeep()
                patience = IDLE_AGAIN

    def _housekeep(self) -> None:
        try:
            self.backend.idle()
        except Exception as error:  # noqa: BLE001 - a database that cannot be tidied can still be written
            log.warning("Housekeeping of the database failed and is left for later: %r", error)

    def _finish(self, jobs: list[Job]) -> None:
        """Run and commit a batch until each of its jobs has an outcome."""
        pause = 0.001
        losses = 0
        began = time.monotonic()
        is_single_statement, was_decided = self.crash_point is None and are_single_statements(jobs), False
        while True:
            results: list[Any] = []
            is_committing = False
            try:
                tx = self.backend.begin(is_single_statement=is_single_statement, was_decided=was_decided)
                results = run_jobs(tx, jobs)
                is_committing = True
                if self.crash_point is not None:
                    self.crash_point.before(jobs)
                wakes = self.backend.commit()
                if self.crash_point is not None:
                    self.crash_point.after(jobs)
            except Exception as error:  # noqa: BLE001 - one of the writes or the database: `classify` says which
                fault = self.backend.classify(error)
                if fault is Fault.LOST:
                    was_committed = self.backend.recover(self._is_patient)
                    if was_committed and is_committing and not is_single_statement:
                        return deliver(jobs, results, [("everything", None)], self.listener)
                    if not self._is_patient():
                        return fail(jobs, self._unavailable(error))
                    was_decided = was_decided or was_committed
                    losses += 0 if is_committing or was_decided else 1
                    if losses < LOSSES_MAX:
                        time.sleep(pause)
                        pause = min(pause * 2, 0.1)
                        continue
                    # The server answers, and the connection breaks each time: one of the writes may be to blame.
                    error, fault = self._unavailable(error), Fault.BAD
                else:
                    self._rollback()
                if fault is Fault.BUSY and self._is_patient():
                    self._notice_busy(began, error)
                    time.sleep(pause)
                    pause = min(pause * 2, 0.1)
                    continue
                self._busy = None
                if fault is Fault.BAD and len(jobs) > 1:
                    middle = len(jobs) // 2
                    self._finish(jobs[:middle])
                    self._finish(jobs[middle:])
                    return None
                if fault is not Fault.BAD:
                    self.backend.recover(lambda: False)
                    error = self._unavailable(error)
                return fail(jobs, error)
            self.batches += 1
            self.jobs += len(jobs)
            self._busy = None
            return deliver(jobs, results, wakes, self.listener)

    def _notice_busy(self, since: float, error: Exception) -> None:
        """Log a wait for locks that the database itself reports, once it is long."""
        seconds = time.monotonic() - since
        if self._busy is None and seconds >= NOTICE_AFTER:
            self._busy = f"another program holds a lock in the database ({str(error).strip()})"
            log.warning("Writes have waited for %.0f s and go on waiting: %s", seconds, self._busy)

    def _is_patient(self) -> bool:
        return not (self._closing.is_set() and self._is_impatient)

    def _rollback(self) -> None:
        try:
            self.backend.rollback()
        except Exception as error:  # noqa: BLE001 - a connection that cannot roll back is of no more use
            log.warning("Rolling back failed, the connection is opened again: %r", error)
            self.backend.recover(self._is_patient)

    def _fail_all(self, text: str) -> None:
        error = StoreUnavailable(text, origin=self._origin)
        fail(self._taken, error)
        self._fail_queued(error)

    def _fail_queued(self, error: BaseException) -> None:
        if self._shared is not None:  # the queue belongs to the other writers too
            return
        self._closing.set()
        self._is_over = True
        fail_queued(self._queue, error)

    def _closed_before(self) -> StoreUnavailable:
        return closed_before(self._origin)

    def _unavailable(self, error: BaseException) -> StoreUnavailable:
        unavailable = StoreUnavailable(
            f"The database cannot be written: {error}. Nothing of this write was kept; it can be repeated"
            " once the disk has free space and is writable, or the server is back",
            origin=self._origin,
        )
        unavailable.__cause__ = error
        return unavailable


def closed(origin: object) -> StoreUnavailable:
    """The error for a write into a closed store."""
    return StoreUnavailable("The store is closed; launch the runtime again before using it", origin=origin)


def closed_before(origin: object) -> StoreUnavailable:
    """The error for a write that was in the queue of a store that was closed."""
    return StoreUnavailable("The store was closed before this write began", origin=origin)


def fail_queued(queue: SimpleQueue[Job], error: BaseException) -> None:
    """Empty a queue and hand this error to the callers."""
    while True:
        try:
            job = queue.get_nowait()
        except Empty:
            return
        if job is not STOP:
            fail([job], error)
