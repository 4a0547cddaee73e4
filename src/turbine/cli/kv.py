"""`turbine kv`: the global key-value store."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from turbine.cli.command import at_door, parsed
from turbine.cli.door import Document, Door, Misused, whole
from turbine.cli.screen import Screen, moment, short

app = typer.Typer(no_args_is_help=True, help="The global key-value store.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="The key.")]


@app.command("list")
@at_door
async def list_keys(
    door: Door,
    screen: Screen,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Keys that begin with this.")] = "",
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 100,
) -> None:
    """List keys and their values, in the order of their characters."""
    found = await whole(lambda count, cursor: door.keys(prefix, count, cursor), limit)
    rows = ((one["key"], short(one["value"]), moment(one["updated"])) for one in found["items"])
    screen.table(found, ("KEY", "VALUE", "UPDATED"), rows, "No keys.")


@app.command()
@at_door
async def get(door: Door, screen: Screen, key: Key) -> None:
    """Print the value of a key as JSON."""
    record = await door.key(key)
    screen.say(record, json.dumps(record["value"], indent=2, ensure_ascii=False))


@app.command("set")
@at_door
async def set_key(
    door: Door,
    screen: Screen,
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
    asked: Document = {"value": parsed(value, "JSON")}
    if expect is not None or expect_missing:
        asked["expect"] = parsed(expect, "--expect")
    screen.say(await door.set_key(key, asked), f"{key} is set")


@app.command()
@at_door
async def delete(door: Door, screen: Screen, key: Key) -> None:
    """Remove a key and its schema."""
    await door.delete_key(key)
    screen.say({"key": key, "deleted": True}, f"{key} is deleted")
