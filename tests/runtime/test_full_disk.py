"""A database that refuses writes for a while: nothing of that becomes an outcome."""

from __future__ import annotations

import asyncio

import turbine
from turbine.store import Statement, Tx

done: list[str] = []

SIZE = Statement("size", sqlite="pragma page_count", postgres="")


@turbine.step
async def charge() -> str:
    done.append("charge")
    return "x" * 4_000_000


@turbine.step
async def refund() -> None:
    done.append("refund")


@turbine.workflow
async def buy() -> str:
    try:
        await charge()
    except Exception:  # noqa: BLE001 - what a careless body does is what is tested
        await refund()
        return "refunded"
    return "bought"


async def test_a_body_cannot_take_a_full_disk_for_the_failure_of_its_step(sqlite_url):
    done.clear()
    async with turbine.Runtime(sqlite_url, workflows=[buy]) as rt:
        store = rt._port().store

        def allow(tx: Tx, *, pages: int) -> None:
            tx.all(Statement("limit", sqlite=f"pragma max_page_count = {pages}", postgres=""))

        (pages,) = (await store.write(lambda tx: tx.one(SIZE))) or (0,)
        await store.write(allow, pages=pages + 100)
        handle = await rt.run(buy)
        for _ in range(200):
            if len(done) >= 2:  # refused once, and repeated
                break
            await asyncio.sleep(0.02)

        await store.write(allow, pages=1_000_000)

        assert "bought" == await handle.result(timeout=20)
    assert {"charge"} == set(done)
