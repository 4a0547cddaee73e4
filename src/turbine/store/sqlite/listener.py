"""Notices the commits of other processes on the same SQLite file."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store.sqlite import fork
from turbine.store.sqlite.connection import connect
from turbine.store.tx import Tx, Wake, bulk
from turbine.store.writer import Job, Writer

POLL_IDLE = 0.02
"""Seconds between looks at the file."""
POLL_EAGER = 0.001
"""The same while a caller in this process waits for a commit of another one."""


class SqliteListener:
    """A thread that polls `data_version`: other processes' commits are noticed within 20 ms, or 1 ms when eager."""

    def __init__(
        self, path: str, notify: Callable[[list[Wake]], None], writer: Writer, report: Callable[[], None]
    ) -> None:
        """`report` is called at each look; it logs what the writer waits for."""
        self._path = path
        self._notify = notify
        self._writer = writer
        self._report = report
        self._batches = writer.batches
        self._stopping = threading.Event()
        self._eager_until = 0.0
        self._nudge = threading.Event()
        self._thread = threading.Thread(target=self._main, name="turbine-listener", daemon=True)
        self._thread.start()

    def poll_eagerly(self) -> None:
        """Look often for the next second."""
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
                    self._notify([("everything", None)])  # for what was written before the first look
                if poll.changed():
                    self._changed()
            except (sqlite3.Error, StoreInvalid):
                # The file is away for the moment; the slow polls go on and this one opens it again.
                if poll is not None:
                    with contextlib.suppress(sqlite3.Error):
                        poll.close()
                    poll = None
            self._report()
            if time.monotonic() < self._eager_until:
                time.sleep(POLL_EAGER)
            else:
                self._nudge.wait(POLL_IDLE)
                self._nudge.clear()
        if poll is not None:
            poll.close()

    def _changed(self) -> None:
        """Notify, unless the commit may be our own: then the writer finds out, which looks at each `begin`."""
        batches, self._batches = self._batches, self._writer.batches
        if batches == self._batches:
            self._notify([("everything", None)])
        elif self._writer.depth == 0:
            with contextlib.suppress(StoreUnavailable):  # being closed
                self._writer.submit(Job(_write_nothing, None, None, None))

    def close(self, seconds: float) -> None:
        self._stopping.set()
        self._nudge.set()
        self._thread.join(seconds)

    def forked(self) -> None:
        """Do nothing: the connection is in the thread, which stayed in the parent."""


class ChangePoll:
    """Tells whether any other connection has committed since the last look; about 2 µs a look."""

    def __init__(self, path: str) -> None:
        with fork.inside():
            self._connection = connect(path)
            self._version = self._read_version()

    def _read_version(self) -> int:
        return self._connection.execute("pragma data_version").fetchone()[0]

    def changed(self) -> bool:
        with fork.inside():
            version = self._read_version()
        changed, self._version = version != self._version, version
        return changed

    def close(self) -> None:
        with fork.inside():
            self._connection.close()


@bulk
def _write_nothing(tx: Tx, rows: list[None]) -> list[None]:
    """Make the writer begin a transaction, which looks at `data_version`."""
    return rows
