"""Cron texts and their ticks, in a time zone, through the changes of daylight saving time.

Five fields (minute, hour, day of month, month, day of week), six with seconds first, or a macro such as `@hourly`.
The grammar and the search are cronsim's, which follows Debian's cron: of day of month and day of week one suffices
unless either begins with `*`.

Changes of the clock follow the rules of Vixie's cron, for six fields as for five. Who names minutes and hours means
the clock on the wall: such a tick that falls into the hour that is skipped comes right after it, and one in the hour
that is repeated comes once. Who begins either field with `*` means intervals: these ticks follow elapsed time.

Ticks are epoch milliseconds. Where a search begins changes nothing about which ticks there are, so all processes name
the same ones.
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
    """The ticks of one text in one zone."""

    def __init__(self, text: str, zone: str = "UTC") -> None:
        """Raises ValidationFailed for a text or zone that nobody can read, and for a text that never ticks."""
        self.text = text
        self._zone = zone_of(zone)
        self._fields = _fields(text)
        minutes, hours = self._fields.split()[-5:-3]
        self._is_on_the_wall = self._zone is UTC or not (minutes.startswith("*") or hours.startswith("*"))

    def ticks(self, after_ms: int) -> Iterator[int]:
        """All ticks after a time, ascending."""
        from cronsim import CronSim

        begin = to_datetime(after_ms // 1000 * 1000).astimezone(self._zone)
        if self._is_on_the_wall:
            begin = begin.replace(tzinfo=None, fold=0)
        last = after_ms
        for moment in CronSim(self._fields, begin):
            tick = round((on_the_wall(moment, self._zone) if self._is_on_the_wall else moment).timestamp()) * 1000
            # Several times of the skipped hour come at its end together, and a repeated hour's times are over.
            if tick > last:
                last = tick
                yield tick

    def next_ms(self, after_ms: int) -> int | None:
        """The first tick after a time; None when there is none within fifty years."""
        return next(self.ticks(after_ms), None)

    def latest(self, after_ms: int, until_ms: int, count: int) -> list[int]:
        """The newest `count` ticks after one time and up to another, ascending; quick however far apart these are."""
        window_ms = _FIRST_WINDOW_MS
        while True:
            begin_ms = max(after_ms, until_ms - window_ms)
            found = deque(takewhile(lambda tick: tick <= until_ms, self.ticks(begin_ms)), maxlen=count)
            if len(found) == count or begin_ms == after_ms:
                return list(found)
            window_ms *= 4


def on_the_wall(moment: datetime, zone: tzinfo) -> datetime:
    """The first time at which the clock on the wall of a zone shows this, or has passed it."""
    shown = moment.replace(tzinfo=zone)
    if not _exists(shown):
        shown = shown.replace(second=0)
        while not _exists(shown):
            shown += _MINUTE
    return shown


def check_cron(text: str) -> str:
    """The text without space around it. Raises ValidationFailed for one that nobody can read or that never ticks."""
    _fields(text)
    return text.strip()


def describe(text: str) -> str:
    """A cron text in English words, for people. Raises ValidationFailed."""
    from cronsim import CronSim

    return CronSim(_fields(text), datetime(2000, 1, 1)).explain()  # noqa: DTZ001 - words have no zone


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name. Raises ValidationFailed when there is none of it."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError) as error:
        told = f"there is no time zone {name!r}; use a name of the IANA database, for example Europe/Berlin"
        raise ValidationFailed(
            what="The time zone", errors=[{"path": [], "message": told, "type": "timezone"}]
        ) from error


@lru_cache(maxsize=1024)
def _fields(text: str) -> str:
    """The five or six fields of a text, in cronsim's grammar."""
    from cronsim import CronSim, CronSimError

    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass anything
        raise _unreadable(text, "it is no text")
    fields = " ".join(text.split())
    if fields.startswith("@"):
        if fields.lower() not in MACROS:
            raise _unreadable(text, f"there is no such macro; there are {', '.join(MACROS)}")
        fields = MACROS[fields.lower()]
    try:
        first = next(CronSim(fields, datetime(2000, 1, 1)), None)  # noqa: DTZ001 - on any wall
    except CronSimError as error:
        raise _unreadable(text, f"{error}; write five fields, or six with seconds first, or a macro") from error
    if first is None:
        raise _unreadable(text, "no day fits it, so it would never tick")
    return fields


def _unreadable(text: object, why: str) -> ValidationFailed:
    return ValidationFailed(what=f"The cron text {text!r}", errors=[{"path": [], "message": why, "type": "cron"}])


def _exists(shown: datetime) -> bool:
    return shown.astimezone(UTC).astimezone(shown.tzinfo).replace(tzinfo=None, fold=0) == shown.replace(tzinfo=None)


def is_cron(text: str) -> bool:
    """Whether this is a cron text."""
    return _holds(check_cron, text)


def is_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    return _holds(zone_of, name)


def _holds(check: Callable[[str], object], text: str) -> bool:
    try:
        check(text)
    except ValidationFailed:
        return False
    return True
