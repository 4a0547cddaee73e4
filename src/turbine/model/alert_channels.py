"""Alert channels, without the secrets of their URLs, and their quiet hours."""

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
    """The hours in which alerts of a channel are held back: `QuietHours("22:00", "07:00", "Europe/Berlin")`.

    From `start` up to `end` by the wall clock, over midnight if `end` is not after `start`; if both are equal, for a
    whole day.
    """

    start: str
    """Hours and minutes, such as `22:00`."""
    end: str
    timezone: str
    """An IANA name."""
    weekdays: Sequence[str] = ()
    """The days on which they begin, of mon tue wed thu fri sat sun; if empty, every day."""
    urgent: Sequence[str] = ()
    """Events that are sent in quiet hours, too."""

    __pydantic_config__ = DESCRIBED

    def until(self, at: datetime) -> datetime | None:
        """Returns the end of the quiet hours at a time (aware), in UTC; None if it is outside of them."""
        zone = zone_of(self.timezone)
        if not self._is_quiet(at.astimezone(zone)):
            return None
        today = at.astimezone(zone).date()
        # Quiet hours may follow each other without a gap, but not for a week: `quiet_json` refuses that.
        ends = (self._end(today + timedelta(days), zone, fold) for days in range(9) for fold in (0, 1))
        return min(end for end in ends if end > at and not self._is_quiet(end.astimezone(zone)))

    def _is_quiet(self, local: datetime) -> bool:
        now, start, end = local.time().replace(fold=0), time.fromisoformat(self.start), time.fromisoformat(self.end)
        if start < end:
            return start <= now < end and self._begin_on(local.date())
        return (now >= start and self._begin_on(local.date())) or (
            now < end and self._begin_on(local.date() - timedelta(1))
        )

    def _begin_on(self, day: date) -> bool:
        return not self.weekdays or WEEKDAYS[day.weekday()] in self.weekdays

    def _end(self, day: date, zone: tzinfo, fold: int) -> datetime:
        """Returns when the wall clock shows the end on a day, for the first or second time, or has skipped it."""
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
    """The events that are sent to it; if empty, it gets only messages that are sent to it by name."""
    enabled: bool
    created: Moment
    updated: Moment
    workflows: list[str] = field(default_factory=list[str])
    """Names of workflows whose events are sent to it, in which `*` matches anything; if empty, all."""
    quiet: QuietHours | None = None
    """The hours in which its alerts are held back."""

    __pydantic_config__ = DESCRIBED


def masked(url: str) -> str:
    """Masks everything of a URL except the scheme."""
    return f"{url.partition('://')[0]}://***"
