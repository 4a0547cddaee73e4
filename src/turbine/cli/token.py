"""`turbine token`: API tokens for programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from turbine.cli.client import Client, Misused, moment_text
from turbine.cli.command import duration_of, with_client
from turbine.cli.output import Output, moment_in

app = typer.Typer(no_args_is_help=True, help="Tokens with which programs use the HTTP API.")

EXPIRES_MAX = timedelta(days=36500)


@app.command()
@with_client
async def create(
    client: Client,
    output: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="viewer, approver, operator or admin.")
    ] = "viewer",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="How long it is valid: 12h, 30d, PT1H.")
    ] = None,
) -> None:
    """Create a token; this is the only time it is shown."""
    expiry = None if expires is None else moment_text(datetime.now(UTC) + _lifetime(expires))
    await client.create_database()
    token = await client.post("tokens", body={"name": name, "role": role, "expires": expiry})
    output.say(token, token["token"])


@app.command("list")
@with_client
async def list_tokens(
    client: Client, output: Output, limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 100
) -> None:
    """List the newest tokens, without the tokens themselves."""
    page = await client.items("tokens", limit=limit)
    times = {"EXPIRES": moment_in("expires"), "CREATED": moment_in("created")}
    output.items(page, {"ID": "id", "NAME": "name", "ROLE": "role", **times}, "No tokens.")


@app.command()
@with_client
async def delete(
    client: Client,
    output: Output,
    id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as listed.")],
) -> None:
    """Revoke a token, from its next use on."""
    await client.delete("tokens", id)
    output.say({"id": id, "deleted": True}, f"{id} is revoked")


def _lifetime(text: str) -> timedelta:
    lifetime = duration_of(text, "--expires")
    if not timedelta(0) < lifetime <= EXPIRES_MAX:
        raise Misused(f"--expires must be positive and at most {EXPIRES_MAX.days} days, not {text!r}")
    return lifetime
