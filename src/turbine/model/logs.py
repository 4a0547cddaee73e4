"""Stored log records of runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


class LogSource(StrEnum):
    """The author of a log record."""

    USER = "user"
    SYSTEM = "system"
    """Turbine, about a run."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A stored log record. `at` is in UTC."""

    id: str
    at: Moment
    level: str
    """`INFO`, `WARNING`, …; `Level 25` for a number that has no name here."""
    logger: str
    message: str
    """The text, followed by the traceback of the exception, if there is one."""
    workflow_id: str | None
    step: str | None
    """The position of the step that wrote it; None for the body of the workflow."""
    source: LogSource

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which records: all given fields must match."""

    step: str | None = None
    """A position."""
    level: str | int | None = None
    """The lowest level shown, such as `"WARNING"` or a number."""
    search: str | None = None
    """A part of the message or of the logger's name."""
    after: datetime | None = None
    before: datetime | None = None
