"""Runs that cannot go on: one that kills every process it lives in, and one whose code is nowhere."""

from __future__ import annotations

import signal
import time

import pytest
from crew import Crew
from evidence import Rows
from journal import BEGIN

pytestmark = pytest.mark.crash


def test_a_run_that_kills_its_process_is_dead_lettered_alone(crew: Crew, database_url: str) -> None:
    first = crew.hire(database_url).wait_ready()
    first.post("start", runs=[("nap", "nap", []), ("blocking_background", "blocking", []), ("suicide", "suicide", [])])
    assert -signal.SIGKILL == first.wait_dead()
    for _ in range(2):
        assert -signal.SIGKILL == crew.hire(database_url).wait_dead()

    last = crew.hire(database_url).wait_ready()
    last.start("nap", "nap")
    last.start("blocking_background", "blocking")
    last.start("background", "background")

    assert "DeadLettered" == last.result("suicide")
    assert ["nap before", "nap after", "nap at last"] == last.result("nap")
    assert "blocking first" == last.result("blocking")[0]
    assert "background first" == last.result("background")[0]
    last.leave()
    incarnations = [mark for mark in crew.marks(BEGIN) if (mark.run, mark.stage) == ("suicide", 1)]
    assert 3 == len(incarnations), "the first life and max_recoveries=2 more"
    assert {"suicide"} == {
        id_ for (id_,) in Rows(database_url)("select id from pt_runs where status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'")
    }
    assert [] == crew.tracebacks()


def test_a_run_whose_workflow_nobody_knows_is_left_and_others_go_on(crew: Crew, database_url: str) -> None:
    first = crew.hire(database_url).wait_ready()
    first.start("gated", "stranger")
    crew.wait_for_mark(BEGIN, "stranger", 1, first.pid)
    first.start("nap", "nap")
    first.kill()

    second = crew.hire(database_url, workflows=["nap", "background"]).wait_ready()
    second.start("background", "background")
    assert ["nap before", "nap after", "nap at last"] == second.result("nap")
    assert "background first" == second.result("background")[0]
    time.sleep(0.5)
    assert [("PENDING", None)] == Rows(database_url)("select status, executor_id from pt_runs where id = 'stranger'")
    assert {first.pid} == {mark.process for mark in crew.marks(BEGIN) if mark.run == "stranger"}
    reason = second.ask("explain", id="stranger")
    second.leave()

    third = crew.hire(database_url).wait_ready()
    crew.open_gate(third)
    assert third.pid == third.result("stranger")
    third.leave()
    assert "unknown-workflow" == reason
    assert [] == crew.tracebacks()
