"""Notices the commits of other processes: by notifications where LISTEN works, by the snapshot where it does not.

Two applications may share a database, each in a schema of its own, and a channel belongs to the database: so its name
is made of the schema.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import psycopg
from psycopg import sql

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store.postgres.connection import Connection, Source, close_socket
from turbine.store.tx import Wake

log = logging.getLogger("turbine.store")

NOTIFY_MAX_BYTES = 7000
"""Postgres takes notifications of less than 8000 bytes."""
HEARTBEAT = 5.0
"""Seconds after which a silent listening connection is checked."""
POLL_IDLE = 0.1
"""Seconds between looks for commits of other processes where LISTEN does not work."""
POLL_EAGER = 0.02
"""The same while a caller in this process waits for a commit of another one."""
RETRY_MAX = 2.0

Notify = Callable[[list[Wake]], None]


def channel_of(connection: Connection) -> str:
    """The channel of the schema in which this connection finds its tables. Raises StoreInvalid when there is none."""
    row = connection.execute("select current_schema()::regnamespace::oid::bigint").fetchone()
    if row is None or row[0] is None:
        raise StoreInvalid(
            "No schema of the search_path exists in this database; create it, or correct the search_path"
        )
    return f"turbine_{row[0]}"


class Listener:
    """A thread that passes on the notifications of other executors; after a gap it asks to look at everything."""

    def __init__(self, source: Source, channel: str, executor: str, notify: Notify) -> None:
        self._source = source
        self._channel = channel
        self._executor = executor
        self._notify = notify
        self._connection: Connection | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="turbine-listener", daemon=True)
        self._thread.start()
        self._ready.wait(5)

    def poll_eagerly(self) -> None:
        """Do nothing: a notification comes by itself."""

    def _main(self) -> None:
        pause = 0.05
        while not self._stopping.is_set():
            try:
                with self._source.connect_to_listen() as connection:
                    self._connection = connection
                    connection.execute(sql.SQL("listen {}").format(sql.Identifier(self._channel)))
                    # An executor that took itself for the only one notifies others from now on.
                    connection.execute("select pg_notify(%s, %s)", (self._channel, notification(self._executor, [])))
                    self._ready.set()
                    self._notify([("everything", None)])  # for what was committed before LISTEN
                    pause = 0.05
                    self._listen(connection)
            except (psycopg.Error, StoreUnavailable, StoreInvalid) as error:
                if not self._stopping.is_set():
                    log.warning("Listening to Postgres failed, trying again: %s", str(error).strip())
            self._stopping.wait(pause)
            pause = min(pause * 2, RETRY_MAX)

    def _listen(self, connection: Connection) -> None:
        beat = time.monotonic() + HEARTBEAT
        while not self._stopping.is_set():
            for notice in connection.notifies(timeout=0.1, stop_after=100):
                sender, wakes = parse(notice.payload)
                if sender != self._executor:
                    self._notify(wakes)
                if self._stopping.is_set():
                    return
            if time.monotonic() > beat:
                connection.execute("select 1")
                beat = time.monotonic() + HEARTBEAT

    def close(self, seconds: float) -> None:
        self._stopping.set()
        self._thread.join(seconds)

    def forked(self) -> None:
        """In a forked child: close the socket of the parent's connection."""
        if self._connection is not None:
            close_socket(self._connection)


class SnapshotPoll:
    """A thread that notices commits behind a pooler, where LISTEN does not work.

    The snapshot of a new transaction changes with every commit of a transaction that wrote. So one cheap query tells
    whether there is anything new.
    """

    def __init__(self, source: Source, notify: Notify) -> None:
        self._source = source
        self._notify = notify
        self._connection: Connection | None = None
        self._stopping = threading.Event()
        self._nudge = threading.Event()
        self._eager_until = 0.0
        self._thread = threading.Thread(target=self._main, name="turbine-listener", daemon=True)
        self._thread.start()

    def poll_eagerly(self) -> None:
        """Look often for the next second."""
        was_eager = self._eager_until > time.monotonic()
        self._eager_until = time.monotonic() + 1.0
        if not was_eager:
            self._nudge.set()

    def _main(self) -> None:
        pause = 0.05
        while not self._stopping.is_set():
            try:
                with self._source.connect() as connection:
                    self._connection = connection
                    self._notify([("everything", None)])
                    pause = 0.05
                    self._poll(connection)
            except (psycopg.Error, StoreUnavailable, StoreInvalid) as error:
                if not self._stopping.is_set():
                    log.warning("Looking for commits in Postgres failed, trying again: %s", str(error).strip())
            self._stopping.wait(pause)
            pause = min(pause * 2, RETRY_MAX)

    def _poll(self, connection: Connection) -> None:
        last = None
        while not self._stopping.is_set():
            snapshot = connection.execute("select txid_current_snapshot()::text").fetchone()
            if last is not None and snapshot != last:
                self._notify([("everything", None)])
            last = snapshot
            self._nudge.wait(POLL_EAGER if time.monotonic() < self._eager_until else POLL_IDLE)
            self._nudge.clear()

    def close(self, seconds: float) -> None:
        self._stopping.set()
        self._nudge.set()
        self._thread.join(seconds)

    def forked(self) -> None:
        """In a forked child: close the socket of the parent's connection."""
        if self._connection is not None:
            close_socket(self._connection)


def notification(executor: str, wakes: list[list[Any]]) -> str:
    """The text of a notification; too many wakes become one hint to look at everything."""
    unique = [list(pair) for pair in dict.fromkeys((kind, key) for kind, key in wakes)]
    text = json.dumps([executor, unique], separators=(",", ":"))
    if len(text) < NOTIFY_MAX_BYTES:
        return text
    return json.dumps([executor, [["everything", None]]])


def parse(text: str) -> tuple[str, list[Wake]]:
    """The sender and the wakes of a notification; keys that were tuples are tuples again."""
    with contextlib.suppress(TypeError, ValueError):
        sender, wakes = json.loads(text)
        return sender, [(kind, _hashable(key)) for kind, key in wakes]
    log.debug("Ignored a notification that is not from Turbine: %r", text[:100])
    return "", [("everything", None)]


def _hashable(key: Any) -> Any:
    return tuple(cast("list[Any]", key)) if isinstance(key, list) else key
