"""Clocks: all packages of Turbine get the time from a `Clock`, and never call `time` or `sleep`.

Stored times are epoch milliseconds. The system clock may jump, so code that an alarm wakes reads the time again, and
every loop also polls slowly. Tests use a virtual clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Alarm(Protocol):
    """A callback that is due at a time and can be cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """The source of time, and of alarms."""

    is_virtual: bool
    """Whether a test advances the time; then this clock replaces the clock of the database, too."""

    def now_ms(self) -> int:
        """Returns the time in epoch milliseconds."""
        ...

    def call_at(self, loop: asyncio.AbstractEventLoop, due_ms: int, callback: Callable[[], None]) -> Alarm:
        """Calls `callback` in `loop` at `due_ms`. Must be called from the thread of `loop`."""
        ...


class SystemClock:
    """The clock of the machine."""

    is_virtual = False

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_at(self, loop: asyncio.AbstractEventLoop, due_ms: int, callback: Callable[[], None]) -> Alarm:
        # One millisecond more, because a timer may fire in the millisecond before its own.
        return loop.call_later(max(0.0, due_ms - time.time() * 1000 + 1) / 1000, callback)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The range of `datetime`."""


def to_datetime(epoch_ms: int) -> datetime:
    """Returns the UTC time of epoch milliseconds."""
    # On Windows `fromtimestamp` is limited to the years 1970 to 3000.
    return _EPOCH + timedelta(milliseconds=epoch_ms)


class NoTimeZone(ValueError):
    """A time has no time zone, so it would mean different times on different machines."""


def to_ms(moment: datetime, what: str = "") -> int:
    """Returns the epoch milliseconds of an aware time. Raises what `check_aware` raises."""
    return min(max(round(check_aware(moment, what).timestamp() * 1000), _FIRST_MS), _LAST_MS)


def check_aware(moment: datetime, what: str = "") -> datetime:
    """Returns the time. Raises NoTimeZone (a ValueError) if it has no time zone, TypeError if it is no datetime.

    `what` names the parameter in the message.
    """
    if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass anything
        raise TypeError(f"{what or 'a time'} must be a datetime with a time zone, not {moment!r:.200}")
    if moment.utcoffset() is None:
        text = moment.replace(tzinfo=None).isoformat()
        raise NoTimeZone(f"{what} {text} has no time zone; write {text}Z or +02:00".lstrip())
    return moment


def parse_moment(text: str) -> datetime:
    """Parses an ISO 8601 time. Raises ValueError if it is not one, NoTimeZone if it has no time zone."""
    return check_aware(datetime.fromisoformat(text))


def span_ms(span: timedelta | float) -> int:
    """Returns the milliseconds of a duration in `timedelta` or seconds."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    return round(seconds * 1000)
