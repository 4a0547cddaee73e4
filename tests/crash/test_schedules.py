"""Many executors and one clock: each tick of a schedule starts one run, through changes of the clock and deaths."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

import turbine
from turbine import Runtime, Schedule
from turbine.testing import VirtualClock

pytestmark = pytest.mark.crash

BERLIN = ZoneInfo("Europe/Berlin")
SPRING = datetime(2026, 3, 27, 12, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 27, 12, tzinfo=UTC)

ran: list[tuple[str, datetime]] = []


@turbine.workflow(triggerable=True)
async def wall(tick: datetime) -> None:
    ran.append(("wall", tick))


@turbine.workflow(triggerable=True)
async def interval(tick: datetime) -> None:
    ran.append(("interval", tick))


@pytest.fixture
async def three(database_url: str) -> AsyncIterator[tuple[VirtualClock, list[Runtime]]]:
    """Three executors that share a database and a clock."""
    ran.clear()
    clock = VirtualClock(SPRING)
    runtimes = [
        Runtime(database_url, workflows=[wall, interval], clock=clock, shutdown_timeout=5, gc_retention=None)
        for _ in range(3)
    ]
    await asyncio.gather(*(rt.launch() for rt in runtimes))
    yield clock, runtimes
    await asyncio.gather(*(rt.shutdown() for rt in runtimes))


async def calm(runtimes: list[Runtime]) -> None:
    """Until none of them has anything to do."""
    for _ in range(2):
        for rt in runtimes:
            await rt.wait_idle()


def walls() -> list[datetime]:
    """Each day once at half past two in Berlin; at three, when that time is skipped."""
    days = [SPRING.date() + timedelta(days=day) for day in range(1, (AUTUMN - SPRING).days + 1)]
    times = {day: (3, 0) if day == datetime(2026, 3, 29).date() else (2, 30) for day in days}  # noqa: DTZ001
    return [datetime(day.year, day.month, day.day, *times[day], tzinfo=BERLIN).astimezone(UTC) for day in days]


def intervals() -> list[datetime]:
    """All the twenty minutes during which clocks in Berlin show two o'clock: none in spring, six in autumn."""
    steps = (AUTUMN - SPRING) // timedelta(minutes=20)
    moments = (SPRING + timedelta(minutes=20) * step for step in range(steps + 1))
    return [moment for moment in moments if moment.astimezone(BERLIN).hour == 2]


@pytest.mark.crash
@pytest.mark.parametrize("leaps", [1, 40])
async def test_three_executors_start_each_tick_once_while_the_clock_leaps_over_both_changes(three, leaps: int):
    clock, runtimes = three
    await runtimes[0].schedules.create(wall, Schedule.cron("30 2 * * *", "Europe/Berlin", catch_up="none"))
    await runtimes[1].schedules.create(interval, Schedule.cron("*/20 2 * * *", "Europe/Berlin", catch_up="none"))
    await calm(runtimes)

    for _ in range(leaps):
        clock.move_to(clock.now_ms() + (AUTUMN - SPRING) // timedelta(milliseconds=1) // leaps)
        await calm(runtimes)
    clock.move_to(round(AUTUMN.timestamp() * 1000))
    await calm(runtimes)

    assert sorted([("wall", tick) for tick in walls()] + [("interval", tick) for tick in intervals()]) == sorted(ran)


@pytest.mark.crash
async def test_the_death_of_one_that_takes_ticks_loses_none(three):
    clock, runtimes = three
    await runtimes[0].schedules.create(interval, Schedule.cron("*/20 2 * * *", "Europe/Berlin", catch_up="none"))
    await calm(runtimes)

    clock.move_to(round(AUTUMN.timestamp() * 1000))
    await asyncio.sleep(0)
    await runtimes[2]._die()
    for rt in runtimes[:2]:
        await rt.wait_idle()
    while (await runtimes[0].list(status=["PENDING", "ENQUEUED"], limit=1)).items:  # noqa: ASYNC110 - a death, real time
        await asyncio.sleep(0.05)

    assert set(intervals()) == {tick for _, tick in ran}
    page = await runtimes[0].list(limit=5000)
    assert len(intervals()) == len(page.items)
