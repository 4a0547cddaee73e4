"""Commands about the database as a whole: backup, vacuum, doctor, migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from turbine.cli.command import at_door
from turbine.cli.door import Door
from turbine.cli.screen import Screen
from turbine.cli.terminal import FAILED


@at_door
async def backup(
    door: Door,
    screen: Screen,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file that does not exist yet.")],
) -> None:
    """Copy a SQLite database to a new file while everything goes on."""
    made = await door.backup(path)
    screen.say({"path": str(made), "bytes": made.stat().st_size}, str(made))


@at_door
async def vacuum(door: Door, screen: Screen) -> None:
    """Give free room back to the disk while everything goes on. On Postgres: VACUUM (ANALYZE) of Turbine's tables."""
    done = await door.vacuum()
    freed, goal = done["freed_bytes"], done["free_bytes"]
    while not done["done"] and goal > 0 and done["freed_bytes"]:
        done = await door.vacuum()
        freed += done["freed_bytes"]
        goal -= done["freed_bytes"]
    told = [f"{decimal(freed)} given back; the database has {decimal(done['database_bytes'])}"]
    if done["skipped"]:
        told.append(f"Skipped, because somebody has locked or owns them: {', '.join(done['skipped'])}")
    screen.say({**done, "freed_bytes": freed}, *told)


@at_door
async def doctor(door: Door, screen: Screen) -> None:
    """Look over the database and those who work on it; exit code 1 when something is wrong. Changes nothing."""
    found = await door.examine()
    is_well = all(one["status"] == "ok" for one in found)
    rows = ((one["name"], one["status"], one["text"]) for one in found)
    screen.table({"ok": is_well, "checks": found}, ("CHECK", "STATUS", "FINDING"), rows, "Nothing could be checked.")
    if not is_well:
        raise typer.Exit(FAILED)


@at_door
async def migrate(door: Door, screen: Screen) -> None:
    """Bring a database to this version's schema, and make it if it is not there."""
    done = await door.migrate()
    was = f"was {done['before']}" if done["before"] else "is new"
    told = "up to date" if done["before"] == done["schema"] else was
    screen.say({**done, "changed": done["before"] != done["schema"]}, f"schema {done['schema']}, {told}")
