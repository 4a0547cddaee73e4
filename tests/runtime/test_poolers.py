"""Postgres behind a pooler: nothing is kept in a session, and no run suffers from connections that change hands."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

import turbine
from turbine import Runtime
from turbine.store import Statement

pytestmark = pytest.mark.postgres

MODES = [
    {"pool_mode": "transaction"},
    {"pool_mode": "transaction", "max_prepared_statements": "100"},
    {"pool_mode": "session", "default_pool_size": "60"},
]


@turbine.step
async def add(number: int) -> int:
    return number + 1


@turbine.workflow
async def chain(number: int) -> int:
    for _ in range(5):
        number = await add(number)
    decision = await turbine.wait_for_approval()
    assert decision.approved
    return number + await turbine.recv("go", type=int)


@turbine.workflow
async def echo() -> str:
    return await turbine.recv("word", type=str)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("mode", MODES, ids=["transaction", "transaction, prepared", "session"])
async def test_runs_with_messages_and_approvals_go_through_a_pool_in_two_processes(
    pgbouncer: Callable[..., Any], mode: dict[str, str]
) -> None:
    url = pgbouncer(**{"default_pool_size": "5", **mode}).url
    settings: dict[str, Any] = {"workflows": [chain], "park_after": 0.05}
    async with Runtime(url, **settings) as one, Runtime(url, **settings) as other:
        ids = [f"run-{number}" for number in range(40)]
        handles = [await (one, other)[n % 2].run(chain.options(id=id_), n) for n, id_ in enumerate(ids)]
        for n, id_ in enumerate(ids):
            while not (await one.approvals.list(id_)).items:  # noqa: ASYNC110 - the row is the only witness
                await asyncio.sleep(0.02)
            await (one, other)[n % 2].approve(id_)
            await (other, one)[n % 2].send(id_, 100, topic="go")
        results = [await handle.result() for handle in handles]
        statuses = [await one.status(id_) for id_ in ids]

    assert [number + 105 for number in range(40)] == results
    assert [None] * 40 == [status.attention for status in statuses]


async def test_a_pooler_is_recognised_by_itself(pgbouncer: Callable[..., Any], postgres_url: str) -> None:
    async with Runtime(pgbouncer(pool_mode="transaction").url) as rt, Runtime(postgres_url) as direct:
        assert rt._app().store.source.pooler is True
        assert direct._app().store.source.pooler is False


async def test_what_the_settings_say_of_a_pooler_is_believed(postgres_url: str) -> None:
    async with Runtime(postgres_url, workflows=[chain], pooler=True) as rt:
        await rt.run(chain.options(id="a"), 1)
        assert rt._app().store.source.pooler is True
        names = await rt._app().store.read(lambda tx: tx.rows(PREPARED))
    assert [] == names


PREPARED = Statement.of("select name from pg_prepared_statements")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("listens", [True, False], ids=["listen_url", "polling"])
async def test_a_message_from_another_process_is_heard_through_a_pool(
    pgbouncer: Callable[..., Any], postgres_url: str, listens: bool
) -> None:
    url = pgbouncer(pool_mode="transaction", default_pool_size="5").url
    settings = {"listen_url": postgres_url} if listens else {}
    async with Runtime(url, workflows=[echo], **settings) as worker, Runtime(url, **settings) as client:
        took = []
        for number in range(10):
            handle = await worker.run(echo.options(id=f"echo-{number}"))
            await worker.wait_idle()
            began = time.monotonic()
            await client.send(f"echo-{number}", "hello", topic="word")
            assert "hello" == await client.retrieve(f"echo-{number}", str).result()
            took.append(time.monotonic() - began)
            await handle.result()
    print(f"send to result: {statistics.median(took) * 1000:.1f} ms")
