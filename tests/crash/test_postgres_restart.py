"""Postgres goes away under load, in good order and in none: runs wait for it and go on, and nothing is lost."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import pytest
from crew import Crew
from evidence import Rows
from journal import ACKNOWLEDGED, BEGIN

pytestmark = [pytest.mark.crash, pytest.mark.postgres, pytest.mark.alone]

RESTARTS = 3
SECONDS_AWAY = (0.1, 1.5)
"""Shorter than the lease of those who wait, and longer."""


@pytest.mark.timeout(120)
def test_runs_wait_for_a_postgres_that_is_away_and_nothing_is_lost(
    crew: Crew, own_postgres: Any, chance: random.Random
) -> None:
    url = own_postgres.url()
    crew.hire(url).wait_ready().leave()
    Rows(url).watch()
    team = [crew.hire(url, lease=1).wait_ready() for _ in range(2)]
    team[0].start("nap", "nap")
    team[0].start("blocking_background", "blocking")
    team[1].start("write_letters", "writer", "reader")
    floods = [worker.post("flood", tag=f"run-{worker.pid}", batch=20, pause=0.03) for worker in team]

    for number in range(RESTARTS):
        time.sleep(chance.uniform(0.5, 1.0))
        if number % 2:
            own_postgres.crash()
        else:
            own_postgres.stop()
        time.sleep(chance.uniform(*SECONDS_AWAY))
        own_postgres.start()
    time.sleep(1)
    for worker, flood in zip(team, floods, strict=True):
        worker.ask("dry_up")
        worker.answer(flood)

    acknowledged = {mark.run for mark in crew.marks(ACKNOWLEDGED)}
    ids = sorted(acknowledged - {"nap", "blocking", "writer"})
    results = team[0].ask("results", ids=ids, timeout=120)
    assert {id_: int(id_.rpartition("-")[2]) ** 2 for id_ in ids} == results
    assert ["nap before", "nap after", "nap at last"] == team[1].result("nap")
    assert "blocking first" == team[1].result("blocking")[0]
    assert 3 == len(team[0].result("writer")[0])
    for worker in team:
        worker.leave()
    print(f"{len(ids)} runs")
    assert 200 < len(ids)
    assert [] == Rows(url)("select id, status from pt_runs where status <> 'SUCCESS'")
    assert [] == Rows(url).rewritten()
    assert [] == crew.tracebacks()
    twice = Counter((mark.run, mark.position, mark.attempt) for mark in crew.marks(BEGIN))
    assert {} == {key: count for key, count in twice.items() if count > 1}, "nobody died, and a body ran twice"
