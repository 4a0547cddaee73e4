"""The outcomes of a pass over a run, and the signals that end one from outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Completed:
    """The body returned; `output` is its encoded result."""

    output: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The body raised; `positions` are the steps whose recorded failure it raised."""

    error: str
    positions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parked:
    """The run waits and left memory; its waits are rows."""


@dataclass(frozen=True, slots=True)
class PassCancelled:
    """The run was cancelled; its row says so already."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The pass was broken off; nothing of that is an outcome, and the run goes on later."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The run belongs to another executor now."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """The code does not fit the history; a person must look."""

    attention: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The place where code and history of a run differ, and what to do about it."""

    text: str
    position: str | None
    """None for the arguments of the run."""
    recorded: str
    """The name that is recorded there."""
    requested: str
    """The name that the code asks for there, or why it cannot take what is recorded."""


Outcome = Completed | Failed | Parked | PassCancelled | Interrupted | Lost | SetAside


class Signal(Enum):
    """Why a pass must end now. Once it is set no durable call acts any more."""

    CANCELLED = "cancelled"
    PARK = "park"
    INTERRUPT = "interrupt"
    LOST = "lost"
    AWAY = "the database cannot be used now"
    MISMATCH = "mismatch"
    FORKED = "this is a forked child, and the run goes on in the parent"


class Unloaded(BaseException):
    """Unwinds a body that leaves memory. No `Exception`, so that bodies do not handle it by accident."""
