"""`turbine account`: who may sign in."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from turbine.cli.client import Client, Document, Misused, whole
from turbine.cli.command import with_client
from turbine.cli.output import Output, moment
from turbine.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="People who sign in to the dashboard.")

ALL = sys.maxsize
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The e-mail address.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.command()
@with_client
async def create(
    client: Client,
    screen: Output,
    email: Email,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="viewer, approver, operator or admin.")
    ] = "viewer",
    password_stdin: FromStdin = False,
) -> None:
    """Make an account; the password is asked for."""
    password = _read_password(from_stdin=password_stdin)
    made = await client.create_account({"email": email, "password": password, "role": role})
    screen.say(made, f"{made['email']} may sign in as {made['role']}")


@app.command("list")
@with_client
async def list_accounts(client: Client, screen: Output) -> None:
    """List all accounts, the oldest first."""
    found = await whole(client.accounts, ALL)
    rows = (
        (one["email"], one["role"], one["enabled"], moment(one["created"]), moment(one["last_login"]), one["id"])
        for one in found["items"]
    )
    screen.table(found, ("EMAIL", "ROLE", "ENABLED", "CREATED", "LAST LOGIN", "ID"), rows, "No accounts.")


@app.command()
@with_client
async def change(
    client: Client,
    screen: Output,
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
    made = await client.change_account(await _id_of(client, email), changes)
    screen.say(made, f"{made['email']} is changed")


@app.command()
@with_client
async def delete(client: Client, screen: Output, email: Email) -> None:
    """Remove an account; its sessions end."""
    id_ = await _id_of(client, email)
    await client.delete_account(id_)
    screen.say({"id": id_, "email": email, "deleted": True}, f"{email} is removed")


async def _id_of(client: Client, email: str) -> str:
    for one in (await whole(client.accounts, ALL))["items"]:
        if one["email"] == email.strip().lower():
            return one["id"]
    raise NotFound(kind="account", id=email)


def _read_password(*, from_stdin: bool) -> str:
    """The password from standard input, or asked for twice at a terminal. Raises Misused where there is none."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Misused("there is no terminal to ask for a password; give it with --password-stdin")
    # The event loop would keep ctrl-C to itself until the question is answered.
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    finally:
        signal.signal(signal.SIGINT, kept)
