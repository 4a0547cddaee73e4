"""The one writer of a store: a thread that commits in groups.

Writes gather in a queue while the commit before them is in flight; then all that gathered run in one transaction, are
committed once, and their callers are told with one hand-over to each event loop. Rules that this file keeps:

- A write is acknowledged only after its commit returned, and a write that entered is finished even when its caller
  went away.
- A write that raises takes nobody with it: the batch is rolled back and halved until the bad one is alone.
- Busy and deadlocked batches are tried again; a lost connection is opened again and the batch's fate is asked for
  before anything is repeated; a disk that is full, read-only or failing fails every waiter of the batch, and no failed
  fsync is ever retried.
- When this thread ends, for whatever reason, nobody is left waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from turbine.errors import ForkedProcess, StoreUnavailable, TurbineError
from turbine.store.tx import Tx, Wake, take_locks

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
"""Seconds beyond its deadline that closing waits for the thread, which then waits for nothing any more."""


class Fault(Enum):
    """What an exception during a batch means for the batch."""

    BAD = "one of the writes is wrong"
    BUSY = "nothing was written, try again"
    LOST = "the connection is gone and the outcome of the commit unknown"
    DOWN = "the disk refuses: full, read-only or failing"


class Backend(Protocol):
    """A database as the writer sees it: one connection for writing."""

    def begin(self, *, is_single_statement: bool = False, was_decided: bool = False) -> Tx:
        """Open a transaction; `is_decisive`: for one call of a function that is marked so.

        `was_decided`: an earlier attempt of it was committed, and only its answer is not known.
        """
        ...

    def commit(self) -> list[Wake]:
        """Commit and return the wakes that the transaction asked for."""
        ...

    def rollback(self) -> None: ...
    def classify(self, error: BaseException) -> Fault: ...
    def recover(self, patience: Callable[[], bool]) -> bool:
        """Open the connection again, waiting as long as `patience()`; True if the lost commit had happened."""
        ...

    def idle(self) -> None:
        """Do what must be done now and then."""
        ...

    def close(self) -> None: ...
    def forked(self) -> None:
        """In a forked child: let go of what is shared with the parent, without touching the connection."""
        ...


class BlockingFuture:
    """What a blocking caller waits on: a lock of its own, released once the outcome is there."""

    __slots__ = ("_lock", "_outcome")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._outcome: tuple[Any, BaseException | None] | None = None

    def resolve(self, result: Any, error: BaseException | None = None) -> None:
        """Let the caller go with an outcome; the first one stays."""
        if self._outcome is None:
            self._outcome = result, error
            with contextlib.suppress(RuntimeError):  # a store that gives up and its writer came at the same time
                self._lock.release()

    def wait(self, seconds: float | None = None) -> Any:
        """The outcome, as soon as it is there, as often as it is asked for.

        Raises StoreUnavailable when it is not there after `seconds`; the write goes on all the same.
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
    """A write on its way: what to call, with what, and who waits for it."""

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


Listener = Callable[[list[Wake]], None]
_STOP = Job(lambda: None, None, None, None)


class SimulatedCrash(BaseException):
    """The process ends here, as far as the database and all others can tell. Raised by a `Fate`."""


class CrashPoint(Protocol):
    """Decides at which commit a process dies. The testing kit has one; a runtime of users has none.

    Both methods are called in the writer's thread, with the jobs of the batch. After `Died` nothing more is written,
    and nobody who waits is told what became of his write: he sees a store that is closed.
    """

    def before(self, jobs: Sequence[Job]) -> None:
        """The batch has run and is not committed yet. A death here loses all of it."""
        ...

    def after(self, jobs: Sequence[Job]) -> None:
        """The batch is committed and nobody knows yet. A death here keeps all of it."""
        ...


class _Dead:
    """The fate of a writer that was told to die: whatever is still in flight is lost."""

    def before(self, jobs: Sequence[Job]) -> None:
        raise SimulatedCrash

    def after(self, jobs: Sequence[Job]) -> None:
        raise SimulatedCrash


class Writer:
    """The thread, its queue, and the hand-over of outcomes."""

    def __init__(self, backend: Backend, name: str, pool: Pool | None = None, origin: object = None) -> None:
        """`pool`: whose queue it shares with others, one job at a time. `origin`: the store that its errors name."""
        self._backend = backend
        self._origin = origin
        self._pool = pool
        self._queue: SimpleQueue[Job] = SimpleQueue() if pool is None else pool.queue
        self._closing = threading.Event()
        self._is_over = False
        self._is_forked = False
        self._impatient = False
        self._taken: list[Job] = []
        self.put = self._queue.put
        self.listener: tuple[asyncio.AbstractEventLoop, Listener] | None = None
        """The loop that hears wakes, and what it calls with them."""
        self.crash_point: CrashPoint | None = None
        """Asked before and after each commit whether the process dies there; only tests have one."""
        self.batch_max = BATCH_MAX if pool is None else 1
        self.batches = 0
        self.jobs = 0
        self._thread = threading.Thread(target=self._main, name=f"turbine-writer-{name}", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._closing.is_set()

    @property
    def depth(self) -> int:
        """Writes that wait for the next batch."""
        return self._queue.qsize()

    def submit(self, job: Job) -> None:
        """Let a write enter. Raises StoreUnavailable when the store was closed, ForkedProcess in a forked child."""
        if self._closing.is_set():
            raise self.refusal()
        self.put(job)
        if self._is_over:  # it came in behind the last look at the queue
            self._fail_the_rest(_refusal("The store was closed before this write began", self._origin))

    def refusal(self) -> TurbineError:
        """Why this takes nothing more."""
        if self._is_forked:
            return ForkedProcess()
        return _refusal("The store is closed; launch the runtime again before using it", self._origin)

    def close(self, *, patient: bool = True, seconds: float | None = None) -> None:
        """Finish what has entered, then end the thread. Not `patient`: do not wait for a database that is away.

        After `seconds` the writes that are left fail: no answer of the database is waited for any more, and whatever
        it still does with the batch that it has is rolled back.
        """
        self.stop(patient=patient)
        self.join(seconds)

    def stop(self, *, patient: bool = True) -> None:
        """Begin to close."""
        self._impatient = self._impatient or not patient
        if not self._closing.is_set():
            self._closing.set()
            self.put(_STOP)

    def join(self, seconds: float | None = None) -> None:
        """Wait for the end of the thread; after `seconds` as `close` says."""
        self._thread.join(seconds)
        if not self._thread.is_alive():
            return
        self._impatient = True
        self._thread.join(LAST_MOMENT)
        if self._thread.is_alive():
            self._give_up()

    def _give_up(self) -> None:
        """Leave the thread to itself. It is stuck in the database, and commits nothing when it comes back."""
        self.crash_point = _Dead()
        log.warning("The database does not answer; the store was closed without it, and what was not written is lost")
        unknown = _refusal(
            "The store was closed while the database did not answer; whether this write was kept is not known",
            self._origin,
        )
        _fail([job for job in self._taken if job.waiter is not None], unknown)
        self._fail_the_rest(_refusal("The store was closed before this write began", self._origin))

    def forked(self) -> None:
        """Refuse: this is a forked child, and the thread is in the parent."""
        self._is_forked = True
        # Another one: whoever held the lock of the parent's is not here.
        self._closing = threading.Event()
        self._closing.set()

    def die(self) -> None:
        """End as a killed process does: what is not committed by now never will be. For the testing kit."""
        self.crash_point = _Dead()
        self.close(patient=False)

    def lose(self) -> None:
        """Commit nothing any more."""
        self.crash_point = _Dead()

    def _main(self) -> None:
        try:
            self._work()
        except SimulatedCrash:
            # The backend is closed below in the middle of its transaction, which rolls it back.
            told = "The process died here, because a test wanted it to; launch the runtime again"
            died = _refusal(told, self._origin)
            _fail(self._taken, died)
            self._fail_the_rest(died)
        except BaseException as error:
            log.critical("The writer of the store died; runs stop until the runtime is launched again", exc_info=True)
            died = _refusal(f"The writer of the store died: {error!r}; launch the runtime again", self._origin)
            _fail(self._taken, died)
            self._fail_the_rest(died)
            raise
        else:
            self._fail_the_rest(_refusal("The store was closed before this write began", self._origin))
        finally:
            self._backend.close()
            if self._pool is not None:
                self._pool.left(self)

    def _work(self) -> None:
        stopping = False
        held: Job | None = None
        while not stopping:
            if held is not None:
                first, held = held, None
            else:
                first = self._next()
            if first is _STOP:
                break
            batch, size = [first], 0
            while len(batch) < self.batch_max:
                try:
                    job = self._queue.get_nowait()
                except Empty:
                    break
                if job is _STOP:
                    stopping = True
                    break
                size += job.size
                if size > BATCH_BYTES_MAX:
                    held = job
                    break
                batch.append(job)
            self._taken = batch if held is None else [*batch, held]
            self._finish(batch)
            self._taken = []
            if self._pool is not None:
                self._pool.finished()

    def _next(self) -> Job:
        patience = IDLE_AFTER
        while True:
            try:
                return self._queue.get(timeout=patience)
            except Empty:
                self._housekeep()
                patience = IDLE_AGAIN

    @property
    def backend(self) -> Backend:
        """The connection that it writes on."""
        return self._backend

    @property
    def has_taken(self) -> bool:
        """Whether it has a job in hand."""
        return bool(self._taken)

    def _housekeep(self) -> None:
        try:
            self._backend.idle()
        except Exception as error:  # noqa: BLE001 - a database that cannot be tidied can still be written
            log.warning("Housekeeping of the database failed and is left for later: %r", error)

    def _finish(self, jobs: list[Job]) -> None:
        """See a batch through to an answer for each of its jobs."""
        pause = 0.001
        losses = 0
        is_single_statement, was_decided = self.crash_point is None and _are_single_statements(jobs), False
        while True:
            results: list[Any] = []
            committing = False
            try:
                tx = self._backend.begin(is_single_statement=is_single_statement, was_decided=was_decided)
                results = _run(tx, jobs)
                committing = True
                if self.crash_point is not None:
                    self.crash_point.before(jobs)
                wakes = self._backend.commit()
                if self.crash_point is not None:
                    self.crash_point.after(jobs)
            except Exception as error:  # noqa: BLE001 - one of the writes or the database: `classify` tells
                fault = self._backend.classify(error)
                if fault is Fault.LOST:
                    happened = self._backend.recover(self._patience)
                    if happened and committing and not is_single_statement:
                        return _deliver(jobs, results, [("everything", None)], self.listener)
                    if not self._patience():
                        return _fail(jobs, _unavailable(error, self._origin))
                    was_decided = was_decided or happened
                    losses += 0 if committing or was_decided else 1
                    if losses < LOSSES_MAX:
                        time.sleep(pause)
                        pause = min(pause * 2, 0.1)
                        continue
                    # The server answers, and the connection breaks each time: one of the writes may be to blame.
                    error, fault = _unavailable(error, self._origin), Fault.BAD
                else:
                    self._roll_back()
                if fault is Fault.BUSY and self._patience():
                    time.sleep(pause)
                    pause = min(pause * 2, 0.1)
                    continue
                if fault is Fault.BAD and len(jobs) > 1:
                    middle = len(jobs) // 2
                    self._finish(jobs[:middle])
                    self._finish(jobs[middle:])
                    return None
                if fault is not Fault.BAD:
                    self._backend.recover(lambda: False)
                    error = _unavailable(error, self._origin)
                return _fail(jobs, error)
            self.batches += 1
            self.jobs += len(jobs)
            return _deliver(jobs, results, wakes, self.listener)

    def _patience(self) -> bool:
        return not (self._closing.is_set() and self._impatient)

    def _roll_back(self) -> None:
        try:
            self._backend.rollback()
        except Exception as error:  # noqa: BLE001 - a connection that cannot roll back is of no more use
            log.warning("Rolling back failed, the connection is opened again: %r", error)
            self._backend.recover(self._patience)

    def _fail_the_rest(self, error: BaseException) -> None:
        if self._pool is not None:  # what is in the queue is for the others
            return
        self._closing.set()
        self._is_over = True
        while True:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return
            if job is not _STOP:
                _fail([job], error)


class Pool:
    """Writers that share one queue, each with a connection of its own; another one starts when all are at work."""

    def __init__(self, name: str, backends: Sequence[Callable[[], Backend]], origin: object = None) -> None:
        self.queue: SimpleQueue[Job] = SimpleQueue()
        self.listener: tuple[asyncio.AbstractEventLoop, Listener] | None = None
        self._name = name
        self._origin = origin
        self._free = list(backends)
        self._writers: dict[Writer, Callable[[], Backend]] = {}
        self._lock = threading.Lock()
        self._pending = 0
        self.batches = 0
        self._is_closed = False
        self._is_forked = False

    @property
    def depth(self) -> int:
        """Writes that are under way or wait."""
        return self._pending

    def submit(self, job: Job) -> None:
        """Let a write enter. Raises StoreUnavailable when the store was closed, ForkedProcess in a forked child."""
        with self._lock:
            if self._is_forked:
                raise ForkedProcess
            if self._is_closed:
                raise _refusal("The store is closed; launch the runtime again before using it", self._origin)
            self._pending += 1
            self.queue.put(job)
            if self._pending > len(self._writers) and self._free:
                make = self._free.pop(0)
                writer = Writer(make(), self._name, self, self._origin)
                writer.listener = self.listener
                self._writers[writer] = make

    def listen(self, listener: tuple[asyncio.AbstractEventLoop, Listener] | None) -> None:
        """Whom the wakes of commits are told."""
        with self._lock:
            self.listener = listener
            for writer in self._writers:
                writer.listener = listener

    def finished(self) -> None:
        with self._lock:
            self._pending -= 1
            self.batches += 1

    def left(self, writer: Writer) -> None:
        """A writer has ended; if it died of an error, the next job gets a new one."""
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
        while True:
            try:
                job = self.queue.get_nowait()
            except Empty:
                return
            if job is not _STOP:
                _fail([job], _refusal("The store was closed before this write began", self._origin))

    def forked(self) -> None:
        """Refuse: this is a forked child, and the threads are in the parent."""
        self._lock = threading.Lock()  # whoever held the parent's is not here
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


def _are_single_statements(jobs: list[Job]) -> bool:
    """Whether a batch is one call of one function that writes with a single statement."""
    function = jobs[0].function
    return getattr(function, "single_statement", False) and all(job.function is function for job in jobs)


def _run(tx: Tx, jobs: list[Job]) -> list[Any]:
    """Carry out a batch inside its transaction; calls of one bulk function become one call."""
    take_locks(tx, ((job.function, job.argument) for job in jobs))
    if len(jobs) == 1:
        (job,) = jobs
        if getattr(job.function, "bulk", False):
            (answer,) = job.function(tx, [job.argument])
            return [answer]
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
        answers = function(tx, [jobs[index].argument for index in indexes])
        for index, answer in zip(indexes, answers, strict=True):
            results[index] = answer
    for index in singles:
        job = jobs[index]
        results[index] = job.function(tx, **job.argument)
    return results


def _deliver(
    jobs: list[Job], results: list[Any], wakes: list[Wake], hearing: tuple[asyncio.AbstractEventLoop, Listener] | None
) -> None:
    """Tell the callers: one call into each loop, the wakes first, so that what they woke sees what was written."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    blocked: list[tuple[BlockingFuture, Any]] = []
    for job, result in zip(jobs, results, strict=True):
        waiter, loop = job.waiter, job.loop
        if isinstance(waiter, BlockingFuture):
            blocked.append((waiter, result))
        elif waiter is not None and loop is not None:
            loops.setdefault(loop, []).append((waiter, result))
        elif isinstance(result, BaseException):
            log.warning("A write without a waiting caller was refused: %r", result)
    for ticket, result in blocked:
        if isinstance(result, BaseException):
            ticket.resolve(None, result)
        else:
            ticket.resolve(result)
    if wakes and hearing is not None:
        loop, listener = hearing
        told = loops.pop(loop, [])
        _call(loop, _tell, told, listener, wakes)
    for loop, told in loops.items():
        _call(loop, _tell, told, None, [])


def _fail(jobs: list[Job], error: BaseException) -> None:
    waited = [job for job in jobs if job.waiter is not None]
    if len(waited) < len(jobs):
        log.warning("A write without a waiting caller was lost: %r", error)
    _deliver(waited, [error] * len(waited), [], None)


def _tell(told: list[tuple[asyncio.Future[Any], Any]], listener: Listener | None, wakes: list[Wake]) -> None:
    try:
        if listener is not None:
            listener(wakes)
    finally:
        _settle(told)


def _settle(told: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in told:
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
        log.debug("An event loop was closed while a write of its was in flight; the write is done")


def _refusal(text: str, origin: object) -> StoreUnavailable:
    return StoreUnavailable(text, origin=origin)


def _unavailable(error: BaseException, origin: object) -> StoreUnavailable:
    unavailable = _refusal(
        f"The database cannot be written: {error}. Nothing of this write was kept; it can be repeated"
        " once the disk has room and is writable, or the server is back",
        origin,
    )
    unavailable.__cause__ = error
    return unavailable
