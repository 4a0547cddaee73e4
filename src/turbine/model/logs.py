"""Stored log records of runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LogSource(StrEnum):
    """The author of a log record."""

    USER = "user"
    SYSTEM = "system"
    """Turbine, about a run."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A stored log record. `at` is in UTC."""

    id: str
    at: datetime
    level: str
    """`INFO`, `WARNING`, …; `Level 25` for a number that has no name here."""
    logger: str
    message: str
    """The text, followed by the traceback of the exception, if there is one."""
    workflow_id: str | None
    step: str | None
    """The position of the step that wrote it; None for the body of the workflow."""
    source: LogSource
