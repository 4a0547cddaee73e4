"""The API of a server, over the network."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from turbine.cli.client import Client, Document, Misused, RequestRefused
from turbine.masking import mask_url, scrub

TIMEOUT = httpx.Timeout(10, read=60)
CLOCK_SECONDS = 5.0
"""How far the clocks may differ; the server's time comes in whole seconds."""


class ServerClient(Client):
    """A server, with an API token."""

    def __init__(self, server: str, token: str | None) -> None:
        if not server.startswith(("http://", "https://")):
            raise Misused(f"--server must be an http or https URL, not {mask_url(server)!r}")
        address = server.rstrip("/").removesuffix("/_/turbine").removesuffix("/api/pt")
        self.shown = mask_url(address)
        """The server's URL without its password."""
        self._secrets = (server, token)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.AsyncClient(base_url=f"{address}/api/pt/", headers=headers, timeout=TIMEOUT)
        except (httpx.InvalidURL, ValueError) as error:
            raise Misused(f"the URL {self.shown!r} or the token is malformed: {self._scrubbed(error)}") from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def connect(self) -> httpx.AsyncClient:
        return self._http

    @asynccontextmanager
    async def failures(self) -> AsyncGenerator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise RequestRefused(f"{self.shown} does not answer in time ({type(error).__name__})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RequestRefused(
                f"{self.shown} cannot be reached: {self._scrubbed(error)}; is it running, and is --server right?"
            ) from None

    def check(self, response: httpx.Response) -> None:
        try:
            super().check(response)
        except (ValueError, KeyError, TypeError):
            raise RequestRefused(
                f"{self.shown} answered {response.status_code} {response.reason_phrase}, not as a Turbine server does;"
                " check --server"
            ) from None
        except RequestRefused as error:
            if response.status_code == 401:
                raise RequestRefused(f"{error} Give a token with --token, or as TURBINE_TOKEN") from None
            raise

    def parsed(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise RequestRefused(f"{self.shown} does not answer as a Turbine server does; check --server") from None

    async def create_database(self) -> None:
        """A server has one."""

    async def backup(self, target: Path) -> None:
        await self.download(target, "backup")

    async def examine(self) -> list[Document]:
        async with self.failures():
            response = await self._http.get("health")
        health = self.parsed(response)
        try:
            is_well, version = health["status"] == "ok", health["version"]
            database, executor = health["database"], health["executor"]
        except (KeyError, TypeError):
            raise RequestRefused(f"{self.shown} does not answer as a Turbine server does; check --server") from None
        checks = [
            _check("server", is_well, f"{self.shown} runs Turbine {version}: {health['status']}"),
            _check("database", database == "ok", f"the server's database is {database}"),
            _check("executor", executor == "running", f"the server's executor is {executor}"),
        ]
        if (date := response.headers.get("date")) is not None:
            seconds = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
            text = f"this machine's clock is {seconds:+.0f} s off the server's"
            checks.append(_check("clock", abs(seconds) <= CLOCK_SECONDS, text, seconds=seconds))
        if database == "ok":
            alive = [executor for executor in (await self.get("executors"))["items"] if executor["alive"]]
            checks.append(_check("executors", bool(alive), f"{len(alive)} live", count=len(alive)))
        return checks

    async def migrate(self) -> Document:
        raise Misused("a server brings its database up to date when it starts; use --database to do it from here")

    def _scrubbed(self, error: Exception) -> str:
        server, token = self._secrets
        return scrub(str(error), server, tokens=[token])


def _check(name: str, is_well: bool, text: str, **facts: Any) -> Document:
    return {"name": name, "status": "ok" if is_well else "wrong", "text": text, **facts}
