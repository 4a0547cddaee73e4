"""Three processes on one database, one of which is killed every moment, and thousands of runs."""

from __future__ import annotations

import random
import time

import pytest
from crew import Crew, Worker, wait_for
from evidence import Rows, overlaps
from journal import ACKNOWLEDGED, BEGIN, END, Mark

pytestmark = pytest.mark.crash

PROCESSES = 3
SECONDS = 7.0
SECONDS_LONG = 600.0
PAUSE_BETWEEN_KILLS = (0.1, 1.2)
BATCH = 20
PAUSE_BETWEEN_BATCHES = 0.03
PAUSE_BETWEEN_BATCHES_LONG = 0.3
"""So that ten minutes leave a journal that fits into memory."""
SECONDS_TO_END = 30.0


@pytest.mark.timeout(150)
def test_three_processes_killed_at_random_lose_nothing_and_run_nothing_twice(
    crew: Crew, database_url: str, chance: random.Random
) -> None:
    kill_one_of_three(crew, database_url, chance, SECONDS, PAUSE_BETWEEN_BATCHES)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_processes_killed_at_random_for_ten_minutes(crew: Crew, database_url: str, chance: random.Random) -> None:
    kill_one_of_three(crew, database_url, chance, SECONDS_LONG, PAUSE_BETWEEN_BATCHES_LONG)


def kill_one_of_three(crew: Crew, url: str, chance: random.Random, seconds: float, pause: float) -> None:
    def hire() -> Worker:
        return crew.hire(url, lease=2)

    def flood(worker: Worker) -> None:
        worker.wait_ready().post("flood", tag=f"run-{worker.pid}", batch=BATCH, pause=pause)

    hire().wait_ready().leave()
    Rows(url).watch()
    team = [hire() for _ in range(PROCESSES)]
    for worker in team:
        flood(worker)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(chance.uniform(*PAUSE_BETWEEN_KILLS))
        victim = team.pop(chance.randrange(PROCESSES))
        victim.kill()
        team.append(hire())
        flood(team[-1])
    for worker in team:
        worker.ask("dry_up")

    rows = Rows(url)
    wait_for(lambda: not rows.still_open(), SECONDS_TO_END)
    open_runs = rows.still_open()
    for worker in team:
        worker.leave()

    marks = crew.marks()
    killed = {worker.pid: worker.killed_ns for worker in crew.workers if worker.killed_ns is not None}
    acknowledged = {mark.run for mark in marks if mark.kind == ACKNOWLEDGED}
    runs = rows.runs()
    print(f"{len(runs)} runs, {len(acknowledged)} acknowledged, {len(killed)} kills")
    assert [] == open_runs, f"stuck:\n{crew.logs()}"
    assert set() == acknowledged - runs.keys(), "lost"
    wrong = {id_: row for id_, row in runs.items() if row != ("SUCCESS", str(int(id_.rpartition("-")[2]) ** 2))}
    assert {} == wrong
    assert [] == overlaps(marks, killed)
    assert [] == rows.rewritten()
    assert 1000 < len(runs)
    assert [] == crew.tracebacks()


def test_bodies_of_one_run_in_two_processes_at_once_are_seen() -> None:
    def mark(kind: str, run: str, position: str, process: int, at_ns: int) -> Mark:
        return Mark(kind, run, position, 1, 0, process, at_ns)

    apart = [mark(BEGIN, "run", "0", 1, 10), mark(END, "run", "0", 1, 20), mark(BEGIN, "run", "1", 2, 30)]
    assert [] == overlaps(apart, {2: 40})
    died_before = [mark(BEGIN, "run", "0", 1, 10), mark(BEGIN, "run", "0", 2, 30), mark(END, "run", "0", 2, 40)]
    assert [] == overlaps(died_before, {1: 25})
    assert [(died_before[0], died_before[1])] == overlaps(died_before, {1: 35})
    same_process = [mark(BEGIN, "run", "0", 1, 10), mark(BEGIN, "run", "1", 1, 11)]
    assert [] == overlaps(same_process, {1: 20})
