"""Commands about the database as a whole: backup, vacuum, doctor, migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from turbine.cli.client import Client
from turbine.cli.command import with_client
from turbine.cli.output import Output
from turbine.cli.tty import FAILED


@with_client
async def backup(
    client: Client,
    screen: Output,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file that does not exist yet.")],
) -> None:
    """Copy a SQLite database to a new file while everything goes on."""
    made = await client.backup(path)
    screen.say({"path": str(made), "bytes": made.stat().st_size}, str(made))


@with_client
async def vacuum(client: Client, screen: Output) -> None:
    """Give free room back to the disk while everything goes on. On Postgres: VACUUM (ANALYZE) of Turbine's tables."""
    done = await client.vacuum()
    freed, goal = done["freed_bytes"], done["free_bytes"]
    while not done["done"] and goal > 0 and done["freed_bytes"]:
        done = await client.vacuum()
        freed += done["freed_bytes"]
        goal -= done["freed_bytes"]
    told = [f"{decimal(freed)} given back; the database has {decimal(done['database_bytes'])}"]
    if done["skipped"]:
        told.append(f"Skipped, because somebody has locked or owns them: {', '.join(done['skipped'])}")
    screen.say({**done, "freed_bytes": freed}, *told)


@with_client
async def doctor(client: Client, screen: Output) -> None:
    """Look over the database and those who work on it; exit code 1 when something is wrong. Changes nothing."""
    found = await client.examine()
    is_well = all(one["status"] == "ok" for one in found)
    rows = ((one["name"], one["status"], one["text"]) for one in found)
    screen.table({"ok": is_well, "checks": found}, ("CHECK", "STATUS", "FINDING"), rows, "Nothing could be checked.")
    if not is_well:
        raise typer.Exit(FAILED)


@with_client
async def migrate(client: Client, screen: Output) -> None:
    """Bring a database to this version's schema, and make it if it is not there."""
    done = await client.migrate()
    was = f"was {done['before']}" if done["before"] else "is new"
    told = "up to date" if done["before"] == done["schema"] else was
    screen.say({**done, "changed": done["before"] != done["schema"]}, f"schema {done['schema']}, {told}")
