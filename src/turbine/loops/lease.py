"""The lease of this executor: renewed by a thread of its own, so that a blocked event loop does not lose its runs."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from turbine.errors import Conflict, StoreInvalid, TurbineError
from turbine.platform import FileLock, file_name, machine_id
from turbine.store import Store
from turbine.tables import executors
from turbine.tables.executors import Vitals

log = logging.getLogger("turbine")
R = TypeVar("R")


class Lease:
    """The place of this executor on the roll, and its lock file.

    The file is locked as long as the process lives: whoever can lock it on this machine knows at once that the executor
    is dead. Elsewhere, and where there is no folder for the file, it is dead when its lease has run out.
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
        self._lock: FileLock | None = None
        self._thread: threading.Thread | None = None
        self._healthy_since = time.monotonic()
        self._renewed = time.monotonic()

    @property
    def healthy_for(self) -> float:
        """Seconds since the last time this executor could not renew its own lease.

        Who was cut off from the database himself cannot tell whether others are dead or were cut off with him.
        """
        if time.monotonic() - self._renewed > self._lease_ms / 1000:
            return 0.0
        return time.monotonic() - self._healthy_since

    def take(self) -> None:
        """Lock the file, enter the roll, start the thread.

        Raises Conflict while an executor of this id is alive on this machine, StoreInvalid when there can be no lock
        beside a SQLite file.
        """
        if not self._store.is_memory:
            self._lock = self._locked()
        # Whoever had this id before is dead, or this lock could not have been taken.
        self._store.write_blocking(
            executors.replace_former, executor_id=self._executor_id, now_ms=time.time_ns() // 1_000_000
        )
        self._store.hold(self._executor_id, self._enter(executors.begin_life))
        self._thread = threading.Thread(target=self._main, name="turbine-lease", daemon=True)
        self._thread.start()

    def _locked(self) -> FileLock | None:
        """The locked file of this executor; None on Postgres when this machine has no place for it."""
        try:
            lock = FileLock((self._store.locks_folder() / f"{file_name(self._executor_id)}.lock").resolve())
            with contextlib.ExitStack() as closing:
                closing.callback(lock.close)
                if lock.try_acquire():
                    closing.pop_all()
                    return lock
        except OSError as error:
            if self._store.dialect == "sqlite":
                raise StoreInvalid(
                    f"The lock file of executor {self._executor_id!r} cannot be used: {error}"
                ) from error
            log.warning(
                "Executor %s has no lock file on this machine (%s): its death is seen only when its lease of %g s has"
                " run out. To have it seen at once, set TMPDIR to a folder that this process can write",
                self._executor_id,
                error,
                self._lease_ms / 1000,
            )
            return None
        raise Conflict(
            f"An executor with the id {self._executor_id!r} is alive on this machine; give each process its own"
            " executor_id, or none"
        )

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
            lock_path=str(self._lock.path) if self._lock else None,
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

    def stop(self) -> None:
        """Stop renewing."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def give_up(self) -> None:
        """Leave the roll in good order, and let go of the file."""
        self.stop()
        with contextlib.suppress(TurbineError):  # a store that is away: the free lock file says the same
            self._store.write_blocking(executors.strike, executor_id=self._executor_id)
        self.drop_lock()

    def die(self) -> None:
        """Go as a killed process goes: the place on the roll and the file stay, only the lock is free."""
        self.stop()
        if self._lock is not None:
            self._lock.close()

    def drop_lock(self) -> None:
        """Let go of the file; it is removed."""
        if self._lock is not None:
            self._lock.remove()


def is_dead_here(lock_path: str | None) -> bool:
    """Whether the executor with this lock file lived on this machine and does not live any more."""
    if lock_path is None:
        return False
    try:
        with contextlib.closing(FileLock(Path(lock_path), create=False)) as lock:
            return lock.try_acquire()
    except OSError:
        return False  # another machine's, or not ours to open: its lease decides
