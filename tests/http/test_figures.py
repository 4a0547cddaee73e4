"""Overviews over many runs, over HTTP: what they count, and what they leave out."""

from __future__ import annotations

from typing import Any

import turbine
from turbine.queries import metrics as queries
from turbine.store import Statement
from turbine.tables import metrics

HOUR_MS = 3_600_000


@turbine.workflow
async def place(order: int) -> int:
    if order < 0:
        raise ValueError("no such order")
    return order


@turbine.workflow
async def listen() -> str:
    return await turbine.recv("news", type=str)


async def test_the_calendar_counts_open_runs_too_and_takes_a_tag_as_it_is(open_site) -> None:
    site = await open_site(place, listen)
    viewer = await site.holder("viewer")
    for tag in ("orders", "orders-of-old", "Orders"):
        await (await site.rt.run(place.options(tags=[tag]), 1)).result()
    failed = await site.rt.run(place.options(tags=["orders"]), -1)
    await site.rt.run(listen.options(id="open", tags=["orders"]))
    await site.rt.run(listen.options(id="stopped", tags=["orders"]))
    await site.rt.cancel("stopped")
    await site.rt.wait_idle()
    assert (await failed.status()).status == "ERROR"

    async def counts(**more: Any) -> tuple[int, ...]:
        created_ms = round((await failed.status()).created_at.timestamp() * 1000)
        asked = {"from_ms": created_ms - HOUR_MS, "to_ms": created_ms + HOUR_MS, "bucket_mins": 60}
        answer = await viewer.get("calendar", params=asked | more)
        assert 200 == answer.status_code, answer.text
        days = answer.json()["days"]
        return tuple(sum(day[name] for day in days) for name in ("success", "error", "cancelled", "open"))

    assert (3, 1, 1, 1) == await counts()
    assert (1, 1, 1, 1) == await counts(tag="orders")
    assert (1, 0, 0, 0) == await counts(tag="orders-of-old")
    assert (0, 0, 0, 0) == await counts(tag="order")
    assert (0, 0, 0, 1) == await counts(tag="orders", status="PENDING")


async def test_a_queue_counts_who_waits_and_who_runs_apart(open_site) -> None:
    site = await open_site(listen, place, queues=("mail",))  # two at once
    viewer = await site.holder("viewer")
    for number in range(5):
        await site.rt.run(listen.options(id=f"{number}", queue="mail"))
    await site.rt.wait_idle()

    async def counts() -> tuple[int, ...]:
        stats = (await viewer.get("queues/mail/stats")).json()
        return tuple(stats[name] for name in ("enqueued", "running", "completed", "failed"))

    assert (3, 2, 0, 0) == await counts()
    await site.rt.send("0", "hello", "news")
    await site.rt.retrieve("0").result()
    await site.rt.wait_idle()
    assert (2, 2, 1, 0) == await counts()


async def test_figures_of_a_sample_are_of_the_time_that_is_counted_whole(open_site, monkeypatch) -> None:
    site = await open_site(place)
    viewer = await site.holder("viewer")
    store = site.rt._app().store
    now_ms = site.rt._app().clock.now_ms()
    move = Statement.of("update pt_runs set completed_at_epoch_ms = :at where id = :id")
    for number in range(6):  # two in each of three spans of five minutes
        handle = await site.rt.run(place.options(id=f"{number}"), -1 if number == 0 else 1)
        await site.rt.wait_idle()
        await handle.status()
        at_ms = now_ms // 300_000 * 300_000 - number // 2 * 300_000 - 1 - number
        await store.write(lambda tx, at, id: tx.run(move, at=at, id=id) and None, at=at_ms, id=f"{number}")

    async def summary() -> tuple[int, int, int, bool]:
        found = (await viewer.get("metrics/summary?hours=1")).json()
        assert found["finished"] == sum(one["finished"] for one in found["throughput"])
        assert found["since"] <= found["throughput"][0]["time"] or found["sampled"]
        return found["finished"], found["failed"], len(found["throughput"]), found["sampled"]

    whole = await summary()
    assert (6, 1, False) == (whole[0], whole[1], whole[3])
    monkeypatch.setattr(metrics, "ENDED_MAX", 5)  # the oldest span is half seen, and left out
    assert (4, 1, True) == ((seen := await summary())[0], seen[1], seen[3])
    assert seen[2] < whole[2]


async def test_among_many_runs_a_summary_tells_their_counts_again_for_a_moment(open_site, monkeypatch) -> None:
    site = await open_site(place)
    viewer = await site.holder("viewer")

    async def counted(path: str) -> int:
        return (await viewer.get(path)).json()["by_status"]["SUCCESS"]

    async def one_more() -> None:
        await (await site.rt.run(place, 1)).result()
        await site.rt.wait_idle()

    await one_more()
    assert 1 == await counted("metrics/summary")
    await one_more()
    assert 2 == await counted("metrics/summary")  # so few are always counted
    monkeypatch.setattr(queries, "STATUS_CACHE_MIN", 2)
    monkeypatch.setattr(queries, "STATUS_CACHE_MS", 3_600_000)
    assert 2 == await counted("metrics/summary")
    await one_more()
    assert (2, 3) == (await counted("metrics/summary"), await counted("workflows/stats"))
    monkeypatch.setattr(queries, "STATUS_CACHE_MS", 0)
    assert 3 == await counted("metrics/summary")
