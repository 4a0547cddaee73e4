"""The lease of this executor: renewed by a thread of its own, so that a blocked event loop does not lose its runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from turbine.errors import Conflict, TurbineError
from turbine.forking import tell_after_fork
from turbine.store import Store
from turbine.tables import executors
from turbine.tables.executors import Vitals

log = logging.getLogger("turbine")
R = TypeVar("R")


class Lease:
    """The place of this executor on the roll, and its lock file.

    The file is locked (`flock`) as long as the process lives: whoever can lock it on this machine knows at once that
    the executor is dead. Elsewhere it is dead when its lease has run out.
    """

    def __init__(
        self,
        store: Store,
        executor_id: str,
        *,
        lease_ms: int,
        application_id: str,
        version: str,
        names: list[str],
        vitals: Callable[[], Vitals],
    ) -> None:
        self._store = store
        self._executor_id = executor_id
        self._lease_ms = lease_ms
        self._application_id = application_id
        self._version = version
        self._names = names
        self._vitals = vitals
        self._stopping = threading.Event()
        self._file: int | None = None
        self._path: Path | None = None
        self._thread: threading.Thread | None = None
        self._healthy_since = time.monotonic()
        self._renewed = time.monotonic()
        tell_after_fork(self.forked)

    @property
    def healthy_for(self) -> float:
        """Seconds since the last time this executor could not renew its own lease.

        Who was cut off from the database himself cannot tell whether others are dead or were cut off with him.
        """
        if time.monotonic() - self._renewed > self._lease_ms / 1000:
            return 0.0
        return time.monotonic() - self._healthy_since

    def take(self) -> None:
        """Lock the file, enter the roll, start the thread."""
        if not self._store.is_memory:
            self._path = (self._store.locks_folder() / f"{self._executor_id}.lock").resolve()
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._file)
                self._file = None
                raise Conflict(
                    f"An executor with the id {self._executor_id!r} is alive on this machine; give each process its own"
                    " executor_id, or none"
                ) from None
        try:
            # Whoever had this id before is dead, or this lock could not have been taken.
            self._store.write_blocking(
                executors.replace_former, executor_id=self._executor_id, now_ms=time.time_ns() // 1_000_000
            )
            self._store.hold(self._executor_id, self._enter(executors.begin_life))
        except BaseException:
            self.drop_lock()
            raise
        self._thread = threading.Thread(target=self._main, name="turbine-lease", daemon=True)
        self._thread.start()

    def _enter(self, function: Callable[..., R]) -> R:
        """Get onto the roll with one of its functions."""
        return self._store.write_blocking(
            function,
            lease_ms=self._lease_ms,
            now_ms=time.time_ns() // 1_000_000,
            executor_id=self._executor_id,
            application_id=self._application_id,
            application_version=self._version,
            machine=machine_id(),
            lock_path=str(self._path) if self._path else None,
            hostname=socket.gethostname(),
            process_id=os.getpid(),
            names=json.dumps(self._names),
            vitals=self._vitals(),
        )

    def _main(self) -> None:
        while not self._stopping.wait(self._lease_ms / 3000):
            try:
                if not self._store.write_blocking(executors.renew, lease_ms=self._lease_ms, vitals=self._vitals()):
                    log.warning(
                        "Executor %s was silent for too long, and others took over its runs; it goes on with new ones",
                        self._executor_id,
                    )
                    self._enter(executors.enlist)
                now = time.monotonic()
                if now - self._renewed > self._lease_ms / 1000:
                    self._healthy_since = now
                self._renewed = now
            except Exception as error:  # noqa: BLE001 - without this thread the runs would soon be others'
                if not self._stopping.is_set():
                    log.warning("The lease of executor %s could not be renewed: %s", self._executor_id, error)

    def stop(self, seconds: float | None = None) -> None:
        """Stop renewing; a renewal for which the database takes longer than this ends with the store."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(None if seconds is None else max(0.0, seconds))
            self._thread = None

    def give_up(self, seconds: float | None = None) -> None:
        """Leave the roll in good order, and let go of the file: within this time, whatever the database does."""
        until = None if seconds is None else time.monotonic() + seconds
        self.stop(seconds)
        with contextlib.suppress(TurbineError):  # a store that is away: the free lock file says the same
            left = self._store.submit_blocking(executors.strike, {"executor_id": self._executor_id})
            left.wait(None if until is None else until - time.monotonic())
        self.drop_lock()

    def forked(self) -> None:
        """In a forked child: close the copy of the lock, which would outlive the parent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def die(self) -> None:
        """Go as a killed process goes: the place on the roll and the file stay, only the lock is free."""
        self.stop()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def drop_lock(self) -> None:
        if self._file is not None:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def is_dead_here(lock_path: str | None) -> bool:
    """Whether the executor with this lock file lived on this machine and does not live any more."""
    if lock_path is None:
        return False
    try:
        file = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False  # another machine's, or not ours to open: its lease decides
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)  # not by closing alone: a child that is forked now has the file open too
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def machine_id() -> str:
    """Which machine this is, for people who look at the roll."""
    with contextlib.suppress(OSError):
        return Path("/etc/machine-id").read_text(encoding="ascii").strip() or socket.gethostname()
    return socket.gethostname()
