"""A month of a small shop, lived through in two minutes: what the pictures of the dashboard show.

The clock is set back and jumps forward between rounds; everything else is real: runs, queues, schedules, a receiver of
webhooks that now and then refuses, people who decide and change things, and a process that is killed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx

import turbine
from turbine.loops.size_sampler import HOUR_MS
from turbine.operations.accounts import Accounts
from turbine.tables import storage
from turbine.testing.clock import VirtualClock

ROOT = Path(__file__).parents[1]
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"  # noqa: S105 - of a shop that lives for two minutes
DAYS_BEFORE = [timedelta(days=number) for number in range(32, 1, -1)]
HOURS_BEFORE = [timedelta(hours=number) for number in range(30, -1, -1)]
ROUND = 0.6
"""Seconds that a round has at least."""


def load_shop() -> ModuleType:
    """The shop of the browser tests, at a pace at which its steps can be seen."""
    os.environ.setdefault("SHOP_PACE", "1")
    spec = importlib.util.spec_from_file_location("shop", ROOT / "tests" / "browser" / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop"] = module
    spec.loader.exec_module(module)
    return module


shop = load_shop()


class FeedBroken(Exception):
    """A supplier sent what nobody can read."""


@turbine.step(retries=1, base_interval=0.05)
async def fetch_feed(supplier: str) -> int:
    await shop.work(0.1)
    if random.random() < 0.12:
        raise ConnectionError(f"{supplier} closed the connection after 30 s")
    return random.randint(40, 900)


@turbine.step
async def read_feed(supplier: str, lines: int) -> int:
    if random.random() < 0.1:
        turbine.logger().error("line %d of %s has no price", random.randint(1, lines), supplier)
        raise FeedBroken(f"the feed of {supplier} has a line without a price")
    turbine.logger().info("%s: %d items", supplier, lines)
    return lines


@turbine.workflow(triggerable=True, tags=["stock"], queue="imports", summary=lambda supplier, full=False: supplier)
async def import_feed(supplier: str, full: bool = False) -> int:
    """Take the prices of a supplier into the catalogue.

    A full import also removes what the supplier does not sell any more.
    """
    return await read_feed(supplier, await fetch_feed(supplier))


@turbine.workflow(schedule=turbine.Schedule.cron("15 * * * *", "Europe/Berlin", jitter=30), tags=["stock"])
async def count_stock(tick: datetime) -> int:
    """Count what is on the shelves, every hour."""
    return await fetch_feed("shelves")


WORKFLOWS = [*shop.WORKFLOWS, import_feed, count_stock]
SUPPLIERS = ["lamps-and-more", "cable-works", "northern-glass", "old-town-tools"]


def declare_queues(rt: turbine.Runtime) -> None:
    """The same in every process."""
    rt.queue("render", worker_concurrency=2, global_concurrency=6)
    rt.queue("imports", partitioned=True, rate_limit=turbine.RateLimit(100, per=60))


def runtime(database: str, **settings: Any) -> turbine.Runtime:
    """A process of the shop."""
    rt = turbine.Runtime(
        database,
        workflows=WORKFLOWS,
        shutdown_timeout=0,
        allow_private_addresses=True,
        gc_retention=None,
        **settings,
    )
    declare_queues(rt)
    return rt


@asynccontextmanager
async def accounting() -> AsyncGenerator[str]:
    """The server that hears of orders; where it is."""
    receiver = await asyncio.start_server(_receive, "127.0.0.1", 0)
    async with receiver:
        yield f"localhost:{receiver.sockets[0].getsockname()[1]}"


async def live_through(database: str, where: str) -> None:
    """A month of the shop, ending now."""
    behind = DAYS_BEFORE[0]
    clock = VirtualClock(datetime.now(UTC) - behind)

    async def tick() -> None:
        while True:
            clock.move_to(round((time.time() - behind.total_seconds()) * 1000))
            await asyncio.sleep(0.005)

    rt = runtime(database, clock=clock, executor_id="shop-1", application_version="2026.10")
    ticking = asyncio.create_task(tick())
    await rt.launch()
    await _furnish(rt, where)
    wishes = [wish for wish in shop.wishes() if wish.name != "render_video"]
    lasting = [wish for wish in wishes if wish.name not in ("send_invoice", "place_order")]
    orders = [wish for wish in wishes if wish.name == "place_order"]
    invoices = [wish for wish in wishes if wish.name == "send_invoice"]
    for number, behind in enumerate([*DAYS_BEFORE, *HOURS_BEFORE]):
        await asyncio.sleep(0.05)
        for again in range(random.randint(2, 5)):
            # Most customers can pay.
            wish = random.choice([*orders[:6], *orders[:6], *orders[6:8], *invoices[:12]])
            await rt.trigger(wish.name, wish.input, id=f"{wish.id}-{number}{again}")
        if number % 2 == 0:
            await _import(rt, number)
        if behind in HOURS_BEFORE and invoices:
            wish = invoices.pop()
            await rt.trigger(wish.name, wish.input, id=wish.id)
        await _settle(rt)
        await _survey(rt, clock)
    for wish in (*orders, *invoices, *lasting):
        await rt.trigger(wish.name, wish.input, id=wish.id)
    for number in range(9):
        await _import(rt, 100 + number)
    await asyncio.sleep(4 * ROUND)
    await rt.shutdown()
    ticking.cancel()


async def _import(rt: turbine.Runtime, number: int) -> None:
    supplier = random.choice(SUPPLIERS)
    await rt.run(import_feed.options(id=f"feed-{number}", partition_key=supplier), supplier)


async def _survey(rt: turbine.Runtime, clock: VirtualClock) -> None:
    """What the surveyor does once an hour: it looks at the real time, in which this month is over in minutes."""
    now_ms = clock.now_ms()
    store = rt._port().store  # pyright: ignore[reportPrivateUsage]
    await store.write(storage.measure, hour_ms=now_ms - now_ms % HOUR_MS)


async def _settle(rt: turbine.Runtime) -> None:
    """A moment, and until nobody is at work: the clock is about to jump."""
    await asyncio.sleep(ROUND)
    quick = ["place_order", "send_invoice", "import_feed"]
    for _ in range(100):
        open_ = (await rt.list(name=quick, status=["PENDING", "ENQUEUED"], limit=20)).items
        if not open_:
            return
        await asyncio.sleep(0.05)


async def _furnish(rt: turbine.Runtime, where: str) -> None:
    await rt.kv.set("config/limits", {"release_above": 1500, "currencies": ["EUR"]})
    await rt.kv.set_schema("config/limits", shop.LIMITS)
    await rt.kv.set("config/carriers", ["dhl", "ups", "post"])
    await rt.kv.set("campaign/autumn", {"from": "2026-10-01", "discount": 0.15})
    await rt.kv.set("counters/parcels", 18233)
    await rt.webhooks.create(
        url=f"http://{where}/hooks/orders",
        events=["workflow.SUCCESS", "workflow.ERROR"],
        secret="whsec_c2hvcA==",  # noqa: S106
    )
    night = turbine.QuietHours("22:00", "07:00", "Europe/Berlin", urgent=("workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED",))
    await rt.alert_channels.create(name="on-call", url=f"ntfy://{where}/shop", events=["workflow.ERROR"], quiet=night)
    await rt.alert_channels.create(name="office", url="mailto://shop:secret@example.com", enabled=False)
    once = turbine.Schedule.once(datetime.now(UTC) + timedelta(days=3))
    await rt.schedules.create("send_invoice", "0 8 1 * *", input={"order_id": "monthly"}, name="monthly-invoices")
    await rt.schedules.create("remind_later", once, input={"name": "inventory"}, name="inventory")
    weekly = turbine.Schedule.cron("30 6 * * 1", "Europe/Berlin", catch_up="none", overlap="skip")
    full = await rt.schedules.create("import_feed", weekly, input={"supplier": "lamps-and-more"}, name="weekly-import")
    await rt.schedules.disable(full.id, "the supplier moves its servers until Friday")


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The shop's accounting, which is not always well."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        line = b"503 Service Unavailable" if random.random() < 0.06 else b"200 OK"
        writer.write(b"HTTP/1.1 " + line + b"\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        return  # the client went first
    finally:
        writer.close()


async def staff(rt: turbine.Runtime, api: str) -> None:
    """People and programs, and what they did today."""
    accounts = Accounts(rt._port)  # pyright: ignore[reportPrivateUsage]
    await accounts.create(EMAIL, PASSWORD, "admin")
    await accounts.create("grace@example.com", PASSWORD, "operator")
    await accounts.create("alan@example.com", PASSWORD, "viewer")
    await rt.tokens.create("grafana", "viewer")
    await rt.tokens.create("deploy", "operator", timedelta(days=90))
    films = [wish for wish in shop.wishes() if wish.name == "render_video"]
    async with httpx.AsyncClient(base_url=api) as client:
        client.headers["x-csrf-token"] = (
            await client.post("login", json={"email": EMAIL, "password": PASSWORD})
        ).json()["csrf"]
        asked: list[tuple[str, str, Any]] = [
            *(("POST", "trigger", {"name": wish.name, "input": wish.input, "id": wish.id}) for wish in films),
            ("PATCH", "queues/render", {"global_concurrency": 6}),
            ("POST", "queues/imports/pause", None),
            ("POST", "queues/imports/resume", None),
            ("PUT", "kv/config%2Flimits", {"value": {"release_above": 2000, "currencies": ["EUR", "USD"]}}),
            ("PUT", "kv/campaign%2Fautumn", {"value": {"from": "2026-10-01", "discount": 0.2, "code": "LEAVES"}}),
            ("POST", "workflows/film-5/cancel", {"reason": "ordered twice"}),
            (
                "POST",
                "workflows/order-1002/fork",
                {"from_step": 6, "edits": {"5": "ch_by_hand"}, "new_id": "order-1002-again"},
            ),
            ("POST", "workflows/payment-1/send", {"topic": "other", "message": {"amount": "12.00"}}),
        ]
        for method, path, body in asked:
            answer = await client.request(method, path, json=body)
            assert answer.is_success, f"{method} {path}: {answer.text}"
        gates = (await client.get("approvals")).json()["items"]
        refund = next(gate for gate in gates if gate["workflow_id"] == "refund-78")
        await client.post(f"approvals/{refund['id']}/decide", json={"approved": True, "comment": "seen the photos"})


async def colleague(database: str, name: str) -> subprocess.Popen[str]:
    """Another process of the shop."""
    command = [sys.executable, __file__, database, name]
    process = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    await asyncio.to_thread(process.stdout.readline)
    return process


async def lose_a_colleague(database: str) -> None:
    """A process that is killed while it renders."""
    process = await colleague(database, "shop-2")
    await asyncio.sleep(1)
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)


async def _work(database: str, name: str) -> None:
    rt = runtime(database, executor_id=name, application_version="2026.11")
    async with rt:
        print(json.dumps({"executor": name}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    import shop_month  # under the name that other processes know its workflows by

    asyncio.run(shop_month._work(*sys.argv[1:3]))
