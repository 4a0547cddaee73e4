"""The records of a run, from which the engine replays it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from turbine.model.positions import NOTE, PATCH
from turbine.model.steps import Kind


class Recorded(NamedTuple):
    """The row of one position."""

    position: str
    function_id: int
    name: str
    kind: int
    output: str | None
    error: str | None
    child: str | None
    started_ms: int
    ended_ms: int | None


class Waiting(NamedTuple):
    """The row of an open wait."""

    kind: str
    subject: str
    since_ms: int
    deadline_ms: int | None
    due_ms: int | None


class Failure(NamedTuple):
    """A failed attempt of an unfinished step."""

    number: int
    error: str


@dataclass(slots=True)
class RunRecords:
    """The records of a run by position."""

    recorded: dict[str, Recorded] = field(default_factory=dict[str, Recorded])
    waits: dict[str, Waiting] = field(default_factory=dict[str, Waiting])
    failures: dict[str, list[Failure]] = field(default_factory=dict[str, list[Failure]])
    next_function_id: int = 0
    reached: dict[str, int] = field(default_factory=dict[str, int])
    """The highest recorded index of each branch, by its prefix (`""` for the main branch)."""

    def goes_beyond(self, position: str) -> bool:
        """Whether the branch of a position has records after that position."""
        prefix, dot, last = position.rpartition(".")
        return self.reached.get(prefix + dot, -1) > int(last.partition("t")[0])

    def add(self, record: Recorded) -> None:
        self.recorded[record.position] = record
        if record.function_id >= self.next_function_id:
            self.next_function_id = record.function_id + 1
        if record.kind in (Kind.MARK, Kind.NOTE) and record.position.startswith((PATCH, NOTE)):
            return
        prefix = ""
        for part in record.position.split("."):
            index = int(part.partition("t")[0])
            if index > self.reached.get(prefix, -1):
                self.reached[prefix] = index
            prefix = f"{prefix}{part}."
