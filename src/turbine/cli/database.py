"""The API of a database, served in this process by a runtime that only observes: it never becomes an executor."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from turbine.cli.asgi_transport import AsgiTransport
from turbine.cli.client import Client, Document, moment_text
from turbine.errors import TurbineError
from turbine.model.accounts import Principal, Role
from turbine.operations import database, doctor
from turbine.platform import user_name
from turbine.runtime import Runtime
from turbine.threads import in_thread

SEALED = "(sealed by the codec of its application)"


class DatabaseClient(Client):
    """A database, opened by the first request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._codec = MissingCodec()
        self._level = logging.NOTSET
        self._http: httpx.AsyncClient | None = None
        # Settings in the environment are meant for the program: its executor id is taken, and its runs stay kept.
        self.runtime = Runtime(
            url,
            executor_id=None,
            gc_retention=None,
            shutdown_timeout=0,
            handle_signals=False,
            codec=self._codec,
        )
        self.runtime._is_observer = True  # pyright: ignore[reportPrivateUsage] - a mode that users do not need

    async def __aenter__(self) -> DatabaseClient:
        # A runtime warns those who keep one running; here every fault is raised.
        log = logging.getLogger("turbine")
        self._level = log.level
        log.setLevel(logging.CRITICAL)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._http is not None:
                await self._http.aclose()
            await self.runtime.shutdown()
        finally:
            logging.getLogger("turbine").setLevel(self._level)

    async def connect(self) -> httpx.AsyncClient:
        if self._http is None:
            from turbine.http.app import build

            database.require_database(self.url)
            await self.runtime.launch()
            principal = Principal(f"cli:{user_name()}", Role.ADMIN)
            app, _ = build(self.runtime, lambda request: principal)
            self._http = httpx.AsyncClient(transport=AsgiTransport(app), base_url="http://database")
        return self._http

    async def request(self, method: str, path: tuple[str, ...], **content: Any) -> Any:
        if content.get("json") is not None:
            await self.connect()
            await self.runtime.list(limit=1, load_input=True)  # shows the codec whether payloads are sealed
        return await super().request(method, path, **content)

    async def create_database(self) -> None:
        if database.is_missing(self.url):
            await self.migrate()

    async def backup(self, target: Path) -> None:
        await self.connect()
        await self.runtime.backup(target)

    async def examine(self) -> list[Document]:
        checks = await in_thread(doctor.examine, self.url)
        return [
            {
                "name": check.name,
                "status": check.status,
                "text": check.text,
                **{
                    name: moment_text(fact) if isinstance(fact, datetime) else fact
                    for name, fact in check.facts.items()
                },
            }
            for check in checks
        ]

    async def migrate(self) -> Document:
        return asdict(await in_thread(database.migrate, self.url))


class MissingCodec:
    """The codec of a process without the application's: shows sealed payloads as such, and writes none beside them."""

    def __init__(self) -> None:
        self.has_met_sealed = False

    def encode(self, payload: str) -> str:
        if self.has_met_sealed:
            raise TurbineError(
                "The payloads of this database are sealed by its application's codec, which the command line does not"
                " have; do this through its server: --server URL --token T"
            )
        return payload

    def decode(self, payload: str) -> str:
        try:
            json.loads(payload)
        except ValueError:
            self.has_met_sealed = True
            return json.dumps(SEALED)
        return payload
