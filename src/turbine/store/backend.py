"""The interface between the writer and a database, and the meaning of errors for a batch of writes."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from turbine.store.tx import Tx, Wake

NOTICE_AFTER = 2.0
"""Seconds that a write waits for a lock of another process until that is logged."""


class Fault(Enum):
    """The meaning of an exception that was raised during a batch."""

    BAD = "one of the writes is wrong"
    BUSY = "nothing was written, try again"
    LOST = "the connection is gone and the outcome of the commit unknown"
    DOWN = "the disk refuses: full, read-only or failing"


class Backend(Protocol):
    """One connection for writing."""

    def begin(self, *, is_single_statement: bool = False, was_decided: bool = False) -> Tx:
        """Open a transaction.

        `is_single_statement`: the batch is one call of a function with that mark. `was_decided`: an earlier attempt
        was committed, and only its answer is missing.
        """
        ...

    def commit(self) -> list[Wake]:
        """Commit and return the wakes that the transaction asked for."""
        ...

    def rollback(self) -> None: ...
    def classify(self, error: BaseException) -> Fault: ...
    def recover(self, patience: Callable[[], bool]) -> bool:
        """Open the connection again, trying as long as `patience()`; True if the lost commit had happened."""
        ...

    def obstacle(self) -> str | None:
        """The lock that this connection has been waiting for since `NOTICE_AFTER` seconds, with its holder."""
        ...

    def abandon(self) -> None:
        """Stop waiting for locks of other processes, for good. From any thread."""
        ...

    def idle(self) -> None:
        """Do the housekeeping; called when there is nothing to write."""
        ...

    def close(self) -> None: ...
    def forked(self) -> None:
        """In a forked child: close what is shared with the parent, without using the connection."""
        ...
