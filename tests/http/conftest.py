"""A server in the test's own process: the application is asked directly, no socket is opened."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

import turbine
from turbine import Runtime
from turbine.operations import accounts
from turbine.operations.accounts import Accounts

PASSWORD = "correct horse battery"
HOST = "http://localhost:8090"


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are judged hundreds of times here. How hard that is otherwise, a test of its own says."""
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    dummy_hash = quick.hash("nobody")
    monkeypatch.setattr(accounts, "_hasher", lambda: quick)
    monkeypatch.setattr(accounts, "_dummy_hash", lambda: dummy_hash)


@pytest.fixture
def sqlite_url(sqlite_url: str, migrated_file: Path) -> str:
    """The tables are there already: how they come to be is tested with the store."""
    shutil.copyfile(migrated_file, sqlite_url.removeprefix("sqlite:///"))
    return sqlite_url


class Site:
    """An application with Turbine in it, and clients that are somebody."""

    def __init__(self, app: FastAPI, rt: Runtime, stack: AsyncExitStack) -> None:
        self.app = app
        self.rt = rt
        self._stack = stack

    async def client(self, base: str = f"{HOST}/api/pt/", **headers: str) -> httpx.AsyncClient:
        """Somebody who is not signed in."""
        transport = httpx.ASGITransport(self.app)
        client = httpx.AsyncClient(transport=transport, base_url=base, headers=headers)
        return await self._stack.enter_async_context(client)

    async def holder(self, role: str) -> httpx.AsyncClient:
        """A program with a token."""
        made = await self.rt.tokens.create(f"a {role}", role)
        return await self.client(authorization=f"Bearer {made.token}")

    async def person(self, role: str, email: str | None = None) -> httpx.AsyncClient:
        """A browser that is signed in."""
        email = email or f"{role}@example.com"
        await Accounts(self.rt._app).create(email, PASSWORD, role)
        client = await self.client()
        answer = await client.post("login", json={"email": email, "password": PASSWORD})
        assert 200 == answer.status_code, answer.text
        client.headers["x-csrf-token"] = answer.json()["csrf"]
        return client


class Open(Protocol):
    async def __call__(self, *workflows: Any, **settings: Any) -> Site: ...


@pytest.fixture
async def open_site(database_url: str) -> AsyncIterator[Open]:
    """Makes an application with these workflows and launches its runtime."""
    async with AsyncExitStack() as stack:

        async def open_site(*workflows: Any, queues: tuple[str, ...] = (), **settings: Any) -> Site:
            app, rt = turbine.new_app(
                database_url, workflows=workflows, lifespan=False, **{"shutdown_timeout": 0, **settings}
            )
            for queue in queues:
                rt.queue(queue, global_concurrency=2)
            await rt.launch()
            stack.push_async_callback(rt.shutdown)
            return Site(app, rt, stack)

        yield open_site


@asynccontextmanager
async def _listening(
    site: Site, token: str, last_id: str | None = None
) -> AsyncIterator[asyncio.Queue[dict[str, str]]]:
    """The event stream as a queue of events; leaving hangs up."""
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())]
    if last_id is not None:
        headers.append((b"last-event-id", last_id.encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/pt/stream",
        "raw_path": b"/api/pt/stream",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 8090),
    }
    events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    gone = asyncio.Event()
    has_asked = False
    text = ""

    async def receive() -> dict[str, Any]:
        nonlocal has_asked
        if not has_asked:
            has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal text
        if message["type"] == "http.response.start":
            events.put_nowait({"event": "start", "status": str(message["status"])})
            return
        text += message.get("body", b"").decode()
        while "\n\n" in text:
            block, text = text.split("\n\n", 1)
            events.put_nowait(dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")))
        if not message.get("more_body"):
            events.put_nowait({"event": "end"})

    answering = asyncio.create_task(site.app(scope, receive, send))
    try:
        yield events
    finally:
        gone.set()
        answering.cancel()
        with suppress(asyncio.CancelledError):
            await answering


@pytest.fixture
def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def listening():
    """Opens the event stream with a token: `async with listening(site, token, last_id) as events`."""
    return _listening
