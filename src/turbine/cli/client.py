"""The client of all commands: the HTTP API, of a server or of a database that this process opens itself.

Answers are the plain JSON of the API: times are ISO 8601 in UTC, durations are seconds. Nothing here prints.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from turbine.platform import sync

if TYPE_CHECKING:
    import httpx

Document = dict[str, Any]
"""A JSON object."""
PAGE_MAX = 500


class Misused(Exception):
    """The arguments of a command make no sense; ends it with exit code 2."""


class RequestRefused(Exception):
    """The API refused a request, or cannot be reached; ends the command with exit code 1."""


class Client(ABC):
    """The HTTP API, with plain JSON in and out. A path is given in segments, which are quoted here.

    Every method raises TurbineError, Misused or RequestRefused.
    """

    async def __aenter__(self) -> Self:
        return self

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def get(self, *path: str, **query: Any) -> Any:
        return await self.request("GET", path, params=_without_none(query))

    async def post(self, *path: str, body: Document | None = None) -> Any:
        return await self.request("POST", path, json=body)

    async def put(self, *path: str, body: Document) -> Any:
        return await self.request("PUT", path, json=body)

    async def patch(self, *path: str, body: Document) -> Any:
        return await self.request("PATCH", path, json=body)

    async def delete(self, *path: str, **query: Any) -> None:
        await self.request("DELETE", path, params=_without_none(query))

    async def items(self, *path: str, limit: int, **query: Any) -> Document:
        """The first `limit` items of a collection, page after page, and the cursor of the rest."""
        if limit < 1:
            raise Misused(f"--limit must be at least 1, not {limit}")
        items: list[Document] = []
        cursor: str | None = None
        while True:
            page = await self.get(*path, **query, limit=min(PAGE_MAX, limit - len(items)), cursor=cursor)
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None or len(items) >= limit:
                return {"items": items, "next_cursor": cursor}

    async def request(self, method: str, path: tuple[str, ...], **content: Any) -> Any:
        http = await self.connect()
        async with self.failures():
            response = await http.request(method, _joined(path), **content)
        self.check(response)
        return self.parsed(response) if response.content else None

    async def download(self, target: Path, *path: str) -> None:
        """Write an answer to a new file, which only its owner may read; an incomplete file is removed.

        Raises FileExistsError.
        """
        http = await self.connect()
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                async with self.failures(), http.stream("GET", _joined(path)) as response:
                    if not response.is_success:
                        await response.aread()
                    self.check(response)
                    async for block in response.aiter_bytes():
                        file.write(block)
                file.flush()
                sync(file.fileno())
        except BaseException:
            target.unlink(missing_ok=True)  # noqa: ASYNC240 - nothing else runs in this process
            raise

    @abstractmethod
    async def connect(self) -> httpx.AsyncClient:
        """The connection to the API, made at the first request."""

    @asynccontextmanager
    async def failures(self) -> AsyncGenerator[None]:
        """Turn failures of the connection into RequestRefused."""
        yield

    def check(self, response: httpx.Response) -> None:
        """Raise Misused for a request that the API could not read, RequestRefused for one that it refused."""
        if not response.is_success:
            raise (Misused if response.status_code == 400 else RequestRefused)(response.json()["detail"])

    def parsed(self, response: httpx.Response) -> Any:
        return response.json()

    @abstractmethod
    async def create_database(self) -> None:
        """Make the database if it does not exist yet: accounts may be created before the first start."""

    @abstractmethod
    async def backup(self, target: Path) -> None:
        """Copy the database to a new file. Raises FileExistsError."""

    @abstractmethod
    async def examine(self) -> list[Document]:
        """The checks of `turbine doctor`, each with `name`, `status` (ok, wrong) and `text`."""

    @abstractmethod
    async def migrate(self) -> Document:
        """Bring the database to this version's schema: `{"before", "schema"}`."""


def moment_text(moment: datetime) -> str:
    """A time in UTC as the API takes and shows it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_none(query: Document) -> Document:
    return {name: value for name, value in query.items() if value is not None}


def _joined(path: tuple[str, ...]) -> str:
    # A segment of dots alone would be resolved as a step up the path.
    return "/".join(quote(part, safe="") if part.strip(".") else part.replace(".", "%2E") for part in path)
