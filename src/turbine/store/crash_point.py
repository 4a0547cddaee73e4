"""Places at which a test lets the process die: before or after a commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turbine.store.job import Job


class SimulatedCrash(BaseException):
    """The process ends here, as far as the database and all other processes can tell. Raised by a `CrashPoint`."""


class CrashPoint(Protocol):
    """Decides at which commit a process dies. The testing kit has one; a runtime of users has none.

    Both methods are called in the writer's thread, with the jobs of the batch. After `SimulatedCrash` nothing more is
    written, and no caller learns what became of its write: it gets the error of a closed store.
    """

    def before(self, jobs: Sequence[Job]) -> None:
        """The batch has run and is not committed yet. A crash here loses all of it."""
        ...

    def after(self, jobs: Sequence[Job]) -> None:
        """The batch is committed and no caller knows yet. A crash here keeps all of it."""
        ...


class NoMoreCommits:
    """The crash point of a writer that was given up: the batch in flight is lost."""

    def before(self, jobs: Sequence[Job]) -> None:
        raise SimulatedCrash

    def after(self, jobs: Sequence[Job]) -> None:
        raise SimulatedCrash
