"""The lease of this executor: renewed by a thread of its own, so that a blocked event loop does not lose its runs."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from turbine.errors import Conflict, StoreInvalid, TurbineError
from turbine.forking import tell_after_fork
from turbine.platform import FileLock, machine_id
from turbine.store import Store
from turbine.tables import executors
from turbine.tables.executors import ExecutorRow, ProcessMetrics

log = logging.getLogger("turbine")


FORMER_POLL = 0.2
"""Seconds between looks whether an earlier launch of a fixed id still renews its lease."""


class Lease:
    """The registration of this executor, and its lock file.

    The file is locked as long as the process lives, and holds a token that is in the executor's row too. A process on
    this machine that can lock the file with that token in it knows at once that the executor is dead. Elsewhere, and
    where there is no folder for the file, it is dead when its lease has run out.
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
        process_metrics: Callable[[], ProcessMetrics],
    ) -> None:
        self._store = store
        self._executor_id = executor_id
        self._lease_ms = lease_ms
        self._application_id = application_id
        self._version = version
        self._names = names
        self._vitals = process_metrics
        self._stopping = threading.Event()
        self._lock: FileLock | None = None
        self._token = uuid.uuid4().hex
        self._incarnation = 0
        self._thread: threading.Thread | None = None
        self._healthy_since = time.monotonic()
        self._renewed = time.monotonic()
        tell_after_fork(self.forked)

    @property
    def is_held(self) -> bool:
        """Whether the lease was renewed in time; others may take over our runs otherwise."""
        return time.monotonic() - self._renewed <= self._lease_ms / 1000

    @property
    def healthy_for(self) -> float:
        """Seconds since the last time this executor could not renew its own lease.

        A process that was cut off from the database cannot tell whether others are dead or were cut off with it.
        """
        return time.monotonic() - self._healthy_since if self.is_held else 0.0

    def take(self) -> None:
        """Lock the file, register, start the thread.

        Raises Conflict while an executor of this id is alive, here or elsewhere, StoreInvalid when there can be no lock
        beside a SQLite file.
        """
        known = ""
        if not self._store.is_memory:
            self._lock, known = self._locked()
        try:
            self._register(self._former(known))
        except BaseException:
            self.drop_lock()
            raise
        self._renewed = self._healthy_since = time.monotonic()
        self._thread = threading.Thread(target=self._main, name="turbine-lease", daemon=True)
        self._thread.start()

    def _locked(self) -> tuple[FileLock | None, str]:
        """The locked file of this executor, and the token that was in it; None where there is no place for one."""
        try:
            lock = FileLock(self._store.lock_path(self._executor_id))
            with contextlib.ExitStack() as closing:
                closing.callback(lock.close)
                if lock.try_acquire():
                    known = lock.read_text()
                    lock.write_text(self._token)
                    closing.pop_all()
                    return lock, known
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
            return None, ""
        raise Conflict(
            f"An executor with the id {self._executor_id!r} is alive on this machine; give each process its own"
            " executor_id, or none"
        )

    def _former(self, known_token: str) -> int | None:
        """The launch that holds our id and is known to be dead, if there is one. Raises Conflict if it lives.

        It is dead when we hold the very file that it had locked, or when it lets its lease run out while we look.
        """
        seen: ExecutorRow | None = None
        until = 0.0
        while not self._stopping.is_set():
            former = self._store.read_blocking(executors.get, executor_id=self._executor_id)
            if former is None or (known_token and former.lock_token == known_token):
                break
            if seen is None or seen.incarnation != former.incarnation:
                seen, until = former, time.monotonic() + _lease_left(former, self._store) + FORMER_POLL
            elif former.lease_until_ms != seen.lease_until_ms:
                raise Conflict(
                    f"The executor id {self._executor_id!r} belongs to process {former.process_id} on"
                    f" {former.hostname}, which is alive; give each process its own executor_id, or none"
                )
            elif time.monotonic() > until:
                break
            self._stopping.wait(FORMER_POLL)
        else:
            raise Conflict(f"The launch of executor {self._executor_id!r} was broken off")
        return None if former is None else former.incarnation

    def _register(self, former_incarnation: int | None) -> None:
        """Register this process. Raises Conflict when another process was quicker to take the id."""
        incarnation = self._store.write_blocking(
            executors.start_incarnation,
            former_incarnation=former_incarnation,
            lease_ms=self._lease_ms,
            now_ms=time.time_ns() // 1_000_000,
            executor_id=self._executor_id,
            application_id=self._application_id,
            application_version=self._version,
            machine=machine_id(),
            lock_path=str(self._lock.path) if self._lock else None,
            lock_token=self._token if self._lock else None,
            hostname=socket.gethostname(),
            process_id=os.getpid(),
            names=json.dumps(self._names),
            process_metrics=self._vitals(),
        )
        assert isinstance(incarnation, int)  # a refusal was raised
        self._incarnation = incarnation
        self._store.hold(self._executor_id, incarnation)

    def _main(self) -> None:
        while not self._stopping.wait(self._lease_ms / 3000):
            try:
                self._renew()
                now = time.monotonic()
                if now - self._renewed > self._lease_ms / 1000:
                    self._healthy_since = now
                self._renewed = now
            except Conflict as error:
                self._store.hold("", 0)
                log.warning("Executor %s was evicted and cannot come back: %s", self._executor_id, error)
            except Exception as error:  # noqa: BLE001 - without this thread the runs would soon be others'
                if not self._stopping.is_set():
                    log.warning("The lease of executor %s could not be renewed: %s", self._executor_id, error)

    def _renew(self) -> None:
        is_renewed = self._store.write_blocking(
            executors.renew,
            executor_id=self._executor_id,
            incarnation=self._incarnation,
            lease_ms=self._lease_ms,
            process_metrics=self._vitals(),
        )
        if not is_renewed:
            self._register(None)
            log.warning(
                "Executor %s was silent for too long, and others took over its runs; it goes on with new ones",
                self._executor_id,
            )

    def stop(self, seconds: float | None = None) -> None:
        """Stop renewing; a renewal for which the database takes longer than this ends with the store."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(None if seconds is None else max(0.0, seconds))
            self._thread = None

    def give_up(self, seconds: float | None = None) -> None:
        """Deregister in good order, and let go of the file: within this time, whatever the database does."""
        until = None if seconds is None else time.monotonic() + seconds
        self.stop(seconds)
        with contextlib.suppress(TurbineError):  # a store that is away: the free lock file says the same
            asked = {"executor_id": self._executor_id, "incarnation": self._incarnation}
            left = self._store.submit_blocking(executors.deregister, asked)
            left.wait(None if until is None else until - time.monotonic())
        self.drop_lock()

    def forked(self) -> None:
        """In a forked child: close the copy of the lock, which would outlive the parent."""
        if self._lock is not None:
            self._lock.close()

    def die(self) -> None:
        """Go as a killed process goes: the registration and the file stay, only the lock is free."""
        self.stop()
        if self._lock is not None:
            self._lock.close()

    def drop_lock(self) -> None:
        """Let go of the file; it is removed."""
        if self._lock is not None:
            self._lock.remove()


def _lease_left(former: ExecutorRow, store: Store) -> float:
    """Seconds after which a lease that is not renewed has surely run out.

    On SQLite both read the clock of this machine, which may have been set meanwhile, so it is waited for in full.
    """
    if store.dialect == "sqlite":
        return former.lease_ms / 1000
    return max(0, min(former.lease_left_ms, former.lease_ms)) / 1000


def is_dead_here(lock_path: str | None, token: str | None) -> bool:
    """Whether the executor with this lock file and token lived on this machine and does not live any more."""
    if lock_path is None or token is None:
        return False
    try:
        with contextlib.closing(FileLock(Path(lock_path), create=False)) as lock:
            if not lock.try_acquire():
                return False
            lock.release()  # not by closing alone: a child that is forked now has the file open too
            return lock.read_text() == token
    except OSError:
        return False  # another machine's, or not ours to open: its lease decides
