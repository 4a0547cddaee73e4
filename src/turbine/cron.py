"""Cron expressions and their ticks in a time zone, also when daylight saving time begins or ends.

An expression has five fields (minute, hour, day of month, month, day of week), six with seconds first, or is a macro
such as `@hourly`. The grammar and the search are those of cronsim, which follows Debian's cron: if both day of month
and day of week are restricted, one of them must match; if either begins with `*`, both must.

Clock changes follow the rules of Vixie's cron. If minute and hour are both given, they mean wall-clock time: a tick in
a skipped hour comes right after it, and a tick in a repeated hour comes once. If either begins with `*`, ticks follow
elapsed time.

Ticks are epoch milliseconds. They do not depend on where a search begins, so all processes find the same ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from turbine.clock import to_datetime
from turbine.errors import ValidationFailed

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MINUTE = timedelta(minutes=1)
_FIRST_WINDOW_MS = 60_000


class Cron:
    """The ticks of a cron expression in a time zone."""

    def __init__(self, text: str, zone: str = "UTC") -> None:
        """Raises ValidationFailed for an invalid expression or zone, and for an expression that never ticks."""
        self.text = text
        self._zone = zone_of(zone)
        self._fields = _fields(text)
        minutes, hours = self._fields.split()[-5:-3]
        self._is_on_the_wall = self._zone is UTC or not (minutes.startswith("*") or hours.startswith("*"))

    def ticks(self, after_ms: int) -> Iterator[int]:
        """Yields all ticks after a time, in ascending order."""
        from cronsim import CronSim

        begin = to_datetime(after_ms // 1000 * 1000).astimezone(self._zone)
        if self._is_on_the_wall:
            begin = begin.replace(tzinfo=None, fold=0)
        last = after_ms
        for moment in CronSim(self._fields, begin):
            tick = round((on_the_wall(moment, self._zone) if self._is_on_the_wall else moment).timestamp()) * 1000
            # Ticks of a skipped hour coincide at its end, and those of a repeated hour are in the past.
            if tick > last:
                last = tick
                yield tick

    def next_ms(self, after_ms: int) -> int | None:
        """Returns the first tick after a time; None if there is none within fifty years."""
        return next(self.ticks(after_ms), None)

    def latest(self, after_ms: int, until_ms: int, count: int) -> list[int]:
        """Returns the last `count` ticks after one time and up to another, ascending; fast for any distance."""
        window_ms = _FIRST_WINDOW_MS
        while True:
            begin_ms = max(after_ms, until_ms - window_ms)
            ticks = deque(takewhile(lambda tick: tick <= until_ms, self.ticks(begin_ms)), maxlen=count)
            if len(ticks) == count or begin_ms == after_ms:
                return list(ticks)
            window_ms *= 4


def on_the_wall(moment: datetime, zone: tzinfo) -> datetime:
    """Returns the first time at which the wall clock of a zone shows this time, or has skipped it."""
    shown = moment.replace(tzinfo=zone)
    if not _exists(shown):
        shown = shown.replace(second=0)
        while not _exists(shown):
            shown += _MINUTE
    return shown


def check_cron(text: str) -> str:
    """Returns the stripped expression. Raises ValidationFailed if it is invalid or never ticks."""
    _fields(text)
    return text.strip()


def describe(text: str) -> str:
    """Describes a cron expression in English. Raises ValidationFailed."""
    from cronsim import CronSim

    return CronSim(_fields(text), datetime(2000, 1, 1)).explain()  # noqa: DTZ001 - words have no zone


def zone_of(name: str) -> tzinfo:
    """Returns the time zone of an IANA name. Raises ValidationFailed if there is none."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError) as error:
        message = f"there is no time zone {name!r}; use a name of the IANA database, for example Europe/Berlin"
        raise ValidationFailed(
            what="The time zone", errors=[{"path": [], "message": message, "type": "timezone"}]
        ) from error


@lru_cache(maxsize=1024)
def _fields(text: str) -> str:
    """Returns the five or six fields of an expression, with macros expanded."""
    from cronsim import CronSim, CronSimError

    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass anything
        raise _invalid(text, "it must be a string")
    fields = " ".join(text.split())
    if fields.startswith("@"):
        if fields.lower() not in MACROS:
            raise _invalid(text, f"there is no such macro; macros are {', '.join(MACROS)}")
        fields = MACROS[fields.lower()]
    try:
        first = next(CronSim(fields, datetime(2000, 1, 1)), None)  # noqa: DTZ001 - on any wall
    except CronSimError as error:
        raise _invalid(text, f"{error}; write five fields, or six with seconds first, or a macro") from error
    if first is None:
        raise _invalid(text, "no day matches it, so it would never tick")
    return fields


def _invalid(text: object, why: str) -> ValidationFailed:
    return ValidationFailed(what=f"The cron expression {text!r}", errors=[{"path": [], "message": why, "type": "cron"}])


def _exists(shown: datetime) -> bool:
    return shown.astimezone(UTC).astimezone(shown.tzinfo).replace(tzinfo=None, fold=0) == shown.replace(tzinfo=None)


def is_cron(text: str) -> bool:
    """Whether this is a valid cron expression."""
    return _holds(check_cron, text)


def is_zone(name: str) -> bool:
    """Whether there is a time zone with this name."""
    return _holds(zone_of, name)


def _holds(check: Callable[[str], object], text: str) -> bool:
    try:
        check(text)
    except ValidationFailed:
        return False
    return True
