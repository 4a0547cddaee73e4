"""The door itself: `Store.write` for everything that must last, `Store.read` for everything that is only looked at."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, cast
from urllib.parse import unquote

from turbine.errors import StoreInvalid, StoreUnavailable, TurbineError
from turbine.forking import keep_for_ever, tell_after_fork
from turbine.masking import mask_url, scrub
from turbine.platform import file_name, user_lock_folder
from turbine.store.migrations import migrate
from turbine.store.sqlite import ChangePoll, SqliteBackend, SqliteReaders, check_path, locks_folder
from turbine.store.tx import LANES, Identity, Lane, Tx, Wake, bulk
from turbine.store.writer import BlockingFuture, Fault, Job, Pool, Writer
from turbine.threads import Threads, ThreadsClosed

if TYPE_CHECKING:
    from turbine.store.postgres import Source

P = ParamSpec("P")
R = TypeVar("R")
Audit = Callable[[Tx], None]
"""Writes the audit line of a change, in the transaction that makes it."""

READERS = 4
"""Threads that read, at most."""
POLL_IDLE = 0.02
"""Seconds between looks for commits of other processes on the same SQLite file."""
POLL_EAGER = 0.001
"""The same while somebody in this process waits for something."""
READ_PATIENCE = 60.0
"""Seconds that a read waits for a database that is away."""
THREAD_PATIENCE = 5.0
"""Seconds that closing waits for the threads that listen and read, at most; left behind they end by themselves."""


class Store:
    """One database, one writer, a few readers.

    Everything is safe to call from any thread and any event loop. Built by `open_store`.
    """

    def __init__(
        self, url: str, dialect: Literal["sqlite", "postgres"], path: str, source: Source | None = None
    ) -> None:
        self.url = url
        self.dialect = dialect
        self.path = path
        """The SQLite file, or `:memory:`; on Postgres what its errors call the database."""
        self.is_memory = path == ":memory:"
        self._identity = Identity()
        self._source = source
        self._listener: Any = None
        self._is_closed = False
        self._is_forked = False
        self._pools: dict[Lane, Pool] = {}
        if source is None:
            check_path(path)
            try:
                backend: Any = SqliteBackend(path, self._identity)
            except sqlite3.Error as error:
                raise StoreUnavailable(f"The database {path} cannot be opened now: {error}") from error
            self._readers: Any = SqliteReaders(path)
        else:
            from turbine.store.postgres import PostgresBackend, PostgresReaders

            backend = PostgresBackend(source, self._identity, connection=source.connect())
            self._readers = PostgresReaders(source)
        try:
            migrate(backend)
            if source is not None:
                self._identity.channel = backend.channel()
                self._location = backend.location()
        except TurbineError:
            backend.close()
            raise
        except Exception as error:
            is_refused = backend.classify(error) is Fault.BAD or getattr(error, "sqlstate", None) in ("42501", "3F000")
            backend.close()
            if is_refused:
                raise StoreInvalid(
                    f"The tables of Turbine cannot be made in this database: {error};"
                    " check that its user may create tables, and that no other program has tables of these names"
                ) from error
            raise StoreUnavailable(f"The database cannot be prepared now: {error}") from error
        self._backend = backend
        self._writer = Writer(backend, Path(path).name if source is None else "postgres", origin=self)
        if source is not None:
            self._pools = _pools(source, self._identity, self)
        self._reading = Threads(READERS, "turbine-reader")
        tell_after_fork(self.forked)

    @property
    def source(self) -> Source:
        """Where the Postgres database is."""
        assert self._source is not None
        return self._source

    @property
    def writer(self) -> Writer:
        return self._writer

    def hold(self, executor: str, incarnation: int = 0) -> None:
        """Write as this executor from now on: fenced statements compare with it. `life` says which process it is."""
        self._identity.executor, self._identity.incarnation = executor, incarnation

    @property
    def depth(self) -> int:
        """Writes that are not committed yet."""
        return self._writer.depth + sum(pool.depth for pool in self._pools.values())

    @property
    def batches(self) -> int:
        """Transactions that were committed so far."""
        return self._writer.batches + sum(pool.batches for pool in self._pools.values())

    @property
    def jobs(self) -> int:
        """Writes of the main lane that were committed so far."""
        return self._writer.jobs

    # -- writes

    def submit(self, function: Callable[..., Any], argument: Any, size: int = 0) -> asyncio.Future[Any]:
        """Let a write enter now and return the future of its outcome, in the running event loop.

        `argument` is one row for a bulk function, a dict of keywords for any other.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._lane(function).submit(Job(function, argument, future, loop, size))
        return future

    def _lane(self, function: Callable[..., Any]) -> Writer | Pool:
        """Where a function is carried out: bulk functions in groups, others in transactions of their own."""
        lane = getattr(function, "lane", None)
        if lane is None:
            lane = Lane.MAIN if getattr(function, "bulk", False) else Lane.GENERAL
        # A test that lets the process die at a commit has them all in one line.
        return self._writer if self._writer.crash_point is not None else self._pools.get(lane, self._writer)

    async def write(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a transaction function; durable when it returns. Raises what the function refuses with.

        A write that entered is finished even if the caller is cancelled while waiting.
        """
        _keywords_only(args)
        return cast(R, await self.submit(function, kwargs))

    async def write_audited(
        self, audit: Audit | None, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Like `write`; `audit` writes its line in the same transaction, unless the function changed nothing.

        It changed nothing when it refuses, or answers with False or 0.
        """
        if audit is None:
            return await self.write(function, *args, **kwargs)
        _keywords_only(args)
        return cast(R, await self.submit(_audited, {"function": function, "argument": kwargs, "audit": audit}))

    def submit_blocking(self, function: Callable[..., Any], argument: Any, size: int = 0) -> BlockingFuture:
        """Like `submit`, for threads: wait with `Ticket.wait`."""
        ticket = BlockingFuture()
        self._lane(function).submit(Job(function, argument, ticket, None, size))
        return ticket

    def write_blocking(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `write`, for threads. It never goes through an event loop."""
        _keywords_only(args)
        return cast(R, self.submit_blocking(function, kwargs).wait())

    def post(self, function: Callable[..., Any], argument: Any) -> None:
        """Let a write enter that nobody waits for: progress, logs. It is durable soon, or lost with the process."""
        self._lane(function).submit(Job(function, argument, None, None))

    async def read(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function of a consistent snapshot. What it decides is decided again where it is written."""
        if self.is_memory:
            return await self.write(function, *args, **kwargs)
        self._check_open()
        try:
            return await self._reading.run(lambda: self.read_blocking(function, *args, **kwargs))
        except ThreadsClosed:
            raise self._writer.refusal() from None

    def read_blocking(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `read`, for threads. While the database is away it waits, up to a minute.

        Raises StoreUnavailable after that, and at once when the database is there and refuses.
        """
        if self.is_memory:
            return self.write_blocking(function, *args, **kwargs)
        self._check_open()
        until = time.monotonic() + READ_PATIENCE
        pause = 0.02
        while True:
            try:
                with self._readers.transaction() as tx:
                    return function(tx, *args, **kwargs)
            except Exception as error:
                fault = self._readers.classify(error)
                if fault is Fault.BAD:
                    raise
                if fault is Fault.DOWN or time.monotonic() > until or self._writer.is_closed:
                    raise StoreUnavailable(f"The database cannot be read: {error}", origin=self) from error
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def check_process(self) -> None:
        """Raise ForkedProcess in a forked child of the process that opened this."""
        if self._is_forked:
            raise self._writer.refusal()

    def _check_open(self) -> None:
        if self._is_closed:
            raise self._writer.refusal()

    def listen(
        self,
        loop: asyncio.AbstractEventLoop,
        executor: str,
        heard: Callable[[list[Wake]], None],
        remote: Callable[[list[Wake]], None] | None = None,
    ) -> None:
        """Call `heard` in `loop` with the wakes of every commit of this process.

        `afar` is called with the hints of other processes, by default `heard` too.
        """
        self._tell((loop, heard))
        remote = remote or heard

        def from_remote(wakes: list[Wake]) -> None:
            self._identity.is_alone = False
            with contextlib.suppress(RuntimeError):  # the loop was closed: nothing is left to hear it
                loop.call_soon_threadsafe(remote, wakes)

        if self._source is not None:
            from turbine.store.postgres import Listener, SnapshotPoll

            if self._source.pooler and self._source.listen_url is None:
                self._listener = SnapshotPoll(self._source, from_remote)
            else:
                self._listener = Listener(self._source, self._identity.channel, executor, from_remote)
        elif not self.is_memory:
            self._listener = _SqliteListener(self.path, from_remote, self)

    def _tell(self, listener: tuple[asyncio.AbstractEventLoop, Callable[[list[Wake]], None]] | None) -> None:
        self._writer.listener = listener
        for pool in self._pools.values():
            pool.listen(listener)

    def expect(self) -> None:
        """Somebody waits for a commit of another process: look for it eagerly for the next second."""
        if self._listener is not None:
            self._listener.expect()

    def believe_alone(self, is_alone: bool) -> None:
        """Whether other processes are there to be told of wakes. A belief lasts until one of them is heard."""
        self._identity.is_alone = is_alone

    def stop_listening(self, seconds: float = THREAD_PATIENCE) -> None:
        self._tell(None)
        if self._listener is not None:
            self._listener.close(seconds)
            self._listener = None

    def vacuum(self, tables: list[str]) -> list[str]:
        """Tidy tables of Postgres on a connection of its own, in whatever thread asks; returns what was skipped.

        It may take minutes. Reads and writes of these tables go on. Raises StoreUnavailable.
        """
        from turbine.store.postgres import vacuum

        return vacuum(self.source, tables)

    def close(self, *, patient: bool = True, seconds: float | None = None) -> None:
        """Finish all writes that have entered, then let go of the database. Idempotent.

        After `seconds` the writes that are left fail with StoreUnavailable, whatever keeps the database from answering.
        """
        if self._is_forked:
            return  # what there is to be closed belongs to the parent
        until = math.inf if seconds is None else time.monotonic() + seconds
        self.stop_listening(min(THREAD_PATIENCE, until - time.monotonic()))
        for lane in (*self._pools.values(), self._writer):
            lane.close(patient=patient, seconds=None if seconds is None else max(0.0, until - time.monotonic()))
        self._is_closed = True
        self._reading.close(max(0.0, min(THREAD_PATIENCE, until - time.monotonic())))
        self._readers.close()

    def forked(self) -> None:
        """Refuse with ForkedProcess: this is a copy in a forked child, and its connections are the parent's."""
        if self._is_forked:
            return  # in a child of the child: the numbers of the parent's files are free for others by now
        self._is_forked = self._is_closed = True
        for lane in (*self._pools.values(), self._writer):
            lane.forked()
        keep_for_ever(self)
        self._backend.forked()
        self._readers.forked()
        if self._listener is not None:
            self._listener.forked()

    def die(self) -> None:
        """Let go of the database as a killed process does: nothing that is not committed by now ever is."""
        for pool in self._pools.values():
            pool.die()
        self._writer.die()
        self.close(patient=False)

    def lock_path(self, executor: str) -> Path:
        """The lock file on this machine of an executor of this database. Raises OSError if there can be none."""
        if self._source is None:
            return (locks_folder(self.path) / f"{file_name(executor)}.lock").resolve()
        # One folder serves all databases of a user: an id may be in use in each of them.
        return (user_lock_folder() / f"{file_name(executor)}-{self._location}.lock").resolve()


class _SqliteListener:
    """A thread that looks at `data_version`: other processes' commits, within 20 ms, or 1 ms while somebody waits."""

    def __init__(self, path: str, heard: Callable[[list[Wake]], None], store: Store) -> None:
        self._path = path
        self._heard = heard
        self._store = store
        self._batches = store.writer.batches
        self._stopping = threading.Event()
        self._eager_until = 0.0
        self._nudge = threading.Event()
        self._thread = threading.Thread(target=self._main, name="turbine-listener", daemon=True)
        self._thread.start()

    def expect(self) -> None:
        was_eager = self._eager_until > time.monotonic()
        self._eager_until = time.monotonic() + 1.0
        if not was_eager:
            self._nudge.set()

    def _main(self) -> None:
        poll: ChangePoll | None = None
        while not self._stopping.is_set():
            try:
                if poll is None:
                    poll = ChangePoll(self._path)
                    self._heard([("everything", None)])  # what was written before we looked
                if poll.changed():
                    self._tell()
            except (sqlite3.Error, StoreInvalid):
                # The file is away for the moment; the slow polls go on and this one opens it again.
                if poll is not None:
                    with contextlib.suppress(sqlite3.Error):
                        poll.close()
                    poll = None
            if time.monotonic() < self._eager_until:
                time.sleep(POLL_EAGER)
            else:
                self._nudge.wait(POLL_IDLE)
                self._nudge.clear()
        if poll is not None:
            poll.close()

    def _tell(self) -> None:
        """Somebody has committed. When it may have been ourselves the writer knows more: it looks at each `begin`."""
        batches, self._batches = self._batches, self._store.writer.batches
        if batches == self._batches:
            self._heard([("everything", None)])
        elif self._store.writer.depth == 0:
            with contextlib.suppress(StoreUnavailable):  # being closed
                self._store.post(_look, None)

    def close(self, seconds: float) -> None:
        self._stopping.set()
        self._nudge.set()
        self._thread.join(seconds)

    def forked(self) -> None:
        """Its connection is in the thread, which is not here."""


@bulk
def _look(tx: Tx, rows: list[None]) -> list[None]:
    """Write nothing: the writer's `begin` is what looks."""
    return rows


def _pools(source: Source, identity: Identity, origin: Store) -> dict[Lane, Pool]:
    """The lanes beside the main one. Their numbers tell the connections of this process apart (`pt_batches`)."""
    from turbine.store.postgres import PostgresBackend

    def lane(number: int | None) -> Callable[[], PostgresBackend]:
        return lambda: PostgresBackend(source, identity, number)

    return {
        Lane.CLAIMS: Pool("claims", [lane(1), lane(2)], origin),
        Lane.GENERAL: Pool("general", [lane(number) for number in range(3, LANES)], origin),
        Lane.LEASE: Pool("lease", [lane(None)], origin),
    }


def _audited(tx: Tx, *, function: Callable[..., Any], argument: Any, audit: Audit) -> Any:
    answer = function(tx, **argument)
    is_unchanged = isinstance(answer, Exception) or (isinstance(answer, int) and not answer)
    if not is_unchanged:
        audit(tx)
    return answer


def _keywords_only(args: tuple[Any, ...]) -> None:
    if args:
        raise TypeError("a transaction function takes its arguments by keyword")


def open_store(url: str | Callable[[], str], *, pooler: bool | None = None, listen_url: str | None = None) -> Store:
    """Open (and when new, make) the database of a URL, migrated to this version's schema.

    `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, `sqlite://:memory:`, `postgresql://…`, or a callable
    that gives one, which is asked at each connection. `pooler`: whether the Postgres URL leads to a pooler, by default
    found out; `listen_url`: one that leads past it, for notifications.

    Raises StoreInvalid for what can never work, StoreUnavailable for a server that is away, StoreTooNew when a newer
    Turbine has already migrated the database. No password of the URL is in their texts.
    """
    text = url if isinstance(url, str) else url()
    try:
        return _opened(text, url, pooler, listen_url)
    except (StoreInvalid, StoreUnavailable) as error:
        shown = scrub(str(error), text, listen_url)
        if shown == str(error):
            raise
        refused = type(error)(shown)
    raise refused


def _opened(text: str, url: str | Callable[[], str], pooler: bool | None, listen_url: str | None) -> Store:
    if text in ("sqlite://:memory:", "sqlite:///:memory:"):
        return Store(text, "sqlite", ":memory:")
    if text.startswith("sqlite:///"):
        path = unquote(text.removeprefix("sqlite:///").split("?")[0])
        if not path:
            raise StoreInvalid(f"{mask_url(text)!r} names no file; write for example sqlite:///shop.db")
        # One name for one file: the lock beside it is shared, and a change of the working folder changes nothing.
        return Store(text, "sqlite", str(Path(path).resolve()))
    if text.startswith(("postgresql://", "postgres://")):
        from turbine.store.postgres import Source

        return Store(text, "postgres", mask_url(text), Source(url, pooler=pooler, listen_url=listen_url))
    raise StoreInvalid(
        f"{mask_url(text)!r} is not a database URL that Turbine knows; use sqlite:///relative/path.db,"
        " sqlite:////absolute/path.db, sqlite://:memory: or postgresql://user@host/database"
    )
