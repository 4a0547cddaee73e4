"""`turbine token`: keys for programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from turbine.cli.client import Client, Misused, whole
from turbine.cli.command import duration_of, with_client
from turbine.cli.output import Output, moment

app = typer.Typer(no_args_is_help=True, help="Keys with which programs use the HTTP API.")

EXPIRES_MAX = timedelta(days=36500)


@app.command()
@with_client
async def create(
    client: Client,
    screen: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="viewer, approver, operator or admin.")
    ] = "viewer",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="How long it is good: 12h, 30d, PT1H.")
    ] = None,
) -> None:
    """Make a token; this is the only time it is shown."""
    until = None if expires is None else datetime.now(UTC) + _span(expires)
    made = await client.create_token({"name": name, "role": role, "expires": until})
    screen.say(made, made["token"])


@app.command("list")
@with_client
async def list_tokens(
    client: Client, screen: Output, limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 100
) -> None:
    """List the newest tokens, without the tokens themselves."""
    found = await whole(client.tokens, limit)
    rows = (
        (one["id"], one["name"], one["role"], moment(one["expires"]), moment(one["created"])) for one in found["items"]
    )
    screen.table(found, ("ID", "NAME", "ROLE", "EXPIRES", "CREATED"), rows, "No tokens.")


@app.command()
@with_client
async def delete(
    client: Client,
    screen: Output,
    id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as listed.")],
) -> None:
    """Revoke a token, from its next use on."""
    await client.delete_token(id)
    screen.say({"id": id, "deleted": True}, f"{id} is revoked")


def _span(text: str) -> timedelta:
    span = duration_of(text, "--expires")
    if not timedelta(0) < span <= EXPIRES_MAX:
        raise Misused(f"--expires must be positive and at most {EXPIRES_MAX.days} days, not {text!r}")
    return span
