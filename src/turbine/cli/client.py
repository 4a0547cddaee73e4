"""What commands stand before: one door, behind which is a database or a server, so each command is written once.

Both give the same plain JSON, that of the HTTP API: times are ISO 8601 in UTC, durations are seconds. Nothing of a
terminal is known here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

from turbine.config import database_url

Document = dict[str, Any]
"""A JSON object."""
PAGE_MAX = 500


class Misused(Exception):
    """A command cannot begin with what it was given; ends it with exit code 2."""


class Refused(Exception):
    """The server did not do what it was asked for, or is not there; the text is its own."""


class Client(Protocol):
    """What can be asked for and done, with plain JSON in and out. Lists are `{"items", "next_cursor"}`.

    Acts on runs answer `{"workflow_id", "changed", "status"}`. Every method raises TurbineError or Refused.
    """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    # runs
    async def runs(self, wanted: Document, limit: int, cursor: str | None) -> Document: ...
    async def run(self, id: str) -> Document: ...
    async def explain(self, id: str) -> Document: ...
    async def steps(self, id: str) -> list[Document]: ...
    async def logs(self, wanted: Document, limit: int, cursor: str | None, *, ascending: bool) -> Document: ...
    async def cancel(self, id: str, reason: str | None) -> Document: ...
    async def resume(self, id: str) -> Document: ...
    async def release(self, id: str) -> Document: ...
    async def fork(self, id: str, asked: Document) -> Document: ...
    async def trigger(self, asked: Document) -> str: ...
    async def approve(self, id: str, asked: Document) -> Document: ...
    async def send(self, id: str, message: Any, topic: str) -> Document: ...

    # queues
    async def queues(self) -> list[Document]: ...
    async def queue(self, name: str) -> Document: ...
    async def pause_queue(self, name: str) -> Document: ...
    async def resume_queue(self, name: str) -> Document: ...
    async def limit_queue(self, name: str, changes: Document) -> Document: ...

    # schedules
    async def schedules(self, workflow: str | None, limit: int, cursor: str | None) -> Document: ...
    async def create_schedule(self, asked: Document) -> Document: ...
    async def switch_schedule(self, id: str, *, enabled: bool, reason: str | None = None) -> Document: ...
    async def backfill(self, id: str, start: datetime, end: datetime, *, dry_run: bool) -> Document: ...
    async def run_schedule(self, id: str) -> str: ...
    async def preview(self, schedule: str | Document, count: int) -> list[str]: ...
    async def delete_schedule(self, id: str) -> None: ...

    # keys
    async def keys(self, prefix: str, limit: int, cursor: str | None) -> Document: ...
    async def key(self, key: str) -> Document: ...
    async def set_key(self, key: str, asked: Document) -> Document: ...
    async def delete_key(self, key: str) -> None: ...

    # what leaves the house
    async def products(self, workflow_id: str | None, limit: int, cursor: str | None) -> Document: ...
    async def download(self, id: str, path: Path) -> None: ...
    async def deliveries(self, wanted: Document, limit: int, cursor: str | None) -> Document: ...
    async def resend(self, id: str) -> Document: ...

    # who may come in
    async def accounts(self, limit: int, cursor: str | None) -> Document: ...
    async def create_account(self, asked: Document) -> Document: ...
    async def change_account(self, id: str, changes: Document) -> Document: ...
    async def delete_account(self, id: str) -> None: ...
    async def tokens(self, limit: int, cursor: str | None) -> Document: ...
    async def create_token(self, asked: Document) -> Document: ...
    async def delete_token(self, id: str) -> None: ...

    # the house itself
    async def backup(self, path: Path) -> Path: ...
    async def vacuum(self) -> Document: ...
    async def rules(self, limit: int, cursor: str | None) -> Document: ...
    async def set_rule(self, asked: Document) -> Document: ...
    async def delete_rule(self, asked: Document) -> None: ...
    async def examine(self) -> list[Document]: ...
    async def migrate(self) -> Document: ...


def open_client(database: str | None, server: str | None, token: str | None) -> Client:
    """The door that options and environment name: what is given beats the environment, there a server a database.

    Raises Misused when both are given, or a token without a server.
    """
    if database and server:
        raise Misused("give either --database or --server, not both")
    if not database:
        server = server or os.environ.get("TURBINE_SERVER")
    if server:
        from turbine.cli.remote import Remote

        return Remote(server, token or os.environ.get("TURBINE_TOKEN"))
    if token:
        raise Misused("--token is for a server: give its URL with --server, or as TURBINE_SERVER")
    from turbine.cli.local import Local

    return Local(database_url(database))


async def whole(fetch: Callable[[int, str | None], Awaitable[Document]], limit: int) -> Document:
    """As many items as asked for, page after page."""
    if limit < 1:
        raise Misused(f"--limit must be at least 1, not {limit}")
    items: list[Document] = []
    cursor: str | None = None
    while True:
        page = await fetch(min(PAGE_MAX, limit - len(items)), cursor)
        items += page["items"]
        cursor = page.get("next_cursor")
        if cursor is None or len(items) >= limit:
            return {"items": items, "next_cursor": cursor}


def plain(value: Any) -> Any:
    """A record as the HTTP API shows it. What JSON cannot say of a number is null there too."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in cast("list[Any]", value)]
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def moment_text(moment: datetime) -> str:
    """A time as the HTTP API shows it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
