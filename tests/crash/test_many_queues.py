"""Processes that share queues of one Postgres, and none of which dies: no deadlock, no eviction, every body once."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from crew import Crew, wait_for
from evidence import Rows
from journal import BEGIN

pytestmark = [pytest.mark.crash, pytest.mark.alone, pytest.mark.postgres]

LIMITS: dict[str, Any] = {"worker_concurrency": 20, "global_concurrency": 60, "rate": (100_000, 1.0)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("limits", [LIMITS, {}], ids=["limits", "no limits"])
@pytest.mark.parametrize(("processes", "queues"), [(2, 2), (4, 4), (6, 1)])
def test_processes_on_the_same_queues_never_wait_for_each_other_in_a_circle(
    crew: Crew, postgres_url: str, processes: int, queues: int, limits: dict[str, Any]
) -> None:
    drain(crew, postgres_url, processes=processes, queues=queues, limits=limits, runs=800)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("limits", [LIMITS, {}], ids=["limits", "no limits"])
@pytest.mark.parametrize("queues", [1, 4, 16])
@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_four_thousand_runs_are_drained_by_any_number_of_processes_from_any_number_of_queues(
    crew: Crew, postgres_url: str, processes: int, queues: int, limits: dict[str, Any]
) -> None:
    drain(crew, postgres_url, processes=processes, queues=queues, limits=limits, runs=4000)


def drain(crew: Crew, url: str, *, processes: int, queues: int, limits: dict[str, Any], runs: int) -> None:
    team = [crew.hire(url, program="queues_worker.py", queues=queues, limits=dict(limits)) for _ in range(processes)]
    for worker in team:
        worker.wait_ready()
    rows = Rows(url)
    began = time.monotonic()
    team[0].ask("enqueue", runs=runs)
    wait_for(lambda: not rows.still_open(), 240)
    print(f"{processes} processes, {queues} queues: {runs / (time.monotonic() - began):.0f} runs/s")
    open_runs = rows.still_open()
    # Before anybody leaves in good order.
    evicted = rows("select executor_id, taken_by from pt_past_executors where taken_by is not null")
    for worker in team:
        worker.leave()

    assert [] == open_runs, f"stuck:\n{crew.logs()}"
    assert [] == evicted, crew.logs()
    assert {f"job-{number}": ("SUCCESS", str(number)) for number in range(runs)} == rows.runs()
    begun = Counter(mark.run for mark in crew.marks(BEGIN))
    assert {f"job-{number}": 1 for number in range(runs)} == begun
    # The statistics of a backend that has ended are there at once.
    assert [(0,)] == rows("select deadlocks from pg_stat_database where datname = current_database()")
    assert [] == crew.tracebacks()


@pytest.mark.timeout(300)
def test_parents_children_and_messages_of_several_processes_never_wait_for_each_other_in_a_circle(
    crew: Crew, postgres_url: str
) -> None:
    team = [crew.hire(postgres_url, program="queues_worker.py", queues=4, limits={}) for _ in range(4)]
    for worker in team:
        worker.wait_ready()
    asked = [worker.post("raise_families", runs=40, prefix=f"family-{n}") for n, worker in enumerate(team)]
    answers = [worker.answer(number) for worker, number in zip(team, asked, strict=True)]
    rows = Rows(postgres_url)
    evicted = rows("select executor_id, taken_by from pt_past_executors where taken_by is not null")
    for worker in team:
        worker.leave()

    assert [40] * 4 == answers
    assert [] == evicted, crew.logs()
    assert [(0,)] == rows("select deadlocks from pg_stat_database where datname = current_database()")
    assert [] == crew.tracebacks()
