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
    output: Output,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file that does not exist yet.")],
) -> None:
    """Copy a SQLite database to a new file while everything goes on."""
    target = path.absolute()
    await client.backup(target)
    output.say({"path": str(target), "bytes": target.stat().st_size}, str(target))


@with_client
async def vacuum(client: Client, output: Output) -> None:
    """Give free disk space back while everything goes on. On Postgres: VACUUM (ANALYZE) of Turbine's tables."""
    portion = await client.post("vacuum")
    freed, goal = portion["freed_bytes"], portion["free_bytes"]
    while not portion["done"] and goal > 0 and portion["freed_bytes"]:
        portion = await client.post("vacuum")
        freed += portion["freed_bytes"]
        goal -= portion["freed_bytes"]
    lines = [f"{decimal(freed)} given back; the database has {decimal(portion['database_bytes'])}"]
    if portion["skipped"]:
        lines.append(f"Skipped, because locked or owned by another user: {', '.join(portion['skipped'])}")
    output.say({**portion, "freed_bytes": freed}, *lines)


@with_client
async def doctor(client: Client, output: Output) -> None:
    """Examine the database and its executors; exit code 1 when something is wrong. Changes nothing."""
    checks = await client.examine()
    is_well = all(check["status"] == "ok" for check in checks)
    rows = ((check["name"], check["status"], check["text"]) for check in checks)
    output.table({"ok": is_well, "checks": checks}, ("CHECK", "STATUS", "FINDING"), rows, "Nothing could be checked.")
    if not is_well:
        raise typer.Exit(FAILED)


@with_client
async def migrate(client: Client, output: Output) -> None:
    """Bring a database to this version's schema, and make it if it does not exist."""
    migrated = await client.migrate()
    before, schema = migrated["before"], migrated["schema"]
    state = "up to date" if before == schema else f"was {before}" if before else "is new"
    output.say({**migrated, "changed": before != schema}, f"schema {schema}, {state}")
