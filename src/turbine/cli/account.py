"""`turbine account`: who may sign in."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from turbine.actions.accounts import Accounts
from turbine.cli.people import Bench, Document, act, read_password, show
from turbine.cli.terminal import FAILED, leave
from turbine.errors import NotFound
from turbine.model.accounts import AccountRecord

account = typer.Typer(no_args_is_help=True, help="People who sign in to the dashboard.")

Database = Annotated[str | None, typer.Option("--database", help="URL of the database.", show_default=False)]
Server = Annotated[str | None, typer.Option("--server", help="URL of a server, instead.", show_default=False)]
Token = Annotated[str | None, typer.Option("--token", help="API token for the server.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@account.command()
def create(
    email: Annotated[str, typer.Argument(help="The e-mail address.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    password_stdin: Stdin = False,
    database: Database = None,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make an account."""
    password = read_password("account create", password_stdin)

    async def here(bench: Bench) -> AccountRecord:
        return await Accounts(bench.change("account.create", email, role=role)).create(email, password, role)

    body: Document = {"email": email, "password": password, "role": role}
    made = act("account create", database, server, token, here, ("POST", "accounts", body))
    typer.echo(json.dumps(made) if as_json else f"{made['email']} may sign in as {made['role']}")


@account.command("list")
def listing(database: Database = None, server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """List all accounts."""
    items = _all("account list", database, server, token)
    if as_json:
        typer.echo(json.dumps({"items": items, "next_cursor": None}))
    else:
        show(items, ["email", "role", "enabled", "created", "last_login", "id"])


@account.command()
def change(
    email: Annotated[str, typer.Argument(help="The e-mail address.")],
    role: Annotated[str | None, typer.Option(help="viewer, operator or admin.", show_default=False)] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it may sign in.")] = None,
    password_stdin: Stdin = False,
    database: Database = None,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Change role, password, or whether an account may sign in."""
    changes: Document = {}
    if role is not None:
        changes["role"] = role
    if enabled is not None:
        changes["enabled"] = enabled
    if password_stdin:
        changes["password"] = read_password("account change", from_stdin=True)
    id_ = _id_of("account change", email, database, server, token)
    told = {name: value for name, value in changes.items() if name != "password"}

    async def here(bench: Bench) -> AccountRecord:
        return await Accounts(bench.change("account.update", email, **told)).update(id_, **changes)

    made = act("account change", database, server, token, here, ("PATCH", f"accounts/{quote(id_, safe='')}", changes))
    typer.echo(json.dumps(made) if as_json else f"{made['email']} is changed")


@account.command()
def delete(
    email: Annotated[str, typer.Argument(help="The e-mail address.")],
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> None:
    """Remove an account; its sessions end."""
    id_ = _id_of("account delete", email, database, server, token)

    async def here(bench: Bench) -> None:
        await Accounts(bench.change("account.delete", email)).delete(id_)

    act("account delete", database, server, token, here, ("DELETE", f"accounts/{quote(id_, safe='')}", None))
    typer.echo(f"{email} is removed")


def _all(command: str, database: str | None, server: str | None, token: str | None) -> list[Document]:
    items: list[Document] = []
    cursor: str | None = None
    while True:
        after = cursor

        async def here(bench: Bench, after: str | None = after) -> Any:
            return await Accounts(lambda: bench).list(limit=500, cursor=after)

        path = "accounts?limit=500" + ("" if cursor is None else f"&cursor={cursor}")
        page = act(command, database, server, token, here, ("GET", path, None))
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def _id_of(command: str, email: str, database: str | None, server: str | None, token: str | None) -> str:
    known = {one["email"]: one["id"] for one in _all(command, database, server, token)}
    id_ = known.get(email.strip().lower())
    if id_ is None:
        leave(command, str(NotFound(kind="account", id=email)), FAILED)
    return id_
