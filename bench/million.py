"""Asks a served database whatever the dashboard asks: `python -m bench.million DATABASE_URL`.

The database is one that `bench/fill` has filled. It is served by `turbine serve` in a process of its own, and asked by
one client over HTTP, with an account's checks and all; every figure is the time until the whole answer was read.
"""

import argparse
import asyncio
import contextlib
import datetime as dt
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from rich.console import Console
from rich.table import Table

from bench.crowd import KINDS, QUEUES, runtime

ROOT = Path(__file__).parents[1]
LIMIT_MS = 100.0
WARM_UP = 3
DAY = dt.timedelta(days=1)
RequestSchema = tuple[str, list[str]]


@dataclass(slots=True)
class Client:
    """One connection that stays open, as a browser's does."""

    port: int
    token: str
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def get(self, path: str) -> bytes:
        self.connection.request("GET", f"/api/pt/{path}", headers={"authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}: {body[:300]!r}")
        return body

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))


def main() -> None:
    """Measure, print the table; the exit status says whether every route kept within its limit."""
    parser = argparse.ArgumentParser(prog="bench.million", description="Measure every read of the dashboard.")
    parser.add_argument("url", metavar="DATABASE_URL", help="of a database that bench/fill has filled")
    parser.add_argument("--requests", type=int, default=30, help="of each route, after three to warm up")
    parser.add_argument("--only", default="", help="only routes whose name holds this")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures into this file")
    words = parser.parse_args()
    token = asyncio.run(make_token(words.url))
    with served(words.url) as port:
        client = Client(port, token)
        found = [
            (name, *measure(client, paths, words.requests)) for name, paths in questions(client) if words.only in name
        ]
    show(found)
    if words.json:
        words.json.write_text(json.dumps({name: {"p50": a, "p95": b, "max": c} for name, a, b, c in found}, indent=1))
    sys.exit(any(p95 > LIMIT_MS for _, _, p95, _ in found))


async def make_token(url: str) -> str:
    """A new admin's token: every request is checked, as in life."""
    async with runtime(url) as rt:
        token = (await rt.tokens.create(f"bench-{random.getrandbits(32)}", "admin")).token
    assert token is not None
    return token


@contextlib.contextmanager
def served(url: str) -> Iterator[int]:
    """A server of its own on this database, for as long as it is needed; the port it listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {**os.environ, "TURBINE_DATABASE_URL": url}
    command = [str(Path(sys.executable).with_name("turbine")), "serve", "bench.crowd:rt", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        await_health(port, process)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_health(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/api/pt/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise SystemExit("the server did not become healthy within a minute")


def measure(client: Client, paths: list[str], count: int) -> tuple[float, float, float]:
    """p50, p95 and the longest, in milliseconds; several paths take turns."""
    for number in range(WARM_UP):
        client.get(paths[number % len(paths)])
    spans: list[float] = []
    for number in range(count):
        began = time.perf_counter()
        client.get(paths[number % len(paths)])
        spans.append((time.perf_counter() - began) * 1000)
    spans.sort()
    return spans[len(spans) // 2], spans[min(len(spans) - 1, int(len(spans) * 0.95))], spans[-1]


def show(found: list[tuple[str, float, float, float]]) -> None:
    table = Table("asked", title="ms over HTTP")
    for name in ("p50", "p95", "max"):
        table.add_column(name, justify="right")
    for name, p50, p95, longest in found:
        table.add_row(name, f"{p50:.1f}", f"{p95:.1f}", f"{longest:.1f}", style="red" if p95 > LIMIT_MS else "")
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def path(route: str, **query: Any) -> str:
    named = {name: value for name, value in query.items() if value is not None}
    return f"{route}?{urlencode(named, doseq=True)}" if named else route


def ago(days: float) -> str:
    return (dt.datetime.now(dt.UTC) - days * DAY).isoformat(timespec="seconds").replace("+00:00", "Z")


def questions(client: Client) -> Iterator[RequestSchema]:
    """What the pages ask, by name."""
    yield from runs_page(client)
    yield from overviews()
    yield from nouns(client)
    yield from run_pages(client)


RANGES = {"15m": 1 / 96, "1h": 1 / 24, "24h": 1.0, "7d": 7.0, "30d": 30.0}
FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    **{f"status {status}": {"status": status} for status in (
        "SUCCESS", "ERROR", "CANCELLED", "PENDING", "ENQUEUED", "WAITING_FOR_APPROVAL", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
    )},
    "two statuses": {"status": ["ERROR", "CANCELLED"]},
    "three open statuses": {"status": ["PENDING", "ENQUEUED", "WAITING_FOR_APPROVAL"]},
    "workflow, frequent": {"name": "place_order"},
    "workflow, rare": {"name": "migrate_tenant"},
    "two workflows": {"name": ["place_order", "refund"]},
    "workflow and ERROR": {"name": "place_order", "status": "ERROR"},
    "rare workflow and ERROR": {"name": "migrate_tenant", "status": "ERROR"},
    "workflow and PENDING": {"name": "place_order", "status": "PENDING"},
    "queue": {"queue": "render"},
    "queue and ERROR": {"queue": "render", "status": "ERROR"},
    "queue and ENQUEUED": {"queue": "imports", "status": "ENQUEUED"},
    "two queues": {"queue": ["render", "imports"]},
    "queue and workflow": {"queue": "render", "name": "translate"},
    "tag, frequent": {"tag": "shop"},
    "tag, rare": {"tag": "rare"},
    "tag, of one customer": {"tag": "customer-16"},
    "tag and ERROR": {"tag": "shop", "status": "ERROR"},
    "tag and workflow": {"tag": "money", "name": "refund"},
    "tag, queue and status": {"tag": "ml", "queue": "learning", "status": "CANCELLED"},
    "two tags": {"tag": ["nightly", "money"]},
    "unknown tag": {"tag": "nobody"},
    "version": {"version": "2026.07"},
    "version and ERROR": {"version": "2026.07", "status": "ERROR"},
    "unknown version": {"version": "1999.01"},
    "executor": {"executor_id": "host-03-1"},
    "executor and ERROR": {"executor_id": "host-03-1", "status": "ERROR"},
    "unknown executor": {"executor_id": "nobody"},
    "unknown parent": {"parent_id": "nobody"},
    "unknown workflow": {"name": "nobody"},
}  # fmt: skip
SEARCHES = {
    "search, absent": "qqqxyz",
    "search, rare": "zanzibar",
    "search, one run": "migrate tenant for ada",
    "search, frequent": "pallet",
    "search, in nearly all": "customer",
    "search, error text": "connection refused",
    "search, two letters": "zz",
    "search, a type": "PaymentDeclined",
}


def runs_page(client: Client) -> Iterator[RequestSchema]:
    parent = next(
        one for one in client.json("workflows?name=send_invoice&limit=50")["items"] if one["parent_workflow_id"]
    )
    filters = {**FILTERS, "parent": {"parent_id": parent["parent_workflow_id"]}}
    filters |= {name: {"search": text} for name, text in SEARCHES.items()}
    filters |= {
        f"{name} and {more}": {"search": SEARCHES[name], **FILTERS[more]}
        for name in ("search, rare", "search, frequent", "search, absent")
        for more in ("status ERROR", "workflow, rare", "tag, rare", "queue")
    }
    for label, days in RANGES.items():
        filters[f"last {label}"] = {"created_after": ago(days)}
    for label in ("24h", "30d"):
        for more in ("status ERROR", "workflow, frequent", "tag, frequent", "version", "executor", "queue"):
            filters[f"last {label}, {more}"] = {"created_after": ago(RANGES[label]), **FILTERS[more]}
    filters["two months ago"] = {"created_after": ago(62), "created_before": ago(60)}
    filters["two months ago, ERROR"] = {"created_after": ago(62), "created_before": ago(60), "status": "ERROR"}
    filters["two months ago, workflow"] = {"created_after": ago(62), "created_before": ago(60), "name": "refund"}
    filters["before the first run"] = {"created_before": ago(400)}
    for label, wanted in filters.items():
        first = client.json(path("workflows", **wanted, limit=100))
        yield f"list: {label}", [path("workflows", **wanted, limit=100)]
        if first["next_cursor"]:
            yield f"list, page 2: {label}", [path("workflows", **wanted, limit=100, cursor=first["next_cursor"])]
        yield f"count: {label}", [path("workflows/count", **wanted)]
    for label in ("no filter", "status ERROR", "workflow, frequent", "tag, frequent", "queue", "executor", "version"):
        cursors = [client_cursor(client, days) for days in (85, 60, 30, 10, 3)]
        yield f"list, deep: {label}", [path("workflows", **FILTERS[label], limit=100, cursor=key) for key in cursors]
        yield f"list, oldest first: {label}", [path("workflows", **FILTERS[label], limit=100, ascending="true")]
    for label in ("no filter", "status ERROR", "workflow, frequent", "tag, frequent", "queue", "search, frequent",
                  "search, rare", "last 24h", "last 30d"):  # fmt: skip
        yield f"scatter: {label}", [path("scatter", **filters[label])]
    newest = [one["workflow_id"] for one in client.json("workflows?limit=100")["items"]]
    yield "list: a hundred ids", [path("workflows", ids=newest, limit=100)]
    yield "palette", [path("workflows", limit=6), path("workflows", search="order for", limit=6)]


def client_cursor(client: Client, days: float) -> str:
    """A cursor that leads so many days back."""
    return client.json(path("workflows", created_before=ago(days), limit=1))["next_cursor"]


def overviews() -> Iterator[RequestSchema]:
    now_ms = int(time.time() * 1000)
    day_ms = 86_400_000
    weeks = {"from_ms": now_ms // day_ms * day_ms - 8 * 7 * day_ms, "to_ms": now_ms // day_ms * day_ms + 21 * day_ms}
    yield "stats", ["workflows/stats"]
    yield "stats, a week", [path("workflows/stats", **{"from": ago(7)})]
    yield "tags", ["tags"]
    for days in (1, 7, 30):
        yield f"errors, {days} d", [path("errors", **{"from": ago(days)})]
    yield "errors, all", ["errors"]
    yield "calendar", [path("calendar", **weeks, bucket_mins=1440)]
    yield "calendar, one status", [path("calendar", **weeks, bucket_mins=1440, status="ERROR")]
    yield "calendar, hours of a month", [path("calendar", from_ms=now_ms - 30 * day_ms, to_ms=now_ms, bucket_mins=60)]
    for name in ("place_order", "migrate_tenant"):
        yield f"calendar, {name}", [path("calendar", **weeks, bucket_mins=1440, name=name)]
        yield (
            f"calendar, {name}, hours",
            [path("calendar", from_ms=now_ms - 30 * day_ms, to_ms=now_ms, bucket_mins=60, name=name)],
        )
    yield "calendar, frequent tag", [path("calendar", **weeks, bucket_mins=1440, tag="shop")]
    yield "calendar, rare tag", [path("calendar", **weeks, bucket_mins=1440, tag="rare")]
    for hours in (24, 168, 744):
        yield f"metrics/summary, {hours} h", [path("metrics/summary", hours=hours)]
    yield "metrics", ["metrics"]


def nouns(client: Client) -> Iterator[RequestSchema]:
    yield "registered", [path("registered", limit=500)]
    for kind in KINDS:
        if kind.name in ("place_order", "render_thumbnail", "migrate_tenant"):
            yield f"registered/{kind.name}", [f"registered/{kind.name}"]
    yield "queues", [path("queues", limit=500)]
    for name in QUEUES:
        yield f"queues/{name}", [f"queues/{name}"]
        yield f"queues/{name}/stats", [f"queues/{name}/stats"]
    for open_ in ("true", "false", "all"):
        yield from pages(client, f"approvals, open={open_}", "approvals", open=open_, limit=200)
    yield from pages(client, "schedules", "schedules", limit=500)
    yield "schedules/{id}", [f"schedules/{client.json('schedules?limit=1')['items'][0]['id']}"]
    yield from pages(client, "products", "products", limit=100)
    for status in ("stored", "sent", "failed"):
        yield from pages(client, f"products, {status}", "products", status=status, limit=100)
    for label, text in {"frequent": "invoice", "rare": "77777", "absent": "nothing"}.items():
        yield from pages(client, f"products, {label} text", "products", search=text, limit=100)
    yield from pages(client, "deliveries", "deliveries", limit=100)
    for status in ("pending", "delivered", "dead"):
        yield from pages(client, f"deliveries, {status}", "deliveries", status=status, limit=100)
    hook = client.json("webhooks")["items"][0]["id"]
    wanted = {"kind": "webhook", "event": "workflow.ERROR", "target": hook}
    for name, value in wanted.items():
        yield from pages(client, f"deliveries, {name}", "deliveries", **{name: value}, limit=100)
        yield from pages(client, f"deliveries, {name}, dead", "deliveries", **{name: value}, status="dead", limit=100)
    yield from pages(client, "deliveries, kind, target, dead", "deliveries", **wanted, status="dead", limit=100)
    yield "deliveries/{id}", [f"deliveries/{client.json('deliveries?limit=1')['items'][0]['id']}"]
    yield from pages(client, "logs", "logs", limit=200)
    for level in ("INFO", "WARNING", "ERROR"):
        yield from pages(client, f"logs, {level}", "logs", level=level, limit=200)
    for label, text in {"frequent": "ready", "rare": "begins with 999999", "absent": "nothing at all"}.items():
        yield from pages(client, f"logs, {label} text", "logs", search=text, limit=200)
    yield from pages(client, "logs, frequent text, ERROR", "logs", search="part", level="ERROR", limit=200)
    yield from pages(client, "audit", "audit", limit=100)
    for name, value in {"actor": "ada@example.org", "action": "workflow.cancel", "target": "nobody"}.items():
        yield from pages(client, f"audit, {name}", "audit", **{name: value}, limit=100)
    yield from pages(client, "audit, actor and action", "audit", actor="token:ci", action="workflow.cancel", limit=100)
    yield from pages(client, "audit, two months ago", "audit", after=ago(62), before=ago(60), limit=100)
    yield from pages(client, "kv", "kv", limit=100)
    yield from pages(client, "kv, prefix", "kv", prefix="config/jane/", limit=100)
    for route in ("executors", "webhooks", "alert-channels", "settings", "session", "health", "accounts", "tokens",
                  "sessions"):  # fmt: skip
        yield route, [route]


def pages(client: Client, label: str, route: str, **query: Any) -> Iterator[RequestSchema]:
    """A list, and its second page if it has one."""
    yield label, [path(route, **query)]
    cursor = client.json(path(route, **query))["next_cursor"]
    if cursor:
        yield f"{label}, page 2", [path(route, **query, cursor=cursor)]


def run_pages(client: Client) -> Iterator[RequestSchema]:
    """All that the page of a run asks: of an ordinary one, a failed, an open one, and one with thousands of steps."""
    chosen = {
        "run": client.json(path("workflows", status="SUCCESS", name="place_order", created_before=ago(2), limit=1)),
        "failed run": client.json("workflows?status=ERROR&limit=1"),
        "waiting run": client.json("workflows?status=WAITING_FOR_APPROVAL&limit=1"),
        "queued run": client.json("workflows?status=ENQUEUED&queue=imports&limit=1"),
        "long run": client.json(path("workflows", search="long book", limit=1)),
    }
    for label, page in chosen.items():
        run = f"workflows/{quote(page['items'][0]['workflow_id'], safe='')}"
        yield label, [f"{run}?payload_limit=65536"]
        yield f"{label}: steps", [path(f"{run}/steps", limit=500)]
        cursor = client.json(path(f"{run}/steps", limit=500))["next_cursor"]
        if cursor:
            yield f"{label}: steps, page 2", [path(f"{run}/steps", limit=500, cursor=cursor)]
        yield f"{label}: steps-tree", [f"{run}/steps-tree"]
        for part in ("family", "explain", "waits", "messages", "values", "logs", "audit", "input", "output"):
            yield f"{label}: {part}", [f"{run}/{part}"]
        yield f"{label}: logs, ERROR", [path(f"{run}/logs", level="ERROR", limit=200)]
        yield (
            f"{label}: approvals",
            [path("approvals", workflow_id=page["items"][0]["workflow_id"], open="all", limit=100)],
        )
        yield f"{label}: products", [path("products", workflow_id=page["items"][0]["workflow_id"], limit=200)]
        steps = client.json(path(f"{run}/steps", limit=500))["items"]
        if steps:
            yield f"{label}: output of a step", [f"{run}/steps/{quote(steps[-1]['position'], safe='')}/output"]


if __name__ == "__main__":
    main()
