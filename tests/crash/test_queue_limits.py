"""Law L7 with several processes: at no instant are more runs claimed than a queue's limits allow, whoever dies.

The database itself keeps every start that is counted, a thread samples the rows all the time, and the bodies say in the
journal when they began and ended. None of the three trusts another.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass, field

import psycopg
import pytest
from crew import Crew, Worker, wait_for
from evidence import Rows, overlaps, under_way
from journal import BEGIN, END, Mark
from queue_worker import QUEUE

pytestmark = [pytest.mark.crash, pytest.mark.alone]

PROCESSES = 3
EVERYWHERE = 7
EACH = 3
SAMPLE_EVERY = 0.002


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is drained, how fast it may go, and by how much it may be slower than allowed."""

    runs: int
    starts_a_second: int
    body_seconds: tuple[float, float]
    slack: float
    seconds_to_end: float


SHORT = Plan(runs=500, starts_a_second=100, body_seconds=(0.01, 0.05), slack=9.0, seconds_to_end=120)
"""Slots are the limit at the beginning of each second, and the rate at its end."""
LONG = Plan(runs=3000, starts_a_second=50, body_seconds=(0.02, 0.1), slack=0.5, seconds_to_end=240)


@dataclass(slots=True)
class Sampler:
    """A thread that counts the slots of the queue, each time in one snapshot."""

    url: str
    most: int = 0
    most_of_one: int = 0
    samples: int = 0
    failure: Exception | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Sampler:
        self._thread = threading.Thread(target=self._main)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        assert self._thread is not None
        self._thread.join()

    def _main(self) -> None:
        try:
            with looking(self.url) as look:
                while not self._stopping.wait(SAMPLE_EVERY):
                    self._count([slots for _, slots in look(SLOTS)])
        except Exception as error:  # noqa: BLE001 - the test that started the thread fails with it
            self.failure = error

    def _count(self, slots: list[int]) -> None:
        self.samples += 1
        self.most = max(self.most, sum(slots))
        self.most_of_one = max(self.most_of_one, max(slots, default=0))


SLOTS = f"""
select slot_executor, count(*)
from pt_runs
where queue_name = '{QUEUE}' and status <> 'ENQUEUED' and completed_at_epoch_ms is null
group by slot_executor
"""


@contextlib.contextmanager
def looking(url: str):
    """A way to ask again and again on one connection; each answer is of one instant."""
    if url.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10)) as connection:
            yield lambda statement: connection.execute(statement).fetchall()
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            yield lambda statement: connection.execute(statement).fetchall()


@pytest.mark.timeout(400)
def test_three_processes_never_pass_the_limits_of_a_queue_also_when_one_is_killed(
    crew: Crew, database_url: str, chance: random.Random
) -> None:
    drain(crew, database_url, chance, SHORT)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_three_thousand_runs_are_drained_at_the_pace_that_is_allowed(
    crew: Crew, database_url: str, chance: random.Random
) -> None:
    drain(crew, database_url, chance, LONG)


def drain(crew: Crew, url: str, chance: random.Random, plan: Plan) -> None:
    def hire() -> Worker:
        limits = {"global_concurrency": EVERYWHERE, "worker_concurrency": EACH, "rate": (plan.starts_a_second, 1.0)}
        return crew.hire(url, program="queue_worker.py", lease=2, queue=limits)

    hire().wait_ready().leave()
    rows = Rows(url)
    rows.watch()
    keep_starts(rows)
    team = [hire().wait_ready() for _ in range(PROCESSES)]
    with Sampler(url) as sampler:
        team[0].ask("enqueue", runs=[(number, chance.uniform(*plan.body_seconds)) for number in range(plan.runs)])
        wait_for(lambda: len(crew.marks(BEGIN)) > plan.runs * 0.4, plan.seconds_to_end)
        victim = team.pop(chance.randrange(PROCESSES))
        wait_for(lambda: under_way(crew.marks(), victim.pid), 120)
        victim.kill()
        team.append(hire().wait_ready())
        wait_for(lambda: not rows.still_open(), plan.seconds_to_end)

    open_runs = rows.still_open()
    for worker in team:
        worker.leave()
    assert victim.killed_ns is not None
    marks, killed = crew.marks(), {victim.pid: victim.killed_ns}
    assert [] == open_runs, f"stuck:\n{crew.logs()}"

    expected = {f"job-{number}": ("SUCCESS", str(number)) for number in range(plan.runs)}
    assert expected == rows.runs()
    assert [] == rows.rewritten()
    ends = Counter(mark.run for mark in marks if mark.kind == END)
    begun = Counter(mark.run for mark in marks if mark.kind == BEGIN)
    broken_off = {mark.run for mark in marks if mark.process == victim.pid} & {run for run in begun if begun[run] > 1}
    assert expected.keys() == ends.keys()
    assert {run for run in begun if begun[run] > 1} <= broken_off, "a body began twice, and nobody had died of it"
    assert under_way(marks, victim.pid) <= broken_off, "what the dead process had begun was not taken up"
    assert [] == overlaps(marks, killed)

    print(f"{sampler.samples} samples, {sampler.most} slots at most, {sampler.most_of_one} of one process")
    assert sampler.failure is None
    assert (EVERYWHERE, EACH) == (sampler.most, sampler.most_of_one), "slots, counted in rows"
    at_once = {pid: most_at_once([mark for mark in marks if mark.process == pid], killed) for pid in pids(marks)}
    assert max(at_once.values()) <= EACH, f"bodies at once in one process: {at_once}"
    assert most_at_once(marks, killed) <= EVERYWHERE, "bodies at once"

    starts = sorted(row[0] for row in rows("select started_ms from seen_starts"))
    windows = [later - earlier for earlier, later in zip(starts, starts[plan.starts_a_second :], strict=False)]
    full = (len(starts) - 1) // plan.starts_a_second
    taken_ms = starts[full * plan.starts_a_second] - starts[0]
    print(f"{len(starts)} starts, {full} full windows in {taken_ms} ms; the narrowest of any {min(windows)} ms")
    assert sum(begun.values()) <= len(starts) <= plan.runs + EACH
    assert 1000 <= min(windows), f"more than {plan.starts_a_second} starts within a second"
    assert taken_ms <= full * 1000 * (1 + plan.slack), "slower than it may be"
    assert [] == crew.tracebacks()


def keep_starts(rows: Rows) -> None:
    """Have the database keep every start that the rate counts; the product forgets them after their window."""
    rows.execute("create table seen_starts (started_ms bigint)")
    if rows.is_sqlite:
        rows.execute(
            "create trigger start_seen after insert on pt_queue_starts"
            " begin insert into seen_starts values (new.started_ms); end;"
        )
    else:
        rows.execute(
            "create function see_start() returns trigger language plpgsql as"
            " $$ begin insert into seen_starts values (new.started_ms); return null; end $$;"
            " create trigger start_seen after insert on pt_queue_starts for each row execute function see_start()"
        )


def pids(marks: list[Mark]) -> set[int]:
    return {mark.process for mark in marks}


def most_at_once(marks: list[Mark], killed: dict[int, int]) -> int:
    """How many bodies were under way at the same moment; one without an end lasted until its process was killed."""
    changes = [(mark.at_ns, 1 if mark.kind == BEGIN else -1) for mark in marks]
    for pid, killed_ns in killed.items():
        changes += [(killed_ns, -1)] * len(under_way(marks, pid))
    going = most = 0
    for _, change in sorted(changes):
        going += change
        most = max(most, going)
    return most


def test_bodies_at_once_are_counted_also_when_their_process_dies() -> None:
    def mark(kind: str, run: str, process: int, at_ns: int) -> Mark:
        return Mark(kind, run, "-", 1, 0, process, at_ns)

    one_after_the_other = [mark(BEGIN, "a", 1, 10), mark(END, "a", 1, 20), mark(BEGIN, "b", 1, 20)]
    assert 1 == most_at_once(one_after_the_other, {1: 30})
    assert 2 == most_at_once([mark(BEGIN, "a", 1, 10), mark(BEGIN, "b", 2, 20), mark(END, "b", 2, 30)], {1: 25})
    assert 1 == most_at_once([mark(BEGIN, "a", 1, 10), mark(BEGIN, "a", 2, 30), mark(END, "a", 2, 40)], {1: 25})
