"""Connections to Postgres: how they are opened, what they are set to, and what their errors mean.

Between this process and the server may stand a pooler, a NAT gateway or a failover. So a connection

- uses TCP keepalives to detect a dead peer, and does not wait for ever for a silent one: when an answer is overdue it
  asks the server, over a new connection, whether it still works on the call;
- counts as pooled when the server's own process number differs from the one in the handshake. Then it keeps nothing in
  the session: no prepared statements, settings for each transaction, no LISTEN.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator
from typing import Any, LiteralString

import psycopg
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.generators import send

from turbine.errors import StoreInvalid, StoreUnavailable, TurbineError
from turbine.masking import mask_text, scrub
from turbine.store.backend import Fault
from turbine.store.tx import Row

SILENCE = 5.0
"""Seconds without an answer after which the server is asked whether it still works on the call."""
SILENCE_MAX = 30.0
"""Seconds without an answer after which a connection is given up if the server cannot be asked."""
POOLED_SILENCE_MAX = 15.0
"""The same behind a pooler, where the server cannot be asked about one client; its statements end before that."""

_TCP = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_REFUSED = ("does not exist", "authentication failed", "no password supplied", "not permitted to log in")
_LOST_STATES = frozenset({"25P03", "26000", "42P05", "57P01", "57P02", "57P03", "57P05", "25P04"})
"""SQLSTATEs of the connection, not of the statement: timeouts of idle sessions, a server that ends, and prepared
statements that a pooler or a restart has removed or left behind."""

_SERVER_CLASSES = frozenset({"25", "28", "3D", "3F", "53", "55", "57", "58", "F0", "XX"})
"""Classes of SQLSTATEs of the server or the role, not of the statement: full, read-only, failing, in recovery, without
a privilege or a schema for a while. Once that is repaired, the same statement works.
Source: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
_SERVER_ERRORS = (pg.InsufficientPrivilege, pg.UndefinedTable)


class _Pipeline(psycopg.Pipeline):
    """A pipeline that ends with the message Sync.

    psycopg sends Flush after it, and then the server does not start `idle_in_transaction_session_timeout`: a process
    that is stopped in a transaction would keep its locks for ever.
    """

    def _fetch_gen(self, *, flush: bool) -> Generator[Any, Any, None]:
        if flush:
            yield from send(self.pgconn)
        yield from super()._fetch_gen(flush=False)


class Connection(psycopg.Connection[Row]):
    """A connection whose calls end when the server has gone silent."""

    source: Source
    is_pooled: bool = False
    server_pid: int = 0

    @contextlib.contextmanager
    def pipeline(self) -> Generator[psycopg.Pipeline]:
        self._pipeline = self._pipeline or _Pipeline(self)
        with super().pipeline() as pipeline:
            yield pipeline

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        return super().wait(self._watched(gen), *args, **kwargs)

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Run the generator, and check the connection whenever an answer is overdue."""
        try:
            state = next(gen)
            began = checked = time.monotonic()
            while True:
                ready = yield state
                if ready:
                    checked = began = time.monotonic()
                elif time.monotonic() - checked > SILENCE:
                    self._check_answering(time.monotonic() - began)
                    checked = time.monotonic()
                state = gen.send(ready)
        except StopIteration as end:
            return end.value

    def _check_answering(self, seconds: float) -> None:
        """Close the connection and raise OperationalError if the server does not work on its call."""
        is_working = None if self.is_pooled else self._is_server_working()
        limit = POOLED_SILENCE_MAX if self.is_pooled else SILENCE_MAX
        if is_working or (is_working is None and seconds < limit):
            return
        self.pgconn.finish()
        raise pg.OperationalError(f"Postgres has not answered for {seconds:.0f} s; the connection is given up")

    def _is_server_working(self) -> bool | None:
        """Whether the server works on a call of this connection; None if it cannot be asked."""
        try:
            with self.source.probe() as probe:
                row = probe.execute("select state from pg_stat_activity where pid = %s", (self.server_pid,)).fetchone()
        except (psycopg.Error, TurbineError):
            return None
        if row is None:
            return False
        return None if row[0] in (None, "disabled") else row[0] == "active"


def close_socket(connection: psycopg.Connection[Row]) -> None:
    """In a forked child: close the socket without a message to the server, whose client is the parent.

    While it is open in the child, the server does not notice the death of the parent, and keeps its locks.
    """
    with contextlib.suppress(psycopg.Error, OSError):
        os.close(connection.fileno())


class Source:
    """The address of a database: its URL, or a callable that returns one, and whether a pooler stands before it."""

    def __init__(
        self, url: str | Callable[[], str], *, pooler: bool | None = None, listen_url: str | None = None
    ) -> None:
        self._url = url
        self.pooler = pooler
        """Whether a pooler stands before the server; None until the first connection has shown it."""
        self.listen_url = listen_url

    def connect(self) -> Connection:
        """Open a connection with the settings of Turbine.

        Raises StoreUnavailable if the server is away, StoreInvalid for what can never work.
        """
        connection = self._open(self._url if isinstance(self._url, str) else self._call_url())
        try:
            if self.pooler is None:
                (pid,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
                self.pooler = pid != connection.info.backend_pid
            connection.is_pooled = self.pooler
            if self.pooler:
                connection.prepare_threshold = None
            else:
                connection.execute(_settings(connection.info.server_version))
        except psycopg.Error as error:
            connection.close()
            raise StoreUnavailable(f"Postgres closed a new connection: {str(error).strip()}") from error
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_to_listen(self) -> Connection:
        """Open a connection for LISTEN: past the pooler, where there is one."""
        if self.listen_url is None:
            return self.connect()
        connection = self._open(self.listen_url)
        try:
            connection.execute(_settings(connection.info.server_version))
        except BaseException:
            connection.close()
            raise
        return connection

    def probe(self) -> psycopg.Connection[Row]:
        """Open a connection for one query, which is not watched itself."""
        parameters = self._parameters(self._url if isinstance(self._url, str) else self._call_url())
        return psycopg.connect(make_conninfo("", **{**parameters, "connect_timeout": 5}), autocommit=True)

    def _call_url(self) -> str:
        assert not isinstance(self._url, str)
        try:
            return self._url()
        except Exception as error:  # noqa: BLE001 - the user's own code
            text = mask_text(f"{type(error).__name__}: {error}")
        # Outside of `except`, as below: the chain of errors would show what is masked in the text.
        raise StoreUnavailable(f"The callable given as database= raised {text}")

    def _parameters(self, url: str) -> dict[str, Any]:
        try:
            # Texts travel as UTF-8, whatever the environment says; the rest are defaults that a URL may change.
            return {"connect_timeout": 10, **_TCP, **conninfo_to_dict(url), "client_encoding": "utf8"}
        except (psycopg.ProgrammingError, ValueError) as error:
            refused = _refused(error, url)
        raise refused

    def _open(self, url: str) -> Connection:
        connection: Connection | None = None
        refused: StoreInvalid | StoreUnavailable | None = None
        try:
            connection = Connection.connect(make_conninfo(**self._parameters(url)), autocommit=True)
        except (psycopg.ProgrammingError, psycopg.OperationalError, ValueError) as error:
            refused = _refused(error, url)
        if connection is None:
            assert refused is not None
            raise refused
        connection.source = self
        connection.server_pid = connection.info.backend_pid
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            connection.close()
            raise StoreInvalid(
                f"The database has the encoding {encoding}, in which not every text can be kept; make one with"
                " create database … encoding 'UTF8' template template0"
            )
        return connection


def _refused(error: Exception, url: str) -> StoreInvalid | StoreUnavailable:
    """The error for a connection that could not be made, without the pieces of the URL that psycopg quotes."""
    text = scrub(str(error).strip(), url)
    if not isinstance(error, psycopg.OperationalError):
        return StoreInvalid(f"The Postgres URL cannot be used: {text}")
    if any(words in str(error) for words in _REFUSED):
        return StoreInvalid(f"Postgres refuses the connection: {text}; check user, password and database")
    return StoreUnavailable(f"Postgres cannot be reached: {text}; is the server up and the address right?")


def _settings(server_version: int) -> LiteralString:
    """The settings of a session, whatever the role has for its other programs."""
    settings = _SETTINGS
    if server_version >= 140_000:
        return settings + "; set idle_session_timeout to 0"
    return settings


# `lock_timeout` is below Postgres' `deadlock_timeout`: batches take their locks in one order (see ARCHITECTURE.md), and
# conflicts outside of that order are tried again instead of becoming deadlocks. A process that is stopped in the middle
# of a transaction keeps its locks for no longer than `idle_in_transaction_session_timeout`.
_SETTINGS: LiteralString = (
    "set timezone to 'UTC'; set synchronous_commit to on; set statement_timeout to 0; set lock_timeout to 400;"
    " set idle_in_transaction_session_timeout to 5000; set default_transaction_isolation to 'read committed'"
)
POOLED_SETTINGS: LiteralString = (
    "select set_config('synchronous_commit', 'on', true), set_config('statement_timeout', '10000', true),"
    " set_config('lock_timeout', '400', true), set_config('idle_in_transaction_session_timeout', '5000', true)"
)
"""The same for one transaction."""


def classify(error: BaseException, *, is_gone: bool) -> Fault:
    """The meaning of an error for the batch; `is_gone`: its connection cannot be used any more."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        if isinstance(error, (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable, pg.QueryCanceled)):
            return Fault.BUSY  # a statement is cancelled by a DBA, or by the limit behind a pooler; it is not wrong
        if error.sqlstate in _LOST_STATES or error.sqlstate.startswith("08") or _is_stale_plan(error):
            return Fault.LOST
        if error.sqlstate[:2] in _SERVER_CLASSES or isinstance(error, _SERVER_ERRORS):
            return Fault.DOWN
    if is_gone or isinstance(error, psycopg.InterfaceError):
        return Fault.LOST
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return Fault.LOST
    return Fault.BAD


def _is_stale_plan(error: psycopg.Error) -> bool:
    """Whether a prepared statement no longer fits its tables, after these were changed."""
    return isinstance(error, pg.FeatureNotSupported) and "cached plan" in str(error)
