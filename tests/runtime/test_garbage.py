"""Garbage collection: what is over and old goes with all that is its own, and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import turbine
from turbine.clock import SystemClock
from turbine.store import Statement

DAY = timedelta(days=1)


class Shifted(SystemClock):
    """The machine's clock, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now_ms(self) -> int:
        return super().now_ms() + round(self.ahead.total_seconds() * 1000)


@turbine.step(retries=1, base_interval=0.001)
async def shaky() -> int:
    if turbine.current().attempt == 1:
        raise ValueError("at first")
    return 1


@turbine.workflow
async def child() -> int:
    turbine.logger().info("a child")
    return 1


@turbine.workflow
async def busy() -> int:
    turbine.logger().info("busy")
    await turbine.set_value("key", 1)
    await turbine.recv(timeout=0, default=None)
    await child()
    return await shaky()


@turbine.workflow
async def waits() -> None:
    await turbine.recv("again")


@turbine.workflow
async def asks() -> None:
    await turbine.wait_for_approval("May I?")


def ids(page: Any) -> set[str]:
    return {status.workflow_id for status in page.items}


def rows_of_runs(rt: turbine.Runtime) -> dict[str, int]:
    """How many rows each table has that belongs to runs."""
    tables = (
        "pt_workflow_status", "pt_operation_outputs", "pt_step_attempts", "pt_waits", "pt_notifications",
        "pt_workflow_events", "pt_workflow_events_history", "pt_approvals",
    )  # fmt: skip
    store = rt._live.store
    count = {table: Statement.of(f"select count(*) from {table}") for table in tables}
    return {table: store.read_blocking(lambda tx, one=one: tx.one(one)[0]) for table, one in count.items()}


async def test_runs_go_by_the_time_of_their_end(launch) -> None:
    clock = Shifted()
    rt = await launch(waits, child, clock=clock, park_after=1000)
    long = await rt.run(waits.options(id="long"))
    await (await rt.run(child.options(id="old"))).result()
    clock.ahead += 4 * DAY
    await rt.send("long", None, "again")
    await long.result()
    await (await rt.run(child.options(id="new"))).result()
    assert 1 == await rt.garbage_collect(3 * DAY)
    assert {"long", "new"} == ids(await rt.list())
    clock.ahead += 4 * DAY
    assert 2 == await rt.garbage_collect()
    assert 0 == await rt.garbage_collect()


async def test_nothing_of_a_run_is_left(launch) -> None:
    rt = await launch(busy, child, asks)
    await (await rt.run(busy.options(id="busy", tags=["a", "b"]))).result()
    await rt.send("busy", "read by nobody")
    await rt.run(asks.options(id="asks"))
    await rt.wait_idle()
    await rt.cancel("asks")
    assert 3 == await rt.garbage_collect(0)
    assert {0} == set(rows_of_runs(rt).values())


async def test_what_is_open_is_never_touched(launch) -> None:
    clock = Shifted()
    rt = await launch(waits, clock=clock)
    rt_queue = await launch(waits)
    await rt.run(waits.options(id="open"))
    await rt.run(waits.options(id="delayed", delay=DAY * 100))
    clock.ahead += 30 * DAY
    assert 0 == await rt.garbage_collect(0)
    assert {"open", "delayed"} == ids(await rt_queue.list())


async def test_a_child_that_outlives_its_parent_is_left_without_one(launch) -> None:
    rt = await launch(busy, child)
    await (await rt.run(busy.options(id="busy"))).result()
    (born,) = (await rt.list(name="child")).items
    await rt.delete("busy")
    assert {born.workflow_id} == ids(await rt.list())
    assert 1 == await rt.garbage_collect(0)


async def test_many_runs_go_in_small_transactions(launch, monkeypatch) -> None:
    monkeypatch.setattr("turbine.actions.garbage.RUNS_AT_ONCE", 4)
    rt = await launch(child)
    for _ in range(10):
        await (await rt.run(child)).result()
    before = rt._live.store.batches
    assert 10 == await rt.garbage_collect(0)
    assert rt._live.store.batches - before >= 3


async def test_a_run_whose_end_is_still_to_be_announced_is_left_for_the_next_time(launch) -> None:
    rt = await launch(child)
    await rt.shutdown()
    await rt.launch()
    await (await rt.run(child.options(id="announced"))).result()
    insert = Statement.of(
        "insert into pt_deliveries (id, kind, target, run, status, executor_id, created_ms, updated_ms)"
        " select 'one', 'webhook', 'nobody', run, 'pending', 'another-executor', 0, 0 from pt_workflow_status"
    )
    settle = Statement.of("update pt_deliveries set status = 'delivered'")
    store = rt._live.store
    await store.write(lambda tx: tx.run(insert))
    assert 0 == await rt.garbage_collect(0)
    await store.write(lambda tx: tx.run(settle))
    assert 1 == await rt.garbage_collect(0)


async def test_logs_are_kept_for_five_days_also_when_runs_are_kept_for_ever(launch) -> None:
    clock = Shifted()
    rt = await launch(child, clock=clock, gc_retention=None)
    await (await rt.run(child.options(id="old"))).result()
    clock.ahead += 3 * DAY
    await (await rt.run(child.options(id="new"))).result()
    assert 2 == len((await rt.logs.list()).items)
    clock.ahead += 2.5 * DAY
    assert 0 == await rt.garbage_collect()
    assert {"new"} == {record.workflow_id for record in (await rt.logs.list()).items}
    assert {"old", "new"} == ids(await rt.list())


async def test_a_negative_age_is_refused(launch) -> None:
    rt = await launch(child)
    with pytest.raises(ValueError, match="negative"):
        await rt.garbage_collect(-DAY)
