"""The API of a database, served in this process by a runtime that only observes: it never becomes an executor."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
        self.runtime: Runtime | None = None
        self._http: httpx.AsyncClient | None = None
        self._codec = MissingCodec()
        self._level = logging.NOTSET

    async def __aenter__(self) -> Self:
        # Warnings of a runtime are for programs that keep one running; here every fault is raised.
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
            if self.runtime is not None:
                await self.runtime.shutdown()
        finally:
            logging.getLogger("turbine").setLevel(self._level)

    async def connect(self) -> httpx.AsyncClient:
        if self._http is None:
            from turbine.http.app import build

            principal = Principal(f"cli:{user_name()}", Role.ADMIN)
            app, _ = build(await self._observer(), lambda request: principal)
            self._http = httpx.AsyncClient(transport=AsgiTransport(app), base_url="http://database")
        return self._http

    async def _observer(self) -> Runtime:
        if self.runtime is None:
            database.require_database(self.url)
            # Not the settings in the environment that are meant for the program: its executor id is taken, and what it
            # keeps stays kept.
            runtime = Runtime(
                self.url,
                codec=self._codec,
                executor_id=None,
                gc_retention=None,
                shutdown_timeout=0,
                handle_signals=False,
            )
            runtime._is_observer = True  # pyright: ignore[reportPrivateUsage] - not a mode for users
            await runtime.launch()
            self.runtime = runtime
        return self.runtime

    async def request(self, method: str, path: tuple[str, ...], **content: Any) -> Any:
        if method != "GET":
            await (await self._observer()).list(limit=1, load_input=True)  # tells the codec whether payloads are sealed
            if path[-1] in ("run-now", "backfill"):  # they read the stored input
                self._codec.require_unsealed()
        return await super().request(method, path, **content)

    async def create_database(self) -> None:
        if database.is_missing(self.url):
            await self.migrate()

    async def backup(self, target: Path) -> None:
        await (await self._observer()).backup(target)

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
        self._has_met_sealed = False

    def require_unsealed(self) -> None:
        """Raise TurbineError if a sealed payload was met."""
        if self._has_met_sealed:
            raise TurbineError(
                "The payloads of this database are sealed by its application's codec, which the command line does not"
                " have; do this through its server: --server URL --token T"
            )

    def encode(self, payload: str) -> str:
        self.require_unsealed()
        return payload

    def decode(self, payload: str) -> str:
        try:
            json.loads(payload)
        except ValueError:
            self._has_met_sealed = True
            return json.dumps(SEALED)
        return payload
