"""The lock by which processes take turns to write into a SQLite file.

A file lock beside the database, because SQLite's busy timeout starves all but one of many writers. The file also says
which process took the lock and when: a process that is stopped (Ctrl-Z, SIGSTOP, a debugger) in the middle of its turn
keeps all others from writing, and only this tells the people on call which process it is.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from pathlib import Path
from typing import NamedTuple

from turbine.clock import to_datetime
from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.platform import FileLock, is_stopped
from turbine.store.backend import NOTICE_AFTER
from turbine.store.sqlite.connection import locks_folder

log = logging.getLogger("turbine.store")

NOTE_EVERY = 0.5
"""Seconds after which a process that commits again and again writes its note anew."""
NOTICE_AGAIN = 60.0
"""Seconds between log lines about the same wait."""
LAUNCH_PATIENCE = 30.0
"""Seconds that a process which is not registered yet waits for its turn."""
_POLL = 0.001
_POLL_LONG = 0.02
_FILE = "writer.lock"


class LockHolder(NamedTuple):
    """The process that holds the write lock of a database."""

    process_id: int
    hostname: str
    since_ms: int

    @property
    def is_stopped(self) -> bool:
        """Whether the process is stopped. False when it runs on another machine, or in another container."""
        return self.hostname == socket.gethostname() and is_stopped(self.process_id)

    @property
    def seconds(self) -> float:
        """How long the process has held the lock."""
        return time.time() - self.since_ms / 1000

    def __str__(self) -> str:
        since = to_datetime(self.since_ms).isoformat(sep=" ", timespec="seconds")
        text = f"process {self.process_id} on {self.hostname} has held its write lock since {since}"
        if self.is_stopped:
            text += (
                f" and is stopped (Ctrl-Z, SIGSTOP or a debugger); continue it (kill -CONT {self.process_id}) or end it"
            )
        return text


def find_holder(path: str, patience: float = 0.2) -> LockHolder | None:
    """The process that holds the write lock of this database for all of `patience` seconds, if one does."""
    try:
        file = FileLock(Path(path + "-locks") / _FILE, create=False)
    except OSError:
        return None
    until = time.monotonic() + patience
    try:
        while not file.try_acquire():
            if time.monotonic() > until:
                return _parse(file.read_text())
            time.sleep(_POLL)
        file.release()
    except OSError:
        return None
    finally:
        file.close()
    return None


class WriterLock:
    """The lock as one process sees it; used by one thread at a time, except for `report`, `obstacle` and `abandon`."""

    def __init__(self, path: str, abandoned: threading.Event | None = None) -> None:
        """`abandoned`: set from outside to break off a wait. Raises StoreInvalid when there can be no lock."""
        self._path = path
        try:
            self._file = FileLock(locks_folder(path) / _FILE)
        except OSError as error:
            raise StoreInvalid(f"The lock file of {path} cannot be opened: {error}") from error
        self._abandoned = abandoned or threading.Event()
        self._owner = f"{os.getpid()} {socket.gethostname()} "
        self._noted = -math.inf
        self._is_held = False
        self._waiting_since: float | None = None
        self._notice_at = NOTICE_AFTER

    def acquire(self, patience: float | None = None) -> None:
        """Take the lock as soon as it is free.

        With `patience` in seconds the wait ends in StoreUnavailable after that, and a signal can interrupt it; without,
        the kernel hands the lock on in order. Raises StoreUnavailable also once the lock was abandoned, and OSError.
        """
        if not self._file.try_acquire():
            self._wait(patience)
        self._taken()

    def try_acquire(self) -> bool:
        """Take the lock if it is free."""
        if self._file.try_acquire():
            self._taken()
        return self._is_held

    def _taken(self) -> None:
        self._is_held = True
        if time.time() - self._noted > NOTE_EVERY:
            self.note()

    def note(self) -> None:
        """Write into the file that this process has the lock."""
        self._noted = time.time()
        self._write(f"{self._owner}{self._noted * 1000:.0f}\n")

    def release(self, *, has_committed: bool = False) -> None:
        """Release the lock if this process holds it.

        The note stays after a commit, which all others notice and which makes them write theirs; it is removed
        otherwise, so that none of them is taken for this process.
        """
        if self._is_held:
            if not has_committed:
                self._noted = -math.inf
                self._write("")
            self._is_held = False
            self._file.release()

    def _write(self, text: str) -> None:
        try:
            self._file.write_text(text)
        except OSError as error:  # a full disk
            log.debug("The holder of the write lock of %s could not be noted: %s", self._path, error)

    def close(self) -> None:
        """Close the file, which releases the lock."""
        self._is_held = False
        self._file.close()

    def abandon(self) -> None:
        """End the wait that is under way, and every later one, in StoreUnavailable."""
        self._abandoned.set()

    def obstacle(self) -> str | None:
        """The holder that has kept this process waiting for longer than `NOTICE_AFTER`."""
        since = self._waiting_since
        if since is None or time.monotonic() - since < NOTICE_AFTER:
            return None
        return self._describe_holder()

    def report(self) -> None:
        """Log a wait that has become long, and once a minute while it lasts."""
        since = self._waiting_since
        if since is None:
            return
        seconds = time.monotonic() - since
        if seconds >= self._notice_at:
            self._notice_at = seconds + NOTICE_AGAIN
            log.warning(
                "Writes into %s have waited for %.0f s and go on waiting: %s",
                self._path,
                seconds,
                self._describe_holder(),
            )

    def _describe_holder(self) -> str:
        try:
            holder = _parse(self._file.read_text())
        except (OSError, ValueError):  # closed meanwhile
            holder = None
        return "another process holds its write lock" if holder is None else str(holder)

    def _wait(self, patience: float | None) -> None:
        began = time.monotonic()
        self._notice_at = NOTICE_AFTER
        self._waiting_since = began
        try:
            if patience is None:
                self._file.acquire()
            else:
                self._poll(began, patience)
        finally:
            self._waiting_since = None
        if self._abandoned.is_set():
            self._file.release()
            raise self._unavailable("was not waited for any longer, because the store is being closed")
        if self._notice_at > NOTICE_AFTER:
            log.warning("Writes into %s go on after a wait of %.0f s", self._path, time.monotonic() - began)

    def _poll(self, began: float, patience: float) -> None:
        while not self._file.try_acquire():
            self.report()
            seconds = time.monotonic() - began
            if seconds > patience:
                raise self._unavailable(f"did not become free within {patience:.0f} s: {self._describe_holder()}")
            if self._abandoned.wait(_POLL if seconds < 1 else _POLL_LONG):
                raise self._unavailable("was not waited for any longer, because the store is being closed")

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"The write lock of the database {self._path} {reason}")


def _parse(text: str) -> LockHolder | None:
    fields = text.split()
    if len(fields) != 3 or not (fields[0].isdigit() and fields[2].isdigit()):
        return None
    return LockHolder(process_id=int(fields[0]), hostname=fields[1], since_ms=int(fields[2]))
