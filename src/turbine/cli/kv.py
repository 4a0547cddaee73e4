"""`turbine kv`: the global key-value store."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from turbine.cli.client import Client, Document, Misused
from turbine.cli.command import parsed, with_client
from turbine.cli.output import Field, Output, moment_in, short

app = typer.Typer(no_args_is_help=True, help="The global key-value store.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="The key.")]


@app.command("list")
@with_client
async def list_keys(
    client: Client,
    output: Output,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Keys that begin with this.")] = "",
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 100,
) -> None:
    """List keys and their values, in the order of their characters."""
    page = await client.items("kv", prefix=prefix, limit=limit)
    columns: dict[str, Field] = {
        "KEY": "key",
        "VALUE": lambda entry: short(entry["value"]),
        "UPDATED": moment_in("updated"),
    }
    output.items(page, columns, "No keys.")


@app.command()
@with_client
async def get(client: Client, output: Output, key: Key) -> None:
    """Print the value of a key as JSON."""
    entry = await client.get("kv", key)
    output.say(entry, json.dumps(entry["value"], indent=2, ensure_ascii=False))


@app.command("set")
@with_client
async def set_key(
    client: Client,
    output: Output,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="JSON", help="The value.")],
    expect: Annotated[
        str | None, typer.Option("--expect", metavar="JSON", help="Only if this is the value that is stored.")
    ] = None,
    expect_missing: Annotated[bool, typer.Option("--expect-missing", help="Only if the key has no value.")] = False,
) -> None:
    """Write a key."""
    if expect is not None and expect_missing:
        raise Misused("give either --expect or --expect-missing")
    body: Document = {"value": parsed(value, "JSON")}
    if expect is not None or expect_missing:
        body["expect"] = parsed(expect, "--expect")
    output.say(await client.put("kv", key, body=body), f"{key} is set")


@app.command()
@with_client
async def delete(client: Client, output: Output, key: Key) -> None:
    """Remove a key and its schema."""
    await client.delete("kv", key)
    output.say({"key": key, "deleted": True}, f"{key} is deleted")
