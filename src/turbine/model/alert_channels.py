"""Alert channels as people see them: never with the whole URL, which holds keys and passwords. And when they rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from turbine.cron import on_the_wall, zone_of
from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a channel is not to be disturbed: `QuietHours("22:00", "07:00", "Europe/Berlin")`.

    From `start` up to `end` by the clock on the wall, over midnight when the end is not after the start; the same time
    twice is a whole day.
    """

    start: str
    """Hours and minutes, such as `22:00`."""
    end: str
    timezone: str
    """An IANA name."""
    weekdays: Sequence[str] = ()
    """The days on which they begin, of mon tue wed thu fri sat sun; without any, each day."""
    urgent: Sequence[str] = ()
    """Events that are told all the same."""

    __pydantic_config__ = DESCRIBED

    def until(self, at: datetime) -> datetime | None:
        """When the quiet of a time (aware) is over, in UTC; None when it is not quiet then."""
        zone = zone_of(self.timezone)
        if not self._reigns(at.astimezone(zone)):
            return None
        today = at.astimezone(zone).date()
        # Quiet hours may follow upon each other without a gap, but not for a week: `quiet_json` refuses that.
        ends = (self._end(today + timedelta(days), zone, fold) for days in range(9) for fold in (0, 1))
        return min(end for end in ends if end > at and not self._reigns(end.astimezone(zone)))

    def _reigns(self, local: datetime) -> bool:
        now, start, end = local.time().replace(fold=0), time.fromisoformat(self.start), time.fromisoformat(self.end)
        if start < end:
            return start <= now < end and self._begin_on(local.date())
        return (now >= start and self._begin_on(local.date())) or (
            now < end and self._begin_on(local.date() - timedelta(1))
        )

    def _begin_on(self, day: date) -> bool:
        return not self.weekdays or WEEKDAYS[day.weekday()] in self.weekdays

    def _end(self, day: date, zone: tzinfo, fold: int) -> datetime:
        """When the clock shows the end on a day, the first or the second time; where it skips it, when it has."""
        shown = datetime.combine(day, time.fromisoformat(self.end))
        first = on_the_wall(shown, zone)
        return (first.replace(fold=1) if fold and first.time() == shown.time() else first).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class AlertChannelRecord:
    """A notification URL for people. Times are aware UTC datetimes."""

    id: str
    name: str
    url: str
    """Masked: the scheme, and `***` for the rest."""
    events: list[str]
    """What it hears of by itself; without any it hears of messages only that are sent to it by name."""
    enabled: bool
    created: Moment
    updated: Moment
    workflows: list[str] = field(default_factory=list[str])
    """The workflows whose events it hears of: names, in which `*` is anything; without any, all."""
    quiet: QuietHours | None = None
    """When its alerts wait."""

    __pydantic_config__ = DESCRIBED


def masked(url: str) -> str:
    """A URL of which only the scheme can be read."""
    return f"{url.partition('://')[0]}://***"
