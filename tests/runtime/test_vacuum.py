"""How large the database is, where that leads, and giving room back while everything goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

import turbine
from turbine.loops.size_sampler import HOUR_MS, SizeSampler
from turbine.model.storage import DAY_MS, Size, growth_per_day
from turbine.operations import vacuum
from turbine.store import Statement
from turbine.tables import storage
from turbine.testing import VirtualClock

BLOAT = Statement(
    "bloat",
    sqlite="with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000)"
    " insert into pt_logs (level, logger, message, source, created_ms)"
    " select 20, 'a', hex(randomblob(1000)), 'user', 0 from n",
    postgres="insert into pt_logs (level, logger, message, source, created_ms)"
    " select 20, 'a', repeat(md5(i::text), 60), 'user', 0 from generate_series(1, 4000) as i",
)
CLEAR = Statement.of("delete from pt_logs")


@turbine.step
async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@turbine.workflow
async def chain(x: int) -> int:
    for _ in range(5):
        x = await double(x)
    return x


async def bloat(rt: turbine.Runtime) -> int:
    store = rt._app().store
    await store.write(lambda tx: tx.run(BLOAT))
    await store.write(lambda tx: tx.run(CLEAR))
    return await store.read(storage.database_size)


async def test_room_is_given_back_while_runs_of_several_processes_go_on(launch, monkeypatch) -> None:
    monkeypatch.setattr(vacuum, "PAGES_AT_ONCE", 20)
    monkeypatch.setattr(vacuum, "PORTION", 10)
    rt = await launch(chain)
    colleague = await launch(chain)
    before = await bloat(rt)
    going = [asyncio.ensure_future(_result(one, number)) for number in range(40) for one in (rt, colleague)]
    freed = await rt.vacuum()
    assert [32 * number for number in range(40) for _ in (rt, colleague)] == await asyncio.gather(*going)
    assert 40 * 2 == len((await rt.list(limit=200, status="SUCCESS")).items)
    if rt.database.startswith("sqlite"):
        assert freed > 4_000_000
        assert await rt._app().store.read(storage.database_size) < before - 4_000_000
        # The file itself follows with the next checkpoint, which the writer makes as soon as it has nothing to do.
        file = Path(rt._app().store.path)
        while file.stat().st_size > before - 4_000_000:  # noqa: ASYNC110, ASYNC240 - nobody tells when it was made
            await asyncio.sleep(0.02)
        await rt._app().store.read(lambda tx: tx.row(Statement.of("pragma quick_check")) == ("ok",) or 1 / 0)


async def _result(rt: turbine.Runtime, number: int) -> int:
    return await (await rt.run(chain, number)).result()


@pytest.mark.postgres
async def test_postgres_tidies_its_tables_and_skips_what_is_locked(postgres_url) -> None:
    counts = "select vacuum_count + analyze_count from pg_stat_user_tables where relname = 'pt_logs'"
    async with turbine.Runtime(postgres_url, workflows=[chain]) as rt:
        with psycopg.connect(postgres_url) as other:
            (before,) = other.execute(counts).fetchone() or (0,)
            other.commit()
            other.execute("lock table pt_kv in access exclusive mode")
            done = await vacuum.vacuum(rt._app())
            assert (True, ["pt_kv"]) == (done.done, done.skipped)
        with psycopg.connect(postgres_url) as other:
            assert (before + 2,) == other.execute(counts).fetchone()
        assert [] == (await vacuum.vacuum(rt._app())).skipped


async def test_a_file_that_was_not_made_by_turbine_says_what_to_do(tmp_path) -> None:
    import sqlite3

    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table theirs (x text)")
    connection.close()
    async with turbine.Runtime(f"sqlite:///{path}", workflows=[chain]) as rt:
        await bloat(rt)
        with pytest.raises(turbine.Conflict, match="pragma auto_vacuum"):
            await rt.vacuum()
        assert 32 == await _result(rt, 1)


async def test_a_database_in_memory_has_nothing_to_give_back() -> None:
    async with turbine.Runtime("sqlite://:memory:", workflows=[chain]) as rt:
        await bloat(rt)
        assert 0 == await rt.vacuum()
        assert (await vacuum.vacuum(rt._app())).done


async def test_the_size_is_noted_once_an_hour_by_whoever_looks_first_and_thinned_out_later(launch) -> None:
    clock = VirtualClock()
    clock.move_to(clock.now_ms() // DAY_MS * DAY_MS + DAY_MS + 1)
    start = clock.now_ms() - 1
    rt = await launch(chain, clock=clock)
    port = rt._app()
    surveyors = [SizeSampler(port), SizeSampler(port)]
    for surveyor in surveyors:
        assert await surveyor.tick() is None
    assert [] == await port.store.read(storage.sizes)
    for hour in range(24 * 4):
        clock.move_to(start + hour * HOUR_MS + 5)
        for surveyor in (*surveyors, *surveyors):
            await surveyor.tick()
    found = await port.store.read(storage.sizes)
    last = 24 * 4 - 1
    hourly = list(range(last - 48, last + 1))
    assert [start + hour * HOUR_MS for hour in (0, 24, *hourly)] == [one.at_ms for one in found]
    size = await port.store.read(storage.database_size)
    assert all(0 < one.bytes <= size and 0 <= one.free_bytes < one.bytes for one in found)
    await port.store.write(storage.measure, hour_ms=start + storage.SIZES_KEPT_MS + 25 * HOUR_MS)
    found = await port.store.read(storage.sizes)
    assert [start + 2 * DAY_MS, start + 3 * DAY_MS] == [one.at_ms for one in found][:2]
    assert 3 == len(found)


@pytest.mark.parametrize(
    ("hours", "used", "expected"),
    [
        ([], lambda hour: hour, None),
        ([0], lambda hour: 5, None),
        ([0, 10, 23], lambda hour: hour, None),
        ([0, 24], lambda hour: 100 + hour, 24),
        (range(48), lambda hour: 1000 - 2 * hour, -48),
        (range(0, 24 * 20, 6), lambda hour: 0 if hour < 24 * 12 else hour * 10, 240),
        ([0, 24, 48], lambda hour: 7, 0),
    ],
)
def test_growth_is_a_straight_line_through_the_last_week(hours, used, expected) -> None:
    sizes = [Size(hour * HOUR_MS, used(hour) + 50, 50) for hour in hours]
    found = growth_per_day(sizes)
    assert expected == (found if found is None else pytest.approx(found))
