"""Time, asked for and never assumed: everything in Turbine that knows the hour got it from a `Clock`.

Stored times are epoch milliseconds. The system clock may jump, so an alarm that fires looks at the time again, and
every loop also has a slow poll. Tests put a virtual clock in this place; no room above calls `time` or `sleep`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Alarm(Protocol):
    """A callback that is due at a time and can be called off."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What the rooms may ask of time."""

    is_virtual: bool
    """Whether time is moved by a test; what is measured by the database's clock follows this one then."""

    def now_ms(self) -> int:
        """The time in epoch milliseconds."""
        ...

    def call_at(self, loop: asyncio.AbstractEventLoop, due_ms: int, callback: Callable[[], None]) -> Alarm:
        """Call `callback` in `loop` (from whose thread this must be called) when `due_ms` has come."""
        ...


class SystemClock:
    """The machine's own clock."""

    is_virtual = False

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_at(self, loop: asyncio.AbstractEventLoop, due_ms: int, callback: Callable[[], None]) -> Alarm:
        # One millisecond more, because a timer may fire in the millisecond before the one it was set for.
        return loop.call_later(max(0.0, due_ms - time.time() * 1000 + 1) / 1000, callback)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""What a `datetime` can show."""


def to_datetime(epoch_ms: int) -> datetime:
    """The aware UTC time of an epoch in milliseconds."""
    # `fromtimestamp` ends at the years 1970 and 3000 on Windows.
    return _EPOCH + timedelta(milliseconds=epoch_ms)


class NoTimeZone(ValueError):
    """A time without a time zone: it would mean another time on each machine."""


def to_ms(moment: datetime, what: str = "") -> int:
    """Epoch milliseconds of an aware time. Raises what `check_aware` raises."""
    return min(max(round(check_aware(moment, what).timestamp() * 1000), _FIRST_MS), _LAST_MS)


def check_aware(moment: datetime, what: str = "") -> datetime:
    """The same time. Raises NoTimeZone (a ValueError) for one without a time zone, TypeError for what is no time.

    `what` names the parameter in the complaint.
    """
    if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass anything
        raise TypeError(f"{what or 'a time'} is a datetime with a time zone, not {moment!r:.200}")
    if moment.utcoffset() is None:
        text = moment.replace(tzinfo=None).isoformat()
        raise NoTimeZone(f"{what} {text} has no time zone; write {text}Z or +02:00".lstrip())
    return moment


def parse_moment(text: str) -> datetime:
    """The time of an ISO 8601 text. Raises ValueError for what is none, NoTimeZone for one without a time zone."""
    return check_aware(datetime.fromisoformat(text))


def span_ms(span: timedelta | float) -> int:
    """Milliseconds of a duration given as `timedelta` or seconds."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    return round(seconds * 1000)
