"""`turbine token`: keys for programs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import typer

from turbine.actions.tokens import Tokens
from turbine.cli.account import AsJson, Database, Server, Token
from turbine.cli.people import Bench, Document, act, show
from turbine.cli.terminal import MISUSED, leave
from turbine.config import parse_duration
from turbine.model.accounts import TokenRecord

token = typer.Typer(no_args_is_help=True, help="Keys with which programs use the HTTP API.")

_SPAN = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@token.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    expires: Annotated[
        str | None, typer.Option(help="How long it is good: 30d, 12h, seconds, ISO 8601.", show_default=False)
    ] = None,
    database: Database = None,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make a token; this is the only time it is shown."""
    span = None if expires is None else _span(expires)

    async def here(bench: Bench) -> TokenRecord:
        return await Tokens(bench.change("token.create", name, role=role)).create(name, role, span)

    body: Document = {"name": name, "role": role}
    if span is not None:
        body["expires"] = (datetime.now(UTC) + span).isoformat()
    made = act("token create", database, server, token, here, ("POST", "tokens", body))
    typer.echo(json.dumps(made) if as_json else made["token"])


@token.command("list")
def listing(database: Database = None, server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """List the newest tokens, without the tokens themselves."""

    async def here(bench: Bench) -> Any:
        return await Tokens(lambda: bench).list(limit=500)

    page = act("token list", database, server, token, here, ("GET", "tokens?limit=500", None))
    for one in page["items"]:
        one.pop("token", None)
    if as_json:
        typer.echo(json.dumps(page))
    else:
        show(page["items"], ["id", "name", "role", "expires", "created"])


@token.command()
def delete(
    id: Annotated[str, typer.Argument(help="The token's id, as listed.")],
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> None:
    """Revoke a token, from its next use on."""

    async def here(bench: Bench) -> None:
        await Tokens(bench.change("token.delete", id)).delete(id)

    act("token delete", database, server, token, here, ("DELETE", f"tokens/{quote(id, safe='')}", None))
    typer.echo(f"{id} is revoked")


def _span(text: str) -> timedelta:
    short = _SPAN.fullmatch(text.strip().lower())
    try:
        span = timedelta(**{_UNITS[short[2]]: int(short[1])}) if short else parse_duration(text)
    except (ValueError, OverflowError):
        leave("token create", f"--expires {text!r} is no duration; write for example 30d, 12h or PT1H", MISUSED)
    if span <= timedelta(0) or span > timedelta(days=36500):
        leave("token create", f"--expires must be positive and at most 36500 days, not {text!r}", MISUSED)
    return span
