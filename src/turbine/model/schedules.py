"""When runs start by themselves: what is asked for, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self, TypeVar

from turbine.clock import check_aware, to_datetime, to_ms
from turbine.cron import Cron, check_cron, zone_of
from turbine.errors import ValidationFailed
from turbine.model.records import DESCRIBED
from turbine.model.times import Moment, Seconds

LOOK_BACK_MS = 400 * 24 * 3600 * 1000
"""How far back the last ticks are looked for."""
_JITTER_MAX = timedelta(days=3650)

Choice = TypeVar("Choice", bound=StrEnum)


class ScheduleType(StrEnum):
    """Where a schedule comes from: declared in code, or made by somebody, for many times or for one."""

    COMPILE = "compile"
    CRON = "cron"
    ONCE = "once"


class CatchUp(StrEnum):
    """Which of the ticks are made up for that came while no process was there."""

    LAST = "last"
    NONE = "none"
    ALL = "all"


class Overlap(StrEnum):
    """What a tick does while the run of the tick before is not over."""

    START = "start"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to start runs. Made by `Schedule.cron(…)` or `Schedule.once(…)`."""

    type: ScheduleType
    cron_expression: str | None = None
    timezone: str | None = None
    """An IANA name; None is `Config.timezone` of the runtime that takes the schedule."""
    jitter: timedelta | None = None
    """Each run starts a random while later, shorter than this; its tick and its id stay."""
    catch_up: CatchUp = CatchUp.LAST
    scheduled_at: datetime | None = None
    overlap: Overlap = Overlap.START

    @classmethod
    def cron(
        cls,
        text: str,
        timezone: str | None = None,
        jitter: timedelta | float | None = None,
        catch_up: str = "last",
        overlap: str = "start",
    ) -> Self:
        """At each tick of a cron text: five fields, six with seconds first, or a macro such as `@hourly`.

        `jitter` is a timedelta or seconds. `catch_up` says which of the ticks that nobody was there for are made up:
        the `last` one, `none`, or `all` (the newest 1000). `overlap` says what a tick does while the run of the tick
        before is not over: `start` another, or `skip` it. Raises ValidationFailed.
        """
        return cls(
            ScheduleType.CRON,
            cron_expression=text,
            timezone=None if timezone is None else str(timezone),
            jitter=None if jitter is None else _jitter(jitter),
            catch_up=_one_of(CatchUp, "catch_up", catch_up),
            overlap=_one_of(Overlap, "overlap", overlap),
        )

    @classmethod
    def once(cls, at: datetime) -> Self:
        """At one time, at once when it has passed. Raises ValidationFailed for a time without a zone."""
        return cls(ScheduleType.ONCE, scheduled_at=at)

    def __post_init__(self) -> None:
        if self.type is ScheduleType.ONCE:
            try:
                check_aware(self.scheduled_at)  # pyright: ignore[reportArgumentType] - users pass anything
            except (TypeError, ValueError) as error:
                raise _wrong("scheduled_at", str(error), "timezone_aware") from None
        else:
            object.__setattr__(self, "cron_expression", check_cron(self.cron_expression or ""))
            if self.timezone is not None:
                zone_of(self.timezone)
        if self.jitter is not None:
            object.__setattr__(self, "jitter", _jitter(self.jitter))

    def ticks(self, after_ms: int, timezone: str) -> Iterator[int]:
        """The ticks after a time, ascending; `timezone` is for a schedule without one."""
        if self.scheduled_at is not None:
            at_ms = to_ms(self.scheduled_at)
            return iter([at_ms] if at_ms > after_ms else [])
        return Cron(self.cron_expression or "", self.timezone or timezone).ticks(after_ms)

    def latest(self, until_ms: int, count: int, timezone: str) -> list[int]:
        """The last ticks up to a time, at most so many, ascending."""
        if self.scheduled_at is not None:
            at_ms = to_ms(self.scheduled_at)
            return [at_ms] if at_ms <= until_ms else []
        cron = Cron(self.cron_expression or "", self.timezone or timezone)
        return cron.latest(until_ms - LOOK_BACK_MS, until_ms, count)

    def first_ms(self, now_ms: int, timezone: str) -> int | None:
        """The tick that comes first from now on; the one time of `once` also when it has passed."""
        if self.scheduled_at is not None:
            return to_ms(self.scheduled_at)
        return next(self.ticks(now_ms, timezone), None)

    def __str__(self) -> str:
        return self.cron_expression or str(self.scheduled_at)


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule as its row tells it. Times are aware UTC datetimes.

    One that starts a single run stays as a record when it has done so, with `enabled` False.
    """

    id: str
    name: str
    """Goes into the ids of its runs: `sched-<name>-2026-03-27T03:00:00Z`."""
    workflow: str
    workflow_fqn: str
    type: ScheduleType
    enabled: bool
    created: Moment
    updated: Moment
    input: Any = None
    """What its runs get; None where they get the tick, or nothing."""
    cron_expression: str | None = None
    timezone: str | None = None
    jitter: Seconds | None = None
    catch_up: CatchUp = CatchUp.LAST
    scheduled_at: Moment | None = None
    next_at: Moment | None = None
    last_at: Moment | None = None
    """The last tick that was taken."""
    last_workflow_id: str | None = None
    last_error: str | None = None
    """Why the last tick started no run; None when it did."""
    overlap: Overlap = Overlap.START
    reason: str | None = None
    """Why somebody disabled it."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Backfill:
    """What became of the ticks of a span of time that has passed."""

    ticks: list[Moment]
    """Those in the span, ascending."""
    started: list[str]
    """The ids of the runs that were started; of a dry run those that would be."""
    existing: list[str]
    """The ids of ticks that have their run already."""
    failed: dict[str, str]
    """Why the run of an id could not be started."""

    __pydantic_config__ = DESCRIBED


def tick_text(tick_ms: int) -> str:
    """A tick as it is written in the ids of runs, and given to workflows: `2026-03-27T03:00:00Z`."""
    text = to_datetime(tick_ms).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{tick_ms % 1000:03}Z" if tick_ms % 1000 else f"{text}Z"


def run_id(name: str, tick_ms: int) -> str:
    """The id of the run of a tick."""
    return f"sched-{name}-{tick_text(tick_ms)}"


def _jitter(given: timedelta | float) -> timedelta:
    """A jitter, of at most ten years: a run that starts a random time later than that is a mistake."""
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)  # pyright: ignore[reportUnnecessaryIsInstance] - users pass anything
    if not is_number or not 0 <= seconds <= _JITTER_MAX.total_seconds():
        told = f"must be a timedelta or seconds, from 0 to {_JITTER_MAX.days} days, not {given!r:.100}"
        raise _wrong("jitter", told, "jitter")
    return timedelta(seconds=seconds)


def _one_of(kind: type[Choice], field: str, text: str) -> Choice:
    try:
        return kind(text)
    except ValueError:
        raise _wrong(field, f"must be one of {', '.join(kind)}, not {text!r}", "enum") from None


def _wrong(field: str, told: str, kind: str) -> ValidationFailed:
    return ValidationFailed(what="The schedule", errors=[{"path": [field], "message": told, "type": kind}])
