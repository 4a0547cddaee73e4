"""Schedules, which start runs at given times."""

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
"""How far back the last ticks are searched."""
_JITTER_MAX = timedelta(days=3650)

Choice = TypeVar("Choice", bound=StrEnum)


class ScheduleType(StrEnum):
    """The type of a schedule: declared in code, created with a cron expression, or created for a single time."""

    COMPILE = "compile"
    CRON = "cron"
    ONCE = "once"


class CatchUp(StrEnum):
    """Which of the missed ticks are made up."""

    LAST = "last"
    NONE = "none"
    ALL = "all"


class Overlap(StrEnum):
    """The effect of a tick while the run of the previous tick has not ended."""

    START = "start"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times at which runs start. Use `Schedule.cron(…)` or `Schedule.once(…)`."""

    type: ScheduleType
    cron_expression: str | None = None
    timezone: str | None = None
    """An IANA name; None is `Config.timezone` of the runtime that starts the run."""
    jitter: timedelta | None = None
    """Each run starts with a random delay below this; its tick and its id do not change."""
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
        """At each tick of a cron expression: five fields, six with seconds first, or a macro such as `@hourly`.

        `jitter` is a timedelta or seconds. `catch_up` says which ticks are made up that were missed because no process
        was running: the `last` one, `none`, or `all` (the newest 1000). `overlap` says what a tick does while the run
        of the previous tick has not ended: `start` another, or `skip` it. Raises ValidationFailed.
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
        """At a single time, or at once if it has passed. Raises ValidationFailed for a time without a time zone."""
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
        """Yields the ticks after a time, ascending; `timezone` is the default for a schedule without one."""
        if self.scheduled_at is not None:
            at_ms = to_ms(self.scheduled_at)
            return iter([at_ms] if at_ms > after_ms else [])
        return Cron(self.cron_expression or "", self.timezone or timezone).ticks(after_ms)

    def latest(self, until_ms: int, count: int, timezone: str) -> list[int]:
        """Returns the last ticks up to a time, at most `count`, ascending."""
        if self.scheduled_at is not None:
            at_ms = to_ms(self.scheduled_at)
            return [at_ms] if at_ms <= until_ms else []
        cron = Cron(self.cron_expression or "", self.timezone or timezone)
        return cron.latest(until_ms - LOOK_BACK_MS, until_ms, count)

    def first_ms(self, now_ms: int, timezone: str) -> int | None:
        """Returns the next tick; the time of `once` also if it has passed."""
        if self.scheduled_at is not None:
            return to_ms(self.scheduled_at)
        return next(self.ticks(now_ms, timezone), None)

    def __str__(self) -> str:
        return self.cron_expression or str(self.scheduled_at)


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule. Times are in UTC.

    A schedule for a single time stays after its run has started, with `enabled` False.
    """

    id: str
    name: str
    """Part of the ids of its runs: `sched-<name>-2026-03-27T03:00:00Z`."""
    workflow: str
    workflow_fqn: str
    type: ScheduleType
    enabled: bool
    created: Moment
    updated: Moment
    input: Any = None
    """The input of its runs; None if they get the tick, or nothing."""
    cron_expression: str | None = None
    timezone: str | None = None
    jitter: Seconds | None = None
    catch_up: CatchUp = CatchUp.LAST
    scheduled_at: Moment | None = None
    next_at: Moment | None = None
    last_at: Moment | None = None
    """The last tick that was processed."""
    last_workflow_id: str | None = None
    last_error: str | None = None
    """Why the last tick started no run; None if it did."""
    overlap: Overlap = Overlap.START
    reason: str | None = None
    """Why it was disabled."""

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Backfill:
    """The result of starting the runs for the ticks of a past period."""

    ticks: list[Moment]
    """The ticks in the period, ascending."""
    started: list[str]
    """The ids of the runs that were started, or in a dry run would be started."""
    existing: list[str]
    """The ids of the runs that existed already."""
    failed: dict[str, str]
    """The errors of the runs that could not be started, by id."""

    __pydantic_config__ = DESCRIBED


def tick_text(tick_ms: int) -> str:
    """Formats a tick as in ids and inputs of runs: `2026-03-27T03:00:00Z`."""
    text = to_datetime(tick_ms).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{tick_ms % 1000:03}Z" if tick_ms % 1000 else f"{text}Z"


def run_id(name: str, tick_ms: int) -> str:
    """Returns the id of the run of a tick."""
    return f"sched-{name}-{tick_text(tick_ms)}"


def _jitter(given: timedelta | float) -> timedelta:
    """Checks a jitter, of at most ten years."""
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)  # pyright: ignore[reportUnnecessaryIsInstance] - users pass anything
    if not is_number or not 0 <= seconds <= _JITTER_MAX.total_seconds():
        message = f"must be a timedelta or seconds, from 0 to {_JITTER_MAX.days} days, not {given!r:.100}"
        raise _wrong("jitter", message, "jitter")
    return timedelta(seconds=seconds)


def _one_of(kind: type[Choice], field: str, text: str) -> Choice:
    try:
        return kind(text)
    except ValueError:
        raise _wrong(field, f"must be one of {', '.join(kind)}, not {text!r}", "enum") from None


def _wrong(field: str, message: str, kind: str) -> ValidationFailed:
    return ValidationFailed(what="The schedule", errors=[{"path": [field], "message": message, "type": kind}])
