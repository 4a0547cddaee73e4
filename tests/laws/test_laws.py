"""The laws of the house (see ARCHITECTURE.md), each held against programs made by chance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest
import shapes
from hypothesis import HealthCheck, Phase, given, settings
from programs import act, carry_out, programs
from witness import Witness

import turbine
from turbine.model.workflows import TRANSITIONS, WorkflowStatus
from turbine.registry import WorkflowBase
from turbine.store import Statement, Tx
from turbine.testing import World
from turbine.testing.rows import Rows, difference, snapshot
from turbine.testing.scratch_databases import scratch_databases

EVERYTHING = [one for one in {**vars(shapes), "program": carry_out}.values() if isinstance(one, WorkflowBase)]
START = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES = 400 if hypothesis.settings.default.max_examples > 100 else 8
by_chance = settings(
    max_examples=EXAMPLES,
    deadline=None,
    # Not `explain`: it traces every line, and what is shown is small enough to be understood.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@asynccontextmanager
async def world_on(url: str, instrument: Any = None, *others: Any) -> AsyncIterator[World]:
    """A world with everything that programs and shapes use, whose runs are kept."""
    everything = [*EVERYTHING, *others]
    world = World(url, workflows=everything, start=START, gc_retention=None, application_version="laws")
    shapes.prepare(world.runtime)
    if instrument is not None:
        world.instrument(instrument)
    async with world:
        yield world


async def rows_of(url: str, listed: list[Any], instrument: Any = None) -> Rows:
    """What these programs leave when they run at the same time."""
    async with world_on(url, instrument) as world:
        for number, program in enumerate(listed):
            await world.runtime.run(carry_out.options(id=f"program-{number}"), program)
        await world.advance(days=30)
        return await world.store.read(snapshot)


# L1, L3

LIVELY: list[Any] = [
    shapes.approval_by_another_run,
    shapes.approval_that_runs_out,
    shapes.blocking_family,
    shapes.branches,
    shapes.cancelled_child,
    shapes.delayed_child,
    shapes.failing_child,
    shapes.failure,
    shapes.hopeless_retries,
    shapes.keyed_children,
    shapes.late_child,
    shapes.queued_children,
    shapes.question_and_answer,
]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_l1_l3_outcomes_are_written_once_and_statuses_move_along_the_table(database_url: str, seed: int) -> None:
    chance = random.Random(seed)
    async with world_on(database_url) as world:
        witness = await asyncio.to_thread(Witness, database_url)
        rt = world.runtime
        for workflow in LIVELY:
            await rt.run(workflow.options(id=workflow.name))
        for _ in range(12):
            match chance.choice(["wait", "advance", "advance", "advance", "crash", "restart", "cancel", "resume"]):
                case "wait":
                    await asyncio.sleep(chance.random() / 100)
                case "advance":
                    await world.advance(seconds=chance.choice([1, 30, 100, 100_000]))
                case "crash":
                    await world.crash()
                    await world.restart()
                case "restart":
                    await world.restart()
                case "cancel":
                    await rt.cancel(chance.choice((await rt.list()).items).workflow_id)
                case "resume":
                    await rt.resume(chance.choice((await rt.list()).items).workflow_id)
        await world.advance(days=3)
        moves = await asyncio.to_thread(witness.moves)
        rewritten = {run for run, _ in await asyncio.to_thread(witness.rewritten)}
        resumed = {run for run, was, _ in moves if was == "ERROR"}
    assert len(moves) > 30
    assert [] == [move for move in moves if not is_allowed(*move[1:])]
    assert {"", "PENDING", "ENQUEUED", "WAITING_FOR_APPROVAL"} <= {was for _, was, _ in moves}
    assert rewritten <= resumed  # a resume forgets the failure that ended a run, on purpose; all else stays


def is_allowed(was: str, became: str) -> bool:
    if not was:
        return became in ("PENDING", "ENQUEUED")
    return WorkflowStatus(became) in TRANSITIONS[WorkflowStatus(was)]


# L2


async def test_l2_replaying_an_unchanged_history_writes_nothing_and_ends_the_same(database_url: str) -> None:
    async with world_on(database_url, None, waits_at_the_end) as world:
        handles = [
            await world.runtime.run(waits_at_the_end.options(id=f"waits-{index}"), program)
            for index, program in enumerate(PROGRAMS)
        ]
        await world.advance(days=30)
        before = await world.store.read(dump)
        for _ in range(2):
            await world.crash()
            await world.restart()
            await world.settle()
            await world.advance(minutes=5)  # they leave memory once more
        assert before == await world.store.read(dump)
        assert all(len(before[table]) for table in ("pt_steps", "pt_waits", "pt_values", "pt_kv"))

        for handle in handles:
            await world.runtime.send(handle.workflow_id, "go", "the end")
        ends = [await handle.result() for handle in handles]
        alone = [await world.runtime.run(carry_out.options(id=f"alone-{i}"), p) for i, p in enumerate(PROGRAMS)]
        await world.advance(days=30)
        assert ends == [await handle.result() for handle in alone]


PROGRAMS: list[Any] = [
    [["step", 1], ["falter", 2], ["sleep", 100], ["refuse", "no"], ["step", "end"]],
    [["send", "hello", "a"], ["recv", "a", 5], ["recv", "b", 10], ["set", "x", "1"], ["get", "x", 1], ["kv", "k", "v"]],
    [["side by side", [["step", 1], ["sleep", 10]], [["step", 2]]], ["child", [["step", 3]]], ["start", [["step", 4]]]],
    [["status", "busy", "red"], ["ask", "may I?", 100], ["product", "one.txt"]],
]


@turbine.workflow
async def waits_at_the_end(program: Any) -> list[Any]:
    results = [await act(*one) for one in program]
    await turbine.recv("the end")
    return results


def dump(tx: Tx) -> dict[str, list[Any]]:
    """Every row that is a record of a run, with all its columns."""
    tables = ("pt_steps", "pt_step_attempts", "pt_waits", "pt_messages", "pt_values",
              "pt_values_history", "pt_kv", "pt_approvals", "pt_products", "pt_deliveries")  # fmt: skip
    return {table: sorted(tx.rows(Statement.of(f"select * from {table}")), key=repr) for table in tables}


# L4


@pytest.mark.timeout(120)
async def test_l4_losing_every_wake_ends_in_the_same_rows(database_url: str) -> None:
    async with scratch_databases(database_url) as found:
        heard: list[Any] = []

        def deafen(live: Any) -> None:
            live._on_wakes = heard.extend

        expected = await rows_in_real_time(await found.fresh(), None)
        actual = await rows_in_real_time(await found.fresh(), deafen)
        assert len(heard) > 10
        assert difference(expected, actual) is None


async def rows_in_real_time(url: str, instrument: Any) -> Rows:
    """Without a virtual clock: who hears nothing must look by himself, and does that in real time."""
    program = [
        ["step", 1],
        ["sleep", 0.05],
        ["send", "x", "a"],
        ["recv", "a", 5],
        ["recv", "b", 0.05],
        ["set", "k", "v"],
    ]
    lineage = [["child", [["sleep", 0.05], ["step", 2]]], ["start", [["step", 3]]], ["ask", "?", 0.05]]
    rt = turbine.Runtime(url, workflows=[carry_out, shapes.child], park_after=0.1, gc_retention=None)
    shapes.prepare(rt)
    rt._instrument = instrument
    async with rt:
        handles = [
            await rt.run(carry_out.options(id=f"program-{number}"), one)
            for number, one in enumerate([program, lineage])
        ]
        handles.append(await rt.run(carry_out.options(id="queued", queue="single"), [["step", 1]]))
        handles.append(await rt.run(carry_out.options(id="late", timeout=0.2), [["recv", "never", 60]]))
        for handle in handles[:-1]:
            await handle.result(timeout=120)
        with pytest.raises(turbine.WorkflowTimeout):
            await handles[-1].result(timeout=120)
        live = rt._live
        assert live is not None
        return await live.store.read(snapshot)


# L6, L8


@pytest.mark.timeout(3600 if EXAMPLES > 100 else 90)
@by_chance
@given(listed=hypothesis.strategies.lists(programs(), min_size=1, max_size=6))
async def test_l6_writes_committed_together_or_one_by_one_leave_the_same_rows(sqlite_url: str, listed: Any) -> None:
    async with scratch_databases(sqlite_url) as found:
        execute_many = await rows_of(await found.fresh(), listed)
        alone = await rows_of(await found.fresh(), listed, one_by_one)
        assert difference(execute_many, alone) is None


def one_by_one(live: Any) -> None:
    live.store.writer.batch_max = 1


@pytest.mark.postgres
@pytest.mark.timeout(3600 if EXAMPLES > 100 else 90)
@by_chance
@given(listed=hypothesis.strategies.lists(programs(), min_size=1, max_size=4))
async def test_l8_the_same_programs_leave_the_same_rows_in_sqlite_and_postgres(
    sqlite_url: str, postgres_url: str, listed: Any
) -> None:
    async with scratch_databases(sqlite_url) as files, scratch_databases(postgres_url) as schemas:
        in_sqlite = await rows_of(await files.fresh(), listed)
        in_postgres = await rows_of(await schemas.fresh(), listed)
        assert difference(in_sqlite, in_postgres) is None


# The witness and the comparison are no use if they see nothing.


async def test_a_changed_row_is_seen(database_url: str) -> None:
    async with world_on(database_url) as world:
        witness = await asyncio.to_thread(Witness, database_url)
        await world.runtime.run(carry_out.options(id="program"), [["step", 1]])
        await world.settle()
        before = await world.store.read(snapshot)
        await world.store.write(forge)
        after = await world.store.read(snapshot)
        assert [("program", "", "PENDING"), ("program", "PENDING", "SUCCESS"), ("program", "SUCCESS", "ENQUEUED")] == (
            [tuple(move) for move in await asyncio.to_thread(witness.moves)]
        )
        assert 1 == len(await asyncio.to_thread(witness.rewritten))
        told = difference(before, after)
        assert told is not None
        assert "status is 'ENQUEUED', not 'SUCCESS'" in told  # of two changes the first one, in the order of tables
        assert difference(before, before) is None


def forge(tx: Tx) -> None:
    tx.run(Statement.of("update pt_steps set output = '2'"))
    tx.run(Statement.of("update pt_runs set status = 'ENQUEUED'"))
