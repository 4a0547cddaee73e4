"""One process, killed with SIGKILL again and again at random moments, on both databases.

Each life starts a new wave of runs, joins the wave before it (which may have been cut off half started), and takes up
whatever earlier lives left behind; the last one is left alone until all runs are over. Then the rows must be those of
an undisturbed life.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from crew import Crew, Worker
from evidence import Rows
from journal import BEGIN, Mark, read_marks

pytestmark = pytest.mark.crash

Run = tuple[str, str, list[Any]]

KILLS = 16
KILLS_LONG = 200
SECONDS_TO_LIVE_MAX = 0.3
BEFORE_READY = 0.1
"""The share of kills that hit a process which is still launching."""
PATIENCE = 120


def wave(number: int) -> list[Run]:
    return [
        ("background", f"errand-{number}", []),
        ("nap", f"nap-{number}", []),
        ("write_letters", f"writer-{number}", [f"reader-{number}"]),
        ("lineage", f"family-{number}", []),
        ("doomed", f"doomed-{number}", []),
        ("draw", f"draw-{number}", []),
        ("blocking_background", f"blocking-{number}", []),
    ]


@pytest.mark.timeout(120)
def test_runs_killed_at_random_end_as_if_undisturbed(
    crew: Crew, database_url: str, chance: random.Random, tmp_path: Path
) -> None:
    kill_again_and_again(crew, database_url, chance, tmp_path, kills=KILLS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_runs_killed_two_hundred_times_end_as_if_undisturbed(
    crew: Crew, database_url: str, chance: random.Random, tmp_path: Path
) -> None:
    kill_again_and_again(crew, database_url, chance, tmp_path, kills=KILLS_LONG)


def kill_again_and_again(crew: Crew, url: str, chance: random.Random, tmp_path: Path, *, kills: int) -> None:
    waves = [wave(number) for number in range(kills)]
    expected, control = live_undisturbed(crew, f"sqlite:///{tmp_path / 'control.db'}", waves)
    assert [] == crew.tracebacks()
    crew.hire(url).wait_ready().leave()
    Rows(url).watch()

    for number in range(kills):
        worker = crew.hire(url)
        if chance.random() < BEFORE_READY:
            time.sleep(chance.uniform(0.05, 0.8))
        else:
            worker.wait_ready()
            worker.post("start", runs=[*(waves[number - 1] if number else []), *waves[number]])
            time.sleep(0.001 + SECONDS_TO_LIVE_MAX * chance.random() ** 2)  # most bodies run in the first moments
        worker.kill()

    last = crew.hire(url).wait_ready()
    results = end_all(last, waves)
    last.leave()

    assert_drawn_once(results)
    assert without_lots(expected) == without_lots(results)
    assert_same_rows(control, Rows(url))
    assert [] == Rows(url).rewritten()
    assert_bodies_ran_once_more_per_death_at_most(
        crew.marks(BEGIN), [mark for mark in read_marks(crew.folder / "control-journal") if mark.kind == BEGIN]
    )
    assert [] == Rows(url)(f"select id, recovery_attempts from pt_runs where recovery_attempts > {kills + 1}")
    assert [] == crew.tracebacks()


def live_undisturbed(crew: Crew, url: str, waves: list[list[Run]]) -> tuple[dict[str, Any], Rows]:
    worker = crew.hire(url, journal="control-journal").wait_ready()
    results = end_all(worker, waves)
    worker.leave()
    return results, Rows(url)


def end_all(worker: Worker, waves: list[list[Run]]) -> dict[str, Any]:
    runs = [run for wave_ in waves for run in wave_]
    worker.ask("start", runs=runs)
    return worker.ask("results", ids=[id_ for _, id_, _ in runs], timeout=PATIENCE)


def without_lots(results: dict[str, Any]) -> dict[str, Any]:
    return {id_: result for id_, result in results.items() if not id_.startswith("draw-")}


def assert_drawn_once(results: dict[str, Any]) -> None:
    for id_, result in results.items():
        if id_.startswith("draw-"):
            assert result[:3] == result[3:], f"{id_} saw other lots after a crash than before"


def assert_same_rows(control: Rows, after_kills: Rows) -> None:
    """Runs, outcomes, messages and values are the same, whatever the runs went through."""
    expected_runs, runs = control.runs(), after_kills.runs()
    assert {id_: row[0] for id_, row in expected_runs.items()} == {id_: row[0] for id_, row in runs.items()}
    assert without_lots(expected_runs) == without_lots(runs)
    expected_outcomes, outcomes = control.outcomes(), after_kills.outcomes()
    assert expected_outcomes.keys() == outcomes.keys()
    differences = {
        key: (expected_outcomes[key], outcome)
        for key, outcome in outcomes.items()
        if expected_outcomes[key] != outcome and not key[0].startswith("draw-")
    }
    assert {} == differences
    messages = after_kills.messages()
    assert control.messages() == messages
    assert all(position is not None for *_, position in messages), "a message was not consumed"
    assert control.values() == after_kills.values()
    assert [] == after_kills("select run, position from pt_waits")


def assert_bodies_ran_once_more_per_death_at_most(begun: list[Mark], undisturbed: list[Mark]) -> None:
    """No life runs the same attempt twice, and none goes back behind a step that an earlier life had passed."""
    in_one_life = Counter((mark.run, mark.position, mark.attempt, mark.process) for mark in [*begun, *undisturbed])
    assert {} == {key: count for key, count in in_one_life.items() if count > 1}
    furthest: dict[str, Mark] = {}
    for mark in begun:
        before = furthest.get(mark.run, mark)
        assert (before.stage, before.attempt if before.position == mark.position else 0) <= (
            mark.stage,
            mark.attempt if before.position == mark.position else 0,
        ), f"{mark} ran again although {before} shows that it was recorded"
        furthest[mark.run] = mark
    bodies = {(mark.run, mark.position, mark.attempt) for mark in begun}
    assert {(mark.run, mark.position, mark.attempt) for mark in undisturbed} == bodies


def test_watching_rows_sees_an_outcome_that_is_written_twice(crew: Crew, database_url: str) -> None:
    worker = crew.hire(database_url).wait_ready()
    worker.start("background", "run")
    worker.result("run")
    worker.leave()
    Rows(database_url).watch()

    Rows(database_url).execute("update pt_steps set output = output")

    assert len(Rows(database_url).outcomes()) == len(Rows(database_url).rewritten())


def test_a_last_attempt_whose_outcome_was_lost_is_not_made_again(crew: Crew, database_url: str) -> None:
    """A process may die after its last attempt was kept and before the failure of the step was recorded."""
    first = crew.hire(database_url).wait_ready()
    first.start("background", "run")
    expected = first.result("run")
    first.leave()
    attempts = [mark for mark in crew.marks(BEGIN) if mark.stage == 2]

    Rows(database_url).execute(
        "update pt_steps set error = null, ended_at_epoch_ms = null where position = '3';"
        "delete from pt_steps where position = '4';"
        "update pt_runs set status = 'PENDING', output = null, executor_id = null, wake_ms = 0,"
        " completed_at_epoch_ms = null;"
    )
    second = crew.hire(database_url).wait_ready()

    assert expected == second.result("run")
    assert attempts == [mark for mark in crew.marks(BEGIN) if mark.stage == 2]
    second.leave()
