"""Law L6: writes committed together, one by one, or together with one that has to be undone leave the same rows."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from turbine.store import Statement, Store, Tx
from turbine.tables import kv, messages, run_starts, steps, waits
from turbine.tables import runs as run_table
from turbine.tables.ownership import Answer

EXECUTOR = "me"
NOW = 1_700_000_000_000
TABLES = (
    "pt_runs",
    "pt_steps",
    "pt_step_attempts",
    "pt_waits",
    "pt_messages",
    "pt_values",
    "pt_values_history",
)


@dataclass(frozen=True)
class Write:
    """One write of the batch."""

    function: Callable[..., Any]
    argument: Any


def start(id: str, **columns: Any) -> run_starts.Start:
    row = run_starts.Start(
        id=id,
        status="PENDING",
        name="place_order",
        inputs="[]",
        direct=1,
        fence=1,
        version="v",
        application_id="turbine",
        attempts=1,
        owed=0,
        max_recoveries=100,
        created_ms=NOW,
        started_ms=NOW,
        completed_ms=None,
        wake_ms=None,
        queue=None,
        partition=None,
        deduplication_scope=None,
        deduplication_id=None,
        priority=0,
        timeout_ms=None,
        deadline_ms=None,
        parent_run=None,
        parent_id=None,
        parent_position=None,
        forked_from=None,
        summary=None,
        tags=None,
        reason=None,
    )
    return row._replace(**columns)


def outcome_of(run: int, position: str, *, fence: int = 1, output: str | None = '"done"') -> steps.Outcome:
    return steps.Outcome(
        run=run,
        fence=fence,
        position=position,
        function_id=int(position),
        name="charge",
        kind=0,
        output=output,
        error=None,
        child=None,
        attempts=1,
        started_ms=NOW,
        ended_ms=NOW + 5,
    )


def wait(run: int, position: str, *, kind: str, subject: str, fence: int = 1) -> waits.NewWait:
    return waits.NewWait(
        run=run,
        fence=fence,
        position=position,
        function_id=int(position),
        name="wait",
        step_kind=1,
        child=None,
        kind=kind,
        subject=subject,
        since_ms=NOW,
        deadline_ms=NOW + 1000,
    )


def prepare(store: Store) -> list[int]:
    """Ten runs of ours; the keys are the same in each database that is new."""
    runs = [store.submit_blocking(run_starts.start, start(f"run-{n}")).wait().run for n in range(10)]
    for write in (
        Write(steps.record, outcome_of(runs[0], "0")),
        Write(waits.begin, wait(runs[1], "0", kind="message", subject="news")),
        Write(messages.send, messages.NewMessage("run-2", "news", '"old"', NOW, None)),
        Write(waits.await_result, wait(runs[8], "0", kind="result", subject="run-9")),
        Write(run_table.park, (runs[8], 1)),
    ):
        store.submit_blocking(write.function, write.argument).wait()
    return runs


def writes(runs: list[int]) -> list[Write]:
    """Writes that callers of their own might send at the same instant; they do not depend on each other's order."""
    foreign = [Write(steps.record, outcome_of(runs[n], "1", fence=2)) for n in range(3)]
    recorded = [Write(steps.record, outcome_of(runs[n], "1", output=f'"{n} ✓ \\u0000"')) for n in range(5)]
    settled = Write(steps.record, outcome_of(runs[0], "0", output='"too late"'))
    started = [Write(run_starts.start, start(f"new-{n}", queue="q", direct=0, status="ENQUEUED")) for n in range(3)]
    joined = [Write(run_starts.start, start("run-0")), Write(run_starts.start, start("run-0", name="another"))]
    twins = [Write(run_starts.start, start("twin")) for _ in range(2)]
    held = {"queue": "q", "direct": 0, "status": "ENQUEUED", "deduplication_scope": "q", "deduplication_id": "d"}
    rivals = [Write(run_starts.start, start("rival", **held)), Write(run_starts.start, start("rival", **held))]
    child = Write(
        run_starts.start_child,
        (start("child", parent_run=runs[3], parent_id="run-3", parent_position="2"), outcome_of(runs[3], "2")),
    )
    sent = [Write(messages.send, messages.NewMessage("run-1", "news", f'"{n}"', NOW, None)) for n in range(3)]
    sent += [
        Write(messages.send, messages.NewMessage("nobody", "news", '"lost"', NOW, outcome_of(runs[4], "3"))),
        Write(messages.send, messages.NewMessage("run-5", "news", '"with a step"', NOW, outcome_of(runs[4], "4"))),
    ]
    received = Write(
        messages.receive, messages.Receive(wait(runs[2], "1", kind="message", subject="news"), "news", NOW, False)
    )
    value = Write(messages.set_value, (outcome_of(runs[6], "0"), "key", '"value"'))
    finished = [
        Write(run_table.finish, run_table.Finish(runs[9], 1, "SUCCESS", '"end"', None, None, NOW)),
        Write(run_table.finish, run_table.Finish(runs[7], 2, "SUCCESS", '"not ours"', None, None, NOW)),
    ]
    entry = {"key": "k", "value": "1", "json_text": "1", "now_ms": NOW, "expect": None, "expects_missing": True}
    stored = Write(kv.set_, {**entry, "open": str, "validate": no_complaint})
    return [*foreign, *recorded[3:], settled, *started, *joined, *twins, *rivals, child, *sent, received, value,
            *finished, stored]  # fmt: skip


def no_complaint(schema: Any, text: str) -> list[dict[str, Any]]:
    return []


def rows(tx: Tx) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, with ids in the place of keys: a rollback leaves a gap in Postgres' keys."""
    id_of = dict(tx.rows(Statement.of("select run, id from pt_runs")))
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in TABLES:
        order = "order by message" if table == "pt_messages" else ""
        all_of_it = tx.rows(Statement.of(f"select * from {table} {order}"))
        if table == "pt_messages":  # the order of the messages counts, their keys do not
            found[table] = sorted(((id_of[row[1]], *row[2:]) for row in all_of_it), key=lambda row: row[0])
        else:
            found[table] = sorted((id_of[row[0]], *row[1:]) for row in all_of_it)
    found["pt_kv"] = tx.rows(Statement.of("select * from pt_kv"))
    return found


def comparable(answer: Any) -> Any:
    if isinstance(answer, run_starts.StartedRun):
        return answer._replace(run=0)
    return f"{type(answer).__name__}: {answer}" if isinstance(answer, Exception) else answer


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def fresh(request, tmp_path, opened) -> Callable[[str], Store]:
    """Opens new, empty databases on the same server, each in a schema of its own, or new files."""
    if request.param == "sqlite":
        return lambda name: opened(f"sqlite:///{tmp_path}/{name}.db", executor_id=EXECUTOR)
    url = request.getfixturevalue("postgres_url")

    def open_schema(name: str) -> Store:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"create schema {name}")
        return opened(f"{url}&options=-csearch_path%3D{name}", executor_id=EXECUTOR)

    return open_schema


def break_the_batch(tx: Tx) -> None:
    raise ZeroDivisionError


def test_writes_leave_the_same_rows_and_answers_however_they_are_batched(fresh, doorstop, outcome) -> None:
    one_by_one = fresh("one_by_one")
    jobs = writes(prepare(one_by_one))
    expected_answers = [
        comparable(outcome(one_by_one.submit_blocking(job.function, job.argument).wait)) for job in jobs
    ]
    expected_rows = one_by_one.read_blocking(rows)

    for name, poisons in {"together": [], "poisoned": [7], "poisoned_thrice": [0, 11, len(jobs) + 2]}.items():
        store = fresh(name)
        assert jobs == writes(prepare(store))
        mixed = list(jobs)
        for place in poisons:
            mixed.insert(place, Write(break_the_batch, {}))
        before = store.writer.batches
        with doorstop(store):
            tickets = [store.submit_blocking(job.function, job.argument) for job in mixed]
        answers = [comparable(outcome(ticket.wait)) for ticket in tickets]
        assert expected_answers == [answer for answer in answers if answer != "ZeroDivisionError: "]
        assert expected_rows == store.read_blocking(rows)
        assert poisons or store.writer.batches == before + 2


@pytest.mark.parametrize("name", ["record", "send", "set_value"])
def test_of_two_outcomes_for_one_position_in_one_batch_the_first_is_written(fresh, doorstop, outcome, name) -> None:
    store = fresh("twins")
    runs = prepare(store)
    stale, *steps_ = [outcome_of(runs[3], "7", fence=fence, output=f'"{n}"') for n, fence in enumerate((2, 1, 1))]
    pairs = {
        "record": [Write(steps.record, step) for step in (stale, *steps_)],
        "send": [
            Write(messages.send, messages.NewMessage("run-5", "news", step.output or "", NOW, step))
            for step in (stale, *steps_)
        ],
        "set_value": [Write(messages.set_value, (step, "key", step.output)) for step in (stale, *steps_)],
    }[name]
    with doorstop(store):
        tickets = [store.submit_blocking(write.function, write.argument) for write in pairs]
    assert [Answer.LOST, Answer.DONE, Answer.ALREADY] == [outcome(ticket.wait) for ticket in tickets]
    after = store.read_blocking(rows)
    assert ['"1"'] == [row[5] for row in after["pt_steps"] if row[:2] == ("run-3", "7")]
    assert {"send": ['"1"']}.get(name, []) == [row[2] for row in after["pt_messages"] if row[0] == "run-5"]
    assert {"set_value": ['"1"']}.get(name, []) == [row[2] for row in after["pt_values"]]


@pytest.mark.parametrize("seed", range(6))
def test_the_order_in_which_callers_meet_changes_no_row(fresh, doorstop, outcome, seed: int) -> None:
    # Messages of different callers have no order, so one mailbox gets one message here.
    random_ = random.Random(seed)
    reference = fresh("reference")
    jobs = writes(prepare(reference))
    jobs = [job for job in jobs if not isinstance(job.argument, messages.NewMessage) or job.argument.body != '"2"']
    jobs = [job for job in jobs if not isinstance(job.argument, messages.NewMessage) or job.argument.body != '"1"']
    for job in jobs:
        outcome(reference.submit_blocking(job.function, job.argument).wait)

    shuffled = fresh("shuffled")
    prepare(shuffled)
    jobs += [Write(break_the_batch, {})] * random_.randint(0, 3)
    random_.shuffle(jobs)
    with doorstop(shuffled):
        tickets = [shuffled.submit_blocking(job.function, job.argument) for job in jobs]
    for ticket in tickets:
        outcome(ticket.wait)
    assert reference.read_blocking(rows) == shuffled.read_blocking(rows)
