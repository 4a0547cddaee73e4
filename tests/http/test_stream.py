"""The event stream: what moves is told, nothing twice, and a browser that comes back misses nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import turbine


@turbine.workflow(triggerable=True)
async def echo(value: int) -> int:
    return value


@turbine.workflow(triggerable=True)
async def gate() -> bool:
    return (await turbine.wait_for_approval()).approved


async def token_of(site: Any, role: str = "viewer") -> str:
    return (await site.rt.tokens.create(role, role)).token


async def begun(events: asyncio.Queue[dict[str, str]]) -> str:
    """The stream has begun: its status and its first mark."""
    assert {"event": "start", "status": "200"} == await events.get()
    while "id" not in (event := await events.get()):
        assert "retry" in event
    return event["id"]


async def next_run(events: asyncio.Queue[dict[str, str]], workflow_id: str, status: str) -> dict[str, str]:
    while True:
        event = await events.get()
        if event.get("event") == "run":
            told = json.loads(event["data"])
            if (told["workflow_id"], told["status"]) == (workflow_id, status):
                return event


async def next_list(events: asyncio.Queue[dict[str, str]], name: str) -> None:
    while True:
        event = await events.get()
        if event.get("event") == "changed" and name in json.loads(event["data"])["lists"]:
            return


async def test_runs_and_lists_that_change_are_told(open_site, listening) -> None:
    site = await open_site(echo, gate)
    async with listening(site, await token_of(site)) as events:
        await begun(events)
        await site.rt.run(echo.options(id="e1"), 1)
        told = json.loads((await next_run(events, "e1", "SUCCESS"))["data"])
        assert {"workflow_id", "name", "status", "at"} == told.keys()
        await site.rt.run(gate.options(id="g1"))
        await next_run(events, "g1", "WAITING_FOR_APPROVAL")
        await next_list(events, "approvals")
        await site.rt.kv.set("a", 1)
        await next_list(events, "kv")
        await site.rt.schedules.create("echo", "0 3 * * *", input=1)
        await next_list(events, "schedules")


async def test_what_another_process_does_is_told_too(open_site, listening, database_url) -> None:
    site = await open_site(echo)
    async with listening(site, await token_of(site)) as events:
        await begun(events)
        async with turbine.Runtime(database_url, workflows=[echo]) as other:
            await other.run(echo.options(id="far"), 1)
            await next_run(events, "far", "SUCCESS")
            await next_list(events, "executors")


async def test_a_client_that_comes_back_hears_what_it_missed_also_from_a_new_server(open_site, listening) -> None:
    site = await open_site(echo)
    token = await token_of(site)
    async with listening(site, token) as events:
        mark = await begun(events)
        await site.rt.run(echo.options(id="before"), 1)
        mark = (await next_run(events, "before", "SUCCESS"))["id"]
    for number in range(3):
        await (await site.rt.run(echo.options(id=f"missed{number}"), 1)).result()
    await site.rt.shutdown()
    await site.rt.launch()
    async with listening(site, token, mark) as events:
        await begun(events)
        for number in range(3):
            await next_run(events, f"missed{number}", "SUCCESS")


async def test_a_mark_that_is_too_old_or_of_elsewhere_makes_the_client_start_anew(open_site, listening) -> None:
    site = await open_site(echo)
    token = await token_of(site)
    handles = [await site.rt.run(echo, number) for number in range(201)]
    for handle in handles:
        await handle.result()
    for mark in ("0-0", "nonsense", "9999999999999-1", "1-99999"):
        async with listening(site, token, mark) as events:
            assert "start" == (await events.get())["event"]
            assert "reset" == (await events.get())["event"]


async def test_a_busy_server_tells_no_client_more_than_ten_events_a_second(open_site, listening) -> None:
    site = await open_site(echo)
    async with listening(site, await token_of(site)) as events:
        await begun(events)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while loop.time() < begin + 2:
            await (await site.rt.run(echo, 1)).result()
        assert 5 <= events.qsize() <= 2 * 10 + 5


async def test_a_stream_ends_when_its_token_is_revoked_also_while_there_is_much_to_tell(
    open_site, listening, monkeypatch
) -> None:
    monkeypatch.setattr("turbine.http.stream.PING", 0.4)
    monkeypatch.setattr("turbine.http.stream.SPACING", 0.05)
    site = await open_site(echo)
    made = await site.rt.tokens.create("ci", "viewer")
    async with listening(site, made.token) as events:
        await begun(events)
        await site.rt.tokens.delete(made.id)
        kinds = set[str | None]()
        while "end" not in kinds:
            await (await site.rt.run(echo, 1)).result()
            while not events.empty():
                kinds.add(events.get_nowait().get("event"))
    assert None not in kinds  # it never was so quiet that a ping was due


async def test_nobody_looks_at_the_database_when_nobody_listens(open_site, listening) -> None:
    site = await open_site(echo)
    gate_ = next(route.app for route in site.app.router.routes if getattr(route, "path", "") == "/api/pt")
    stream = gate_.app.state.stream
    async with listening(site, await token_of(site)) as events:
        await begun(events)
        assert stream._poller is not None
        assert site.rt._probe.listeners
    assert stream._poller is None
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not site.rt._probe.listeners
