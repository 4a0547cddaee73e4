"""Three processes, whose clocks leap over both changes of daylight saving time: each tick of a schedule starts one run.

The parent tells each process what time it is, forward and back. What happened is read from the rows and the journal.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from crew import Crew, Worker, wait_for
from evidence import Rows, overlaps, under_way
from journal import BEGIN, END
from schedule_worker import HOLD

from turbine.clock import to_ms

pytestmark = pytest.mark.crash

BERLIN = ZoneInfo("Europe/Berlin")
BEGINNING = datetime(2026, 3, 27, 12, tzinfo=UTC)
SPRING = date(2026, 3, 29)
MOMENTS = (
    datetime(2026, 3, 28, 1, 5, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 0, tzinfo=UTC),  # after 1:59:59 it is three o'clock in Berlin
    datetime(2026, 3, 28, 22, 0, tzinfo=UTC),  # all are set back, over the change
    datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
    datetime(2026, 3, 30, 12, 0, tzinfo=UTC),
    datetime(2026, 10, 24, 23, 59, tzinfo=UTC),  # a whole summer at once
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # half past two in Berlin
    datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 5, tzinfo=UTC),  # set back, while the wall shows the same hour again
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),  # half past two for the second time
)
"""What the clocks show, one after the other."""
END_OF_ALL = datetime(2026, 11, 27, 12, tzinfo=UTC)
PATIENCE_SECONDS = 20


def test_three_processes_start_each_tick_once_though_clocks_leap_over_both_changes_and_one_is_killed(
    crew: Crew, database_url: str, chance: random.Random
) -> None:
    def hire() -> Worker:
        return crew.hire(database_url, program="schedule_worker.py", now_ms=to_ms(BEGINNING))

    team = [hire() for _ in range(3)]
    for worker in team:
        worker.wait_ready()
    rows = Rows(database_url)
    rows.watch()
    team[0].ask("plan", workflow="wall", cron="30 2 * * *", zone=BERLIN.key)
    team[1].ask("plan", workflow="interval", cron="*/20 2 * * *", zone=BERLIN.key)

    for moment in MOMENTS:
        chance.shuffle(team)
        move(team, moment)
    hold = crew.folder / HOLD
    hold.touch()
    team[0].post("move", now_ms=to_ms(END_OF_ALL))
    wait_for(lambda: holders(crew, team), PATIENCE_SECONDS)
    victim = holders(crew, team)[0]
    victim.kill()
    team.remove(victim)
    hold.unlink()
    move(team, END_OF_ALL)
    wait_for(lambda: not rows.still_open(), PATIENCE_SECONDS)
    open_runs = rows.still_open()
    for worker in team:
        worker.leave()

    assert [] == open_runs, f"stuck:\n{crew.logs()}"
    assert {run_id(name, tick): ("SUCCESS", f'"{tick.isoformat()}"') for name, tick in ticks()} == rows.runs()
    assert [] == rows.rewritten()
    marks = crew.marks()
    begun = Counter(mark.run for mark in marks if mark.kind == BEGIN)
    twice = {run for run, count in begun.items() if count > 1}
    assert rows.runs().keys() == {mark.run for mark in marks if mark.kind == END}
    assert set() < under_way(marks, victim.pid) <= twice <= {mark.run for mark in marks if mark.process == victim.pid}
    assert victim.killed_ns is not None
    assert [] == overlaps(marks, {victim.pid: victim.killed_ns})
    assert [] == crew.tracebacks()


def move(team: list[Worker], moment: datetime) -> None:
    """Set all clocks, and wait until everybody has taken what he finds."""
    numbers = [worker.post("move", now_ms=to_ms(moment)) for worker in team]
    for worker, number in zip(team, numbers, strict=True):
        worker.answer(number)


def holders(crew: Crew, team: list[Worker]) -> list[Worker]:
    """Those in whom a run is under way."""
    return [worker for worker in team if under_way(crew.marks(), worker.pid)]


def ticks() -> list[tuple[str, datetime]]:
    """Each day once at half past two in Berlin, at three where that time is skipped; and when it is two o'clock there
    and the minutes are 0, 20 or 40: never in the hour that is skipped, twice in the one that is repeated."""
    days = [BEGINNING.date() + timedelta(days=day) for day in range(1, (END_OF_ALL - BEGINNING).days + 1)]
    walls = [
        datetime(day.year, day.month, day.day, *((3, 0) if day == SPRING else (2, 30)), tzinfo=BERLIN) for day in days
    ]
    thirds = (BEGINNING + timedelta(minutes=20) * count for count in range(len(days) * 72))
    intervals = [moment for moment in thirds if moment.astimezone(BERLIN).hour == 2]
    return [("wall", moment.astimezone(UTC)) for moment in walls] + [("interval", moment) for moment in intervals]


def run_id(name: str, tick: datetime) -> str:
    return f"sched-{name}-{tick:%Y-%m-%dT%H:%M:%SZ}"
