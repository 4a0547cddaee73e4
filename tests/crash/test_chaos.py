"""The chaos hour: three processes on one database, two versions of their code, and harm of every kind by chance.

In the end everything that was acknowledged must be there and over, once. What the engine says about itself is no
witness: triggers in the database keep who owned a run and who recorded its outcomes, and bodies say in the journal when
they began and ended.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from assessment import Assessment, deadlocks, too_many_starts
from chaos import Chaos
from chaos_witness import watch_owners
from chaos_worker import CANCELLED, DECIDED, POSTS, SENT
from crew import Crew, wait_for
from evidence import Rows
from journal import BEGIN, END

pytestmark = [pytest.mark.crash, pytest.mark.alone]

SMOKE_SECONDS = 30.0
HOUR_SECONDS = float(os.environ.get("CHAOS_SECONDS", "3600"))
"""The length of the long version, for both databases together."""
PAUSE, PAUSE_LONG = 0.05, 0.15
"""Seconds between two acts of the users of one process; longer in an hour, so that its journal fits into memory."""
SECONDS_TO_END = 240.0


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_done_twice_in_a_moment_of_chaos(
    crew: Crew, database: tuple[str, Any], chance: random.Random
) -> None:
    live_through(crew, database, chance, SMOKE_SECONDS, PAUSE)


@pytest.mark.slow
@pytest.mark.timeout(HOUR_SECONDS + 1800)
def test_nothing_is_lost_or_done_twice_in_an_hour_of_chaos(
    crew: Crew, database: tuple[str, Any], chance: random.Random
) -> None:
    live_through(crew, database, chance, HOUR_SECONDS / 2, PAUSE_LONG)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """The URL of a database that nobody else uses, and the server behind it, if there is one."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url"), None
    server = request.getfixturevalue("own_postgres")
    return server.url(), server


def live_through(crew: Crew, database: tuple[str, Any], chance: random.Random, seconds: float, pause: float) -> None:
    url, server = database
    control = undisturbed(crew)
    crew.hire(url, program="chaos_worker.py", number=1, version=2).wait_ready().leave()
    rows = Rows(url)
    rows.watch()
    watch_owners(rows)

    with Chaos(crew, url, chance, pause, server, server and server.socket) as chaos:
        chaos.run(seconds)
        chaos.heal()
        finish(chaos, crew, rows)
        wait_for(lambda: not still_going(rows), SECONDS_TO_END)
        if rows.still_open():
            # A run that version 2 had begun to change and version 1 then carried on fits version 1 only.
            chaos.note("version 1 again")
            chaos.deploy(1)
            wait_for(lambda: not rows.still_open(), SECONDS_TO_END)
        chaos.leave()

    print(f"{sum(chaos.count.values())} harms: {dict(chaos.count)}")
    assessment = [*chaos.complaints, *Assessment(crew, rows, control, chaos.ended_ns).complaints()]
    assessment += [f"an error that was not understood: {text}" for text in crew.tracebacks()]
    if server is not None:
        assessment += [*deadlocks(rows, server.log), *too_many_starts(rows)]
    assert [] == assessment


def undisturbed(crew: Crew) -> dict[str, tuple[str, Any]]:
    """How runs end that nothing disturbs: status and output, by id."""
    url = f"sqlite:///{crew.folder / 'control.db'}"
    worker = crew.hire(url, program="chaos_worker.py", journal="control-journal", number=0, version=1).wait_ready()
    worker.ask("one_of_each", serial=0)
    worker.leave()
    return {id_: (status, output and json.loads(output)) for id_, (status, output) in Rows(url).runs().items()}


def finish(chaos: Chaos, crew: Crew, rows: Rows) -> None:
    """Do what users who died have left undone: post, decide, cancel."""
    (worker, *_) = [place.worker for place in chaos.places]
    posted = {(mark.run, int(mark.position)) for mark in crew.marks(SENT)}
    for (id_,) in rows("select id from pt_runs where name = 'mailbox'"):
        for number in range(POSTS):
            if (id_, number) not in posted:
                worker.ask("send", id=id_, post=number)
    for (id_,) in rows("select id from pt_runs where name = 'endless' and completed_at_epoch_ms is null"):
        worker.ask("cancel", id=id_)

    def decide() -> bool:
        worker.ask("decide_all")
        return not rows(
            "select id from pt_runs where name = 'petition' and completed_at_epoch_ms is null and attention is null"
        )

    wait_for(decide, SECONDS_TO_END)


def still_going(rows: Rows) -> list[Any]:
    return rows("select id from pt_runs where completed_at_epoch_ms is null and attention is null limit 1")


@pytest.mark.timeout(300)
def test_the_verdict_sees_what_must_not_happen(crew: Crew, database_url: str) -> None:
    control = undisturbed(crew)
    worker = crew.hire(database_url, program="chaos_worker.py", number=1, version=2).wait_ready()
    rows = Rows(database_url)
    rows.watch()
    watch_owners(rows)
    worker.ask("one_of_each", serial=7)
    worker.leave()
    assert [] == Assessment(crew, rows, control, {1: 0}).complaints()

    ((run,),) = rows("select run from pt_runs where id = 'nap-1-7'")
    rows.execute(
        f"update pt_runs set output = '81' where id = 'lookup-1-7';"
        f"update pt_steps set output = output where run = {run} and position = '0';"
        f"insert into pt_steps (run, position, function_id, function_name, started_at_epoch_ms,"
        f" ended_at_epoch_ms, incarnation) values ({run}, '99', 99, 'act', 1, 2, 999);"
        f"insert into pt_messages (run, topic, body, created_at_epoch_ms) values ({run}, 'x', '1', 1);"
        f"insert into pt_messages (run, topic, body, created_at_epoch_ms) values ({run}, 'x', '1', 1);"
        f"update pt_runs set completed_at_epoch_ms = null, status = 'PENDING', slot_executor = null;"
        f"update pt_runs set queue_name = 'keyed', queue_partition_key = 'key', slot_executor = 'chaos-9';"
        f"update pt_runs set attention = 'none';"
        f"delete from pt_runs where id = 'nap-1-7';"
    )
    with crew.journal.open("a") as journal:
        for kind, process, at_ns in ((BEGIN, 1, 1), (BEGIN, 2, 2), (END, 2, 3), (END, 1, 4)):
            journal.write(f"{kind} background-1-7 0 1 0 {process} {at_ns}\n")
        for line in (f"{SENT} {{}} 5 0 0 1 9", f"{DECIDED} {{}} 5 0 0 1 9", f"{CANCELLED} {{}} - 0 0 1 9"):
            journal.write(line.format("background-1-7") + "\n")

    complaints = "\n".join(Assessment(crew, rows, control, {1: 9, 2: 9}).complaints())

    for said in (
        "nap-1-7 was started, and is lost",
        "lookup-1-7 of lookup ended as PENDING 81",
        "('outcome', ",
        "('end', ",
        "99 was recorded by launch 999",
        "sent 2 times from within a run",
        "keyed has ",
        "message 5 to background-1-7 was acknowledged, and is there 0 times",
        "background-1-7 was decided with 5",
        "background-1-7 was cancelled, and is PENDING",
        "bodies of one run at once",
        "step 0 of background-1-7, attempt 1, was entered 2 times in process 1",
        "background-1-7 was set aside by",
        "'background-1-7', 'PENDING'",
    ):
        assert said in complaints
