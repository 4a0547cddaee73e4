"""Where the commands about accounts and tokens act: a database, opened without a runtime, or a server."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import typer

from turbine.actions.audit import AuditedStore, line_of
from turbine.cli.door import Misused, Refused, plain
from turbine.cli.terminal import FAILED, MISUSED, leave
from turbine.clock import Clock, SystemClock
from turbine.config import database_url
from turbine.errors import TurbineError
from turbine.model.accounts import Caller, Role
from turbine.store import Store, open_store

T = TypeVar("T")
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """A database and the time: what accounts and tokens need."""

    store: Store
    clock: Clock

    def change(self, action: str, target: str, **detail: Any) -> Callable[[], Bench]:
        """The same for one change, which leaves its line in the audit."""
        caller = Caller(f"cli:{_user()}", Role.ADMIN)
        line = line_of(self.clock.now_ms(), caller, action, target, detail=detail)
        audited = Bench(AuditedStore(self.store, line), self.clock)
        return lambda: audited


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return f"uid {os.getuid()}"


def act(
    command: str,
    database: str | None,
    server: str | None,
    token: str | None,
    here: Callable[[Bench], Coroutine[Any, Any, T]],
    there: tuple[str, str, Document | None],
) -> Any:
    """Do it in the database, or ask the server with (method, path, body). Ends the command when that refuses."""
    if database and server:
        leave(command, "give either --database or --server, not both", MISUSED)
    if not database:
        server = server or os.environ.get("TURBINE_SERVER")
    try:
        if server:
            return asyncio.run(_at_server(server, token or os.environ.get("TURBINE_TOKEN"), *there))
        return plain(asyncio.run(_in_database(database_url(database), here)))
    except Misused as error:
        leave(command, str(error), MISUSED)
    except (TurbineError, Refused, ValueError) as error:
        leave(command, str(error), FAILED)


async def _in_database(url: str, here: Callable[[Bench], Awaitable[T]]) -> T:
    store = await asyncio.to_thread(open_store, url)
    try:
        return await here(Bench(store, SystemClock()))
    finally:
        await asyncio.to_thread(store.close)


async def _at_server(server: str, token: str | None, method: str, path: str, body: Document | None) -> Any:
    from turbine.cli.remote import Remote

    async with Remote(server, token) as remote:
        return await remote.ask(method, path, body)


def show(rows: list[Document], columns: list[str]) -> None:
    """A plain table; nothing in it is ever cut, because ids are copied from it."""
    lines = [columns, *(["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def read_password(command: str, from_stdin: bool) -> str:
    """The password from standard input, or asked for twice at a terminal."""
    import sys

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        leave(command, "there is no terminal to ask for a password; give it with --password-stdin", MISUSED)
    return typer.prompt("Password", hide_input=True, confirmation_prompt=True)
