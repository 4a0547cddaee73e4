"""`turbine account`: people who sign in."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from turbine.cli.client import Client, Document, Misused
from turbine.cli.command import with_client
from turbine.cli.output import Output, moment_in
from turbine.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="People who sign in to the dashboard.")

ALL = sys.maxsize
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The e-mail address.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.command()
@with_client
async def create(
    client: Client,
    output: Output,
    email: Email,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="viewer, approver, operator or admin.")
    ] = "viewer",
    password_stdin: FromStdin = False,
) -> None:
    """Create an account; prompts for the password."""
    password = _read_password(from_stdin=password_stdin)
    await client.create_database()
    account = await client.post("accounts", body={"email": email, "password": password, "role": role})
    output.say(account, f"{account['email']} may sign in as {account['role']}")


@app.command("list")
@with_client
async def list_accounts(client: Client, output: Output) -> None:
    """List all accounts, the oldest first."""
    page = await client.items("accounts", limit=ALL)
    times = {"CREATED": moment_in("created"), "LAST LOGIN": moment_in("last_login")}
    output.items(page, {"EMAIL": "email", "ROLE": "role", "ENABLED": "enabled", **times, "ID": "id"}, "No accounts.")


@app.command()
@with_client
async def change(
    client: Client,
    output: Output,
    email: Email,
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="viewer, approver, operator or admin.")
    ] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it may sign in.")] = None,
    password_stdin: FromStdin = False,
) -> None:
    """Change role, password, or whether an account may sign in."""
    changes: Document = {}
    if role is not None:
        changes["role"] = role
    if enabled is not None:
        changes["enabled"] = enabled
    if password_stdin:
        changes["password"] = _read_password(from_stdin=True)
    account = await client.patch("accounts", await _id_of(client, email), body=changes)
    output.say(account, f"{account['email']} is changed")


@app.command()
@with_client
async def delete(client: Client, output: Output, email: Email) -> None:
    """Remove an account; its sessions end."""
    id_ = await _id_of(client, email)
    await client.delete("accounts", id_)
    output.say({"id": id_, "email": email, "deleted": True}, f"{email} is removed")


async def _id_of(client: Client, email: str) -> str:
    for account in (await client.items("accounts", limit=ALL))["items"]:
        if account["email"] == email.strip().lower():
            return account["id"]
    raise NotFound(kind="account", id=email)


def _read_password(*, from_stdin: bool) -> str:
    """Read the password from standard input, or prompt for it twice. Raises Misused without a terminal."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Misused("there is no terminal to ask for a password; give it with --password-stdin")
    # The event loop would hold ctrl-C back until the prompt is answered.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    finally:
        signal.signal(signal.SIGINT, handler)
