"""Each tick of a schedule starts one run, though clocks leap, processes are killed and processes are stopped.

What happened is read from the rows and the journal.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
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
PATIENCE_SECONDS = 120
LAST_RESORT = 120
STOPPED_SECONDS = 8


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


@pytest.mark.timeout(300)
def test_ticks_of_a_time_in_which_the_only_process_was_stopped_are_made_up_as_each_schedule_says(
    crew: Crew, database_url: str
) -> None:
    worker = crew.hire(database_url, program="schedule_worker.py", now_ms=None).wait_ready()
    rows = Rows(database_url)
    names = ("last", "none", "all")
    for catch_up in names:
        worker.ask("plan", workflow="plain", cron="* * * * * *", zone="UTC", catch_up=catch_up, name=catch_up)
    wait_for(lambda: all(len(seconds_of(rows, name)) >= 2 for name in names), LAST_RESORT)

    worker.stop()
    stopped = time.time()
    wait_for(lambda: time.time() > stopped + STOPPED_SECONDS, LAST_RESORT)
    resumed = time.time()
    worker.go_on()
    wait_for(lambda: all(seconds_of(rows, name)[-1] > resumed + 3 for name in names), LAST_RESORT)
    worker.leave()

    assert [] == gaps(seconds_of(rows, "all"))
    for name in ("last", "none"):
        # The newest one that came is made up for by `last`; it may have come after the process went on.
        assert [] == [tick for tick in seconds_of(rows, name) if stopped < tick < int(resumed)], name


@pytest.mark.timeout(300)
def test_a_process_that_was_awake_takes_the_ticks_while_another_one_was_stopped(crew: Crew, database_url: str) -> None:
    team = [crew.hire(database_url, program="schedule_worker.py", now_ms=None) for _ in range(2)]
    sleeper, _ = (worker.wait_ready() for worker in team)
    rows = Rows(database_url)
    sleeper.ask("plan", workflow="plain", cron="* * * * * *", zone="UTC")
    while True:
        # Between two ticks: one that is stopped in the middle of a commit keeps all others from writing on SQLite.
        wait_for(lambda: len(seconds_of(rows, "plain")) >= 2 and 0.4 < time.time() % 1 < 0.6, LAST_RESORT)
        sleeper.stop()
        if has_later_tick(rows, time.time() + 1, 4):
            break
        sleeper.go_on()
        has_later_tick(rows, time.time() + 1, LAST_RESORT)

    has_later_tick(rows, time.time() + STOPPED_SECONDS, LAST_RESORT)
    sleeper.go_on()
    has_later_tick(rows, time.time() + 3, LAST_RESORT)
    for worker in team:
        worker.leave()

    assert [] == gaps(seconds_of(rows, "plain"))


def has_later_tick(rows: Rows, than: float, seconds: float) -> bool:
    """Whether a tick after a time has its run; it is waited for."""
    wait_for(lambda: seconds_of(rows, "plain")[-1] > than, seconds)
    return seconds_of(rows, "plain")[-1] > than


def seconds_of(rows: Rows, name: str) -> list[int]:
    """The ticks of a schedule that have their run, in seconds, ascending."""
    prefix = f"sched-{name}-"
    ids = [id for id in rows.runs() if id.startswith(prefix)]
    return sorted(round(datetime.fromisoformat(id.removeprefix(prefix)).timestamp()) for id in ids)


def gaps(seconds: list[int]) -> list[tuple[int, int]]:
    """Where ticks of every second are missing: the one before, and the one after."""
    return [(one, other) for one, other in pairwise(seconds) if other != one + 1]


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
