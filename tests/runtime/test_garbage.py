"""Garbage collection: what is over and old goes with all that is its own, and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import turbine
from turbine.clock import SystemClock
from turbine.operations import garbage
from turbine.store import Statement
from turbine.testing import World

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
        "pt_runs", "pt_steps", "pt_step_attempts", "pt_waits", "pt_messages",
        "pt_values", "pt_values_history", "pt_approvals",
    )  # fmt: skip
    store = rt._live.store
    count = {table: Statement.of(f"select count(*) from {table}") for table in tables}
    return {table: store.read_blocking(lambda tx, one=one: tx.row(one)[0]) for table, one in count.items()}


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
    monkeypatch.setattr("turbine.operations.garbage.RUNS_AT_ONCE", 4)
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
        " select 'one', 'webhook', 'nobody', run, 'pending', 'another-executor', 0, 0 from pt_runs"
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


@turbine.workflow
async def grandchild() -> None:
    await turbine.set_value("word", "grandchild")


@turbine.workflow
async def publishes(word: str) -> str:
    await turbine.set_value("word", word)
    await turbine.run(grandchild.options(id=f"grand{word}"))
    return word


@turbine.workflow
async def patient() -> list[Any]:
    """Starts a child, waits for longer than runs are kept, and asks for what the child has left."""
    handle = await turbine.run(publishes.options(id="child"), "child")
    joined = await turbine.run(publishes.options(id="joined"), "another word")
    await turbine.recv("again")
    return [
        await handle.result(),
        await joined.result(),
        await turbine.get_value("child", "word"),
        await turbine.get_value("grandchild", "word"),
    ]


PATIENT = (patient, publishes, grandchild)
COLLECT = {
    "older_than": lambda rt: rt.garbage_collect(0),
    "gc_retention": lambda rt: rt.garbage_collect(),
    "rules": lambda rt: rt.garbage_collect(),
}


@pytest.mark.parametrize("way", COLLECT)
async def test_what_an_open_run_may_still_ask_for_is_kept_and_goes_when_the_run_is_over(launch, way) -> None:
    clock = Shifted()
    rt = await launch(*PATIENT, clock=clock)
    if way == "rules":
        for name in ("publishes", "grandchild"):
            await rt.retention.set(timedelta(0), workflow=name)
        await rt.retention.set(timedelta(0), status="SUCCESS")
    await (await rt.run(publishes.options(id="joined"), "joined")).result()
    handle = await rt.run(patient.options(id="patient"))
    await rt.wait_idle()
    clock.ahead += 30 * DAY
    assert 0 == await COLLECT[way](rt)
    assert 0 == (await garbage.preview(rt._app(), 0)).runs

    await rt.send("patient", None, "again")
    assert ["child", "joined", "child", "grandchild"] == await handle.result(timeout=120)
    clock.ahead += 30 * DAY
    assert 5 == (await garbage.preview(rt._app(), 0)).runs
    assert 5 == await COLLECT[way](rt)


async def test_the_collection_of_each_night_keeps_them_too(database_url) -> None:
    async with World(database_url, workflows=PATIENT) as world:
        await (await world.runtime.run(publishes.options(id="joined"), "joined")).result()
        handle = await world.runtime.run(patient.options(id="patient"))
        await world.advance(days=10)
        await world.runtime.send("patient", None, "again")
        assert ["child", "joined", "child", "grandchild"] == await handle.result(timeout=120)
        await world.advance(days=10)
        assert [] == (await world.runtime.list()).items


@turbine.workflow
async def waits_and_asks() -> str:
    handle = await turbine.run(publishes.options(id="child"), "child")
    await turbine.recv("again")
    return await handle.result()


async def test_a_fork_may_still_ask_for_the_children_of_the_run_that_it_is_a_fork_of(launch) -> None:
    clock = Shifted()
    rt = await launch(waits_and_asks, publishes, grandchild, clock=clock)
    await rt.run(waits_and_asks.options(id="source"))
    await rt.wait_idle()
    await rt.cancel("source")
    fork = await rt.fork("source", from_step=1)
    await rt.wait_idle()
    clock.ahead += 30 * DAY
    assert 1 == await rt.garbage_collect()
    assert {"child", "grandchild", fork.workflow_id} == ids(await rt.list())
    await rt.send(fork.workflow_id, None, "again")
    assert "child" == await fork.result(timeout=120)


@turbine.workflow
async def waits_for_a_value(workflow_id: str) -> str:
    try:
        return await turbine.get_value(workflow_id, "key", timeout=timedelta(days=60))
    except turbine.ValueTimeout:
        return "none came"


async def test_a_run_of_which_another_one_waits_for_a_value_is_kept(database_url) -> None:
    async with World(database_url, workflows=[waits_for_a_value, child]) as world:
        for number in range(12):  # so that one key begins with another one
            await (await world.runtime.run(child.options(id=f"asked-{number}"))).result()
        handle = await world.runtime.run(waits_for_a_value.options(id="asks"), "asked-0")
        await world.advance(days=20)
        await world.restart()
        assert {"asks", "asked-0"} == ids(await world.runtime.list())
        await world.advance(days=41)
        assert "none came" == await handle.result(timeout=120)
        await world.advance(days=4)
        assert set() == ids(await world.runtime.list())


@turbine.workflow
async def link(number: int) -> None:
    if number:
        await turbine.run(link.options(id=f"link-{number - 1}"), number - 1)
    else:
        await turbine.recv("again")


async def test_the_ancestors_of_an_open_run_go_and_its_descendants_stay(launch) -> None:
    rt = await launch(link)
    await rt.run(link.options(id="link-30"), 30)
    await rt.wait_idle()
    assert 30 == await rt.garbage_collect(0)
    assert {"link-0"} == ids(await rt.list())


@turbine.workflow
async def keeps_a_chain() -> None:
    await turbine.run(link.options(id="link-30"), 30)
    await turbine.recv("over")


async def test_descendants_of_any_depth_stay_while_the_first_of_them_is_open(launch) -> None:
    rt = await launch(link, keeps_a_chain)
    await rt.run(keeps_a_chain.options(id="first"))
    await rt.wait_idle()
    await rt.send("link-0", None, "again")
    await rt.retrieve("link-0").result()
    assert 0 == await rt.garbage_collect(0)
    await rt.send("first", None, "over")
    await rt.retrieve("first").result()
    assert 32 == await rt.garbage_collect(0)


async def test_a_settled_delivery_of_an_open_run_is_kept(launch) -> None:
    rt = await launch(waits, child)
    await rt.run(waits.options(id="open"))
    await (await rt.run(child.options(id="over"))).result()
    await rt.wait_idle()
    insert = Statement.of(
        "insert into pt_deliveries (id, kind, target, run, workflow_id, status, created_ms, updated_ms)"
        " select 'of-' || id, 'alert', 'ops', run, id, 'delivered', 0, 0 from pt_runs"
    )
    store = rt._live.store
    await store.write(lambda tx: tx.run(insert))
    assert 1 == (await garbage.preview(rt._app(), 0)).deliveries
    await rt.garbage_collect(0)
    assert ["of-open"] == [delivery.id for delivery in (await rt.deliveries.list()).items]
    await rt.send("open", None, "again")
    await rt.retrieve("open").result()
    await rt.garbage_collect(0)
    assert [] == (await rt.deliveries.list()).items
