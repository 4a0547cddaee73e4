"""Two processes on one database: who may carry out a run, who may write for it, and how soon the dead are known."""

from __future__ import annotations

import time

import pytest
from crew import Crew, wait_for
from evidence import Rows
from journal import BEGIN, END

pytestmark = pytest.mark.crash

LEASE = 1.0
GATED = {"gated": "gated-run", "gated_blocking": "gated-blocking-run"}


def processes_of(crew: Crew, run: str) -> set[int]:
    return {mark.process for mark in crew.marks(BEGIN) if mark.run == run}


def test_a_second_process_never_runs_a_run_that_lives_in_the_first(crew: Crew, database_url: str) -> None:
    """Not even while the first one has its event loop blocked for much longer than its lease."""
    first = crew.hire(database_url, lease=LEASE).wait_ready()
    second = crew.hire(database_url, lease=LEASE).wait_ready()
    for workflow, run in GATED.items():
        first.start(workflow, run)
    blocked = first.post("start", runs=[("blocks", "blocking-run", [3 * LEASE])])
    crew.wait_for_mark(END, "blocking-run", 0, first.pid)
    first.answer(blocked)
    crew.open_gate(first)

    assert first.pid == second.result("blocking-run")
    for run in GATED.values():
        assert first.pid == second.result(run)
        assert {first.pid} == processes_of(crew, run)
    assert {first.pid} == processes_of(crew, "blocking-run")
    first.leave()
    second.leave()
    assert [] == crew.tracebacks()


def test_a_process_stopped_past_its_lease_writes_nothing_when_it_goes_on(crew: Crew, database_url: str) -> None:
    crew.hire(database_url).wait_ready().leave()
    Rows(database_url).watch()
    first = crew.hire(database_url, lease=LEASE).wait_ready()
    second = crew.hire(database_url, lease=LEASE).wait_ready()
    for workflow, run in GATED.items():
        first.start(workflow, run)
    for run in GATED.values():
        crew.wait_for_mark(BEGIN, run, 1, first.pid)
    time.sleep(0.1)  # whatever it is still writing is written: who stops within a commit stops all of SQLite

    first.stop()
    stopped_at = time.monotonic()
    for run in GATED.values():
        crew.wait_for_mark(BEGIN, run, 1, second.pid)
    took = time.monotonic() - stopped_at
    before = Rows(database_url).outcomes()
    crew.open_gate(first)
    first.go_on()
    for run in GATED.values():
        crew.wait_for_mark(END, run, 1, first.pid)
    registered = f"select 1 from pt_executors where process_id = {first.pid}"
    wait_for(lambda: Rows(database_url)(registered), 120)  # until then others carry out what it starts
    first.start("background", "new-run")
    background = first.result("new-run")
    after = {key: row for key, row in Rows(database_url).outcomes().items() if key[0] != "new-run"}
    crew.open_gate(second)

    assert before == after, "the outcomes of a process that had lost its runs were written"
    assert "new-run first" == background[0]
    assert {first.pid} == processes_of(crew, "new-run")
    for run in GATED.values():
        assert second.pid == second.result(run)
        assert second.pid == first.result(run)
        behind = [mark for mark in crew.marks(BEGIN) if mark.run == run and mark.stage == 2]
        assert [second.pid] == [mark.process for mark in behind]
    assert [] == Rows(database_url).rewritten()
    assert took < LEASE + 120
    first.leave()
    second.leave()
    assert [] == crew.tracebacks()


def test_a_process_that_goes_on_alone_takes_up_its_own_runs_again(crew: Crew, database_url: str) -> None:
    """The second process dies after it has taken over; the first, awake again, finds its old runs like any others."""
    first = crew.hire(database_url, lease=LEASE).wait_ready()
    second = crew.hire(database_url, lease=LEASE).wait_ready()
    first.start("gated", "run")
    crew.wait_for_mark(BEGIN, "run", 1, first.pid)
    time.sleep(0.1)
    first.stop()
    crew.wait_for_mark(BEGIN, "run", 1, second.pid)
    second.kill()

    first.go_on()
    crew.open_gate(first)

    assert first.pid == first.result("run")
    first.leave()
    outcomes = [row for (run, _), row in Rows(database_url).outcomes().items() if run == "run"]
    assert 3 == len(outcomes)
    assert [] == crew.tracebacks()


def test_kill_9_is_recognised_at_once_by_a_live_process(crew: Crew, database_url: str) -> None:
    first = crew.hire(database_url, lease=300).wait_ready()
    second = crew.hire(database_url, lease=300).wait_ready()
    for workflow, run in GATED.items():
        first.start(workflow, run)
    for run in GATED.values():
        crew.wait_for_mark(BEGIN, run, 1, first.pid)

    first.kill()
    assert first.killed_ns is not None
    taken_up = [crew.wait_for_mark(BEGIN, run, 1, second.pid) for run in GATED.values()]
    crew.open_gate(second)

    for run in GATED.values():
        assert second.pid == second.result(run)
    seconds = max(mark.at_ns - first.killed_ns for mark in taken_up) / 1e9
    print(f"taken up {seconds:.2f} s after the kill")
    assert seconds < 120, "its lease would have lasted for 300"
    second.leave()


def test_kill_9_is_recognised_at_once_by_the_next_process(crew: Crew, database_url: str) -> None:
    first = crew.hire(database_url, lease=300).wait_ready()
    for workflow, run in GATED.items():
        first.start(workflow, run)
    for run in GATED.values():
        crew.wait_for_mark(BEGIN, run, 1, first.pid)
    first.kill()

    second = crew.hire(database_url, lease=300).wait_ready()
    ready_ns = time.monotonic_ns()
    taken_up = [crew.wait_for_mark(BEGIN, run, 1, second.pid) for run in GATED.values()]
    crew.open_gate(second)

    for run in GATED.values():
        assert second.pid == second.result(run)
    seconds = max(mark.at_ns - ready_ns for mark in taken_up) / 1e9
    print(f"taken up {seconds:.2f} s after the launch")
    assert seconds < 120, "its lease would have lasted for 300"
    second.leave()
