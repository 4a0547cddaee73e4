"""`Store`: `write` for everything that must last, `read` for everything else."""

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
from turbine.store.backend import Fault
from turbine.store.job import BlockingFuture, Job, WakeListener
from turbine.store.migrations import migrate
from turbine.store.pool import Pool
from turbine.store.sqlite import SqliteBackend, SqliteListener, SqliteReaders, check_path, locks_folder
from turbine.store.tx import LANES, Identity, Lane, Tx, Wake
from turbine.store.writer import Writer
from turbine.threads import Threads, ThreadsClosed

if TYPE_CHECKING:
    from turbine.store.postgres import Source

P = ParamSpec("P")
R = TypeVar("R")
Audit = Callable[[Tx], None]
"""Writes the audit line of a change, in the transaction that makes it."""

READERS = 4
"""Threads that read, at most."""
READ_PATIENCE = 60.0
"""Seconds that a read waits for a database that is away."""
THREAD_PATIENCE = 5.0
"""Seconds that closing waits for the threads that listen and read, at most; left behind they end by themselves."""


class Store:
    """One database, one writer, a few readers.

    Everything is safe to call from any thread and any event loop. Built by `open_store`.
    """

    def __init__(
        self,
        url: str,
        dialect: Literal["sqlite", "postgres"],
        path: str,
        source: Source | None = None,
        *,
        abandoned: threading.Event | None = None,
    ) -> None:
        self.url = url
        self.dialect = dialect
        self.path = path
        """The SQLite file, or `:memory:`; on Postgres the name of the database in errors."""
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
                backend: Any = SqliteBackend(path, self._identity, abandoned=abandoned)
            except sqlite3.Error as error:
                raise StoreUnavailable(f"The database {path} cannot be opened now: {error}") from error
            self._readers: Any = SqliteReaders(path)
        else:
            from turbine.store.postgres import PostgresBackend, PostgresReaders

            backend = PostgresBackend(source, self._identity, connection=source.connect())
            self._readers = PostgresReaders(source)
        try:
            self._prepare(backend)
        except BaseException:
            backend.close()
            raise
        self._backend = backend
        self._writer = Writer(backend, Path(path).name if source is None else "postgres", origin=self)
        if source is not None:
            self._pools = _pools(source, self._identity, self)
        self._reading = Threads(READERS, "turbine-reader")
        tell_after_fork(self.forked)

    def _prepare(self, backend: Any) -> None:
        try:
            migrate(backend)
            if self._source is not None:
                self._identity.channel = backend.channel()
                self._location = backend.location()
        except TurbineError:
            raise
        except Exception as error:
            if backend.classify(error) is Fault.BAD or getattr(error, "sqlstate", None) in ("42501", "3F000"):
                raise StoreInvalid(
                    f"The tables of Turbine cannot be made in this database: {error};"
                    " check that its user may create tables, and that no other program has tables of these names"
                ) from error
            raise StoreUnavailable(f"The database cannot be prepared now: {error}") from error

    @property
    def source(self) -> Source:
        """The address of the Postgres database."""
        assert self._source is not None
        return self._source

    @property
    def writer(self) -> Writer:
        return self._writer

    def hold(self, executor: str, incarnation: int = 0) -> None:
        """Write as this executor, and this launch of it, from now on: fenced statements compare with them."""
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

    @property
    def obstacle(self) -> str | None:
        """The reason why writes have waited for more than two seconds: on SQLite the process with the write lock."""
        return self._writer.obstacle()

    def submit(self, function: Callable[..., Any], argument: Any, size: int = 0) -> asyncio.Future[Any]:
        """Let a write enter now and return the future of its result, in the running event loop.

        `argument` is one row for a bulk function, a dict of keywords for any other.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._lane(function).submit(Job(function, argument, future, loop, size))
        return future

    def _lane(self, function: Callable[..., Any]) -> Writer | Pool:
        """The writer or writers of a function: bulk functions in groups, others in transactions of their own."""
        lane = getattr(function, "lane", None)
        if lane is None:
            lane = Lane.MAIN if getattr(function, "bulk", False) else Lane.GENERAL
        # A test that simulates a crash at a commit needs all commits in one order.
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

        It changed nothing when it refuses, or returns False or 0.
        """
        if audit is None:
            return await self.write(function, *args, **kwargs)
        _keywords_only(args)
        return cast(R, await self.submit(_audited, {"function": function, "argument": kwargs, "audit": audit}))

    def submit_blocking(self, function: Callable[..., Any], argument: Any, size: int = 0) -> BlockingFuture:
        """Like `submit`, for threads."""
        future = BlockingFuture()
        self._lane(function).submit(Job(function, argument, future, None, size))
        return future

    def write_blocking(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `write`, for threads. It never goes through an event loop."""
        _keywords_only(args)
        return cast(R, self.submit_blocking(function, kwargs).wait())

    def post(self, function: Callable[..., Any], argument: Any) -> None:
        """Let a write enter without waiting for it: progress, logs. It is durable soon, or lost with the process."""
        self._lane(function).submit(Job(function, argument, None, None))

    async def read(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function on a consistent snapshot. A write that depends on the result must check it again."""
        if self.is_memory:
            return await self.write(function, *args, **kwargs)
        self._check_open()
        try:
            return await self._reading.run(lambda: self.read_blocking(function, *args, **kwargs))
        except ThreadsClosed:
            raise self._writer.refusal() from None

    def read_blocking(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `read`, for threads. While the database is away it waits, up to a minute.

        Raises StoreUnavailable after that, and at once when the database is up and refuses.
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
        notify: Callable[[list[Wake]], None],
        notify_remote: Callable[[list[Wake]], None] | None = None,
    ) -> None:
        """Call `notify` in `loop` with the wakes of every commit of this process.

        `notify_remote` is called with the hints of other processes, by default `notify` too.
        """
        self._set_listener((loop, notify))
        notify_remote = notify_remote or notify

        def from_remote(wakes: list[Wake]) -> None:
            self._identity.is_alone = False
            with contextlib.suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(notify_remote, wakes)

        if self._source is not None:
            from turbine.store.postgres import Listener, SnapshotPoll

            if self._source.pooler and self._source.listen_url is None:
                self._listener = SnapshotPoll(self._source, from_remote)
            else:
                self._listener = Listener(self._source, self._identity.channel, executor, from_remote)
        elif not self.is_memory:
            self._listener = SqliteListener(self.path, from_remote, self._writer, self._backend.report_obstacle)

    def _set_listener(self, listener: WakeListener | None) -> None:
        self._writer.listener = listener
        for pool in self._pools.values():
            pool.listen(listener)

    def poll_eagerly(self) -> None:
        """Look often for commits of other processes for the next second, because a caller waits for one."""
        if self._listener is not None:
            self._listener.poll_eagerly()

    def set_alone(self, is_alone: bool) -> None:
        """Say whether there are no other processes to notify. It counts until one of them is noticed."""
        self._identity.is_alone = is_alone

    def stop_listening(self, seconds: float = THREAD_PATIENCE) -> None:
        self._set_listener(None)
        if self._listener is not None:
            self._listener.close(seconds)
            self._listener = None

    def vacuum(self, tables: list[str]) -> list[str]:
        """Vacuum tables of Postgres on a connection of its own, in the calling thread; returns the skipped tables.

        It may take minutes. Reads and writes of these tables go on. Raises StoreUnavailable.
        """
        from turbine.store.postgres import vacuum

        return vacuum(self.source, tables)

    def close(self, *, patient: bool = True, seconds: float | None = None) -> None:
        """Finish all writes that have entered, then close the database. Idempotent.

        After `seconds` the writes that are left fail with StoreUnavailable, whatever keeps the database from answering.
        """
        if self._is_forked:
            return  # the connections belong to the parent
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
        """Close the database as a killed process does: what is not committed by now never is."""
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


def _pools(source: Source, identity: Identity, origin: Store) -> dict[Lane, Pool]:
    """The lanes beside the main one. Their numbers distinguish the connections of this process (`pt_batches`)."""
    from turbine.store.postgres import PostgresBackend

    def lane(number: int | None) -> Callable[[], PostgresBackend]:
        return lambda: PostgresBackend(source, identity, number)

    return {
        Lane.CLAIMS: Pool("claims", [lane(1), lane(2)], origin),
        Lane.GENERAL: Pool("general", [lane(number) for number in range(3, LANES)], origin),
        Lane.LEASE: Pool("lease", [lane(None)], origin),
    }


def _audited(tx: Tx, *, function: Callable[..., Any], argument: Any, audit: Audit) -> Any:
    result = function(tx, **argument)
    is_unchanged = isinstance(result, Exception) or (isinstance(result, int) and not result)
    if not is_unchanged:
        audit(tx)
    return result


def _keywords_only(args: tuple[Any, ...]) -> None:
    if args:
        raise TypeError("a transaction function takes its arguments by keyword")


def open_store(
    url: str | Callable[[], str],
    *,
    pooler: bool | None = None,
    listen_url: str | None = None,
    abandoned: threading.Event | None = None,
) -> Store:
    """Open (and when new, make) the database of a URL, migrated to this version's schema.

    `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, `sqlite://:memory:`, `postgresql://…`, or a callable
    that returns one and is called for each connection. `pooler`: whether the Postgres URL leads to a pooler, by default
    found out; `listen_url`: one that bypasses the pooler, for notifications. `abandoned`: an event that breaks off a
    wait for the write lock of a SQLite file.

    Raises StoreInvalid for what can never work, StoreUnavailable for a server that is away or a write lock that another
    process does not release, StoreTooNew when a newer Turbine has already migrated the database. No password of the URL
    is in their texts.
    """
    text = url if isinstance(url, str) else url()
    try:
        return _open(text, url, pooler, listen_url, abandoned)
    except (StoreInvalid, StoreUnavailable) as error:
        shown = scrub(str(error), text, listen_url)
        if shown == str(error):
            raise
        refused = type(error)(shown)
    raise refused


def _open(
    text: str,
    url: str | Callable[[], str],
    pooler: bool | None,
    listen_url: str | None,
    abandoned: threading.Event | None,
) -> Store:
    if text in ("sqlite://:memory:", "sqlite:///:memory:"):
        return Store(text, "sqlite", ":memory:")
    if text.startswith("sqlite:///"):
        path = unquote(text.removeprefix("sqlite:///").split("?")[0])
        if not path:
            raise StoreInvalid(f"{mask_url(text)!r} names no file; write for example sqlite:///shop.db")
        # One name for one file: the lock beside it is shared, and a change of the working folder changes nothing.
        return Store(text, "sqlite", str(Path(path).resolve()), abandoned=abandoned)
    if text.startswith(("postgresql://", "postgres://")):
        from turbine.store.postgres import Source

        return Store(text, "postgres", mask_url(text), Source(url, pooler=pooler, listen_url=listen_url))
    raise StoreInvalid(
        f"{mask_url(text)!r} is not a database URL that Turbine knows; use sqlite:///relative/path.db,"
        " sqlite:////absolute/path.db, sqlite://:memory: or postgresql://user@host/database"
    )
