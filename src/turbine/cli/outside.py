"""`turbine products` and `turbine deliveries`: the files that steps made, and everything outgoing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from turbine.cli.client import Client, Document, whole
from turbine.cli.command import with_client
from turbine.cli.output import Output, moment

products = typer.Typer(no_args_is_help=True, help="The files that steps made.")
deliveries = typer.Typer(no_args_is_help=True, help="Webhooks, alerts and products on their way out.")

Run = Annotated[str | None, typer.Option("--run", metavar="ID", help="Of this run.")]
Limit = Annotated[int, typer.Option("--limit", help="How many, at most.")]


@products.command("list")
@with_client
async def list_products(client: Client, screen: Output, run: Run = None, limit: Limit = 20) -> None:
    """List products, newest first."""
    found = await whole(lambda count, cursor: client.products(run, count, cursor), limit)
    rows = (
        (one["id"], one["status"], one["file_name"], decimal(one["size"]), one["workflow_id"], moment(one["created"]))
        for one in found["items"]
    )
    screen.table(found, ("ID", "STATUS", "FILE", "SIZE", "RUN", "CREATED"), rows, "No products.")


@products.command()
@with_client
async def download(
    client: Client,
    screen: Output,
    id: Annotated[str, typer.Argument(metavar="ID", help="The product's id, as listed.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file that does not exist yet.")],
) -> None:
    """Write a product to a new file."""
    await client.download(id, path)
    screen.say({"id": id, "path": str(path)}, str(path))


@deliveries.command("list")
@with_client
async def list_deliveries(
    client: Client,
    screen: Output,
    run: Run = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="pending|delivered|dead", help="With this status.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="webhook|alert|product", help="Of this kind.")] = None,
    limit: Limit = 20,
) -> None:
    """List deliveries, newest first."""
    wanted: Document = {"workflow_id": run, "status": status, "kind": kind}
    found = await whole(lambda count, cursor: client.deliveries(wanted, count, cursor), limit)
    rows = (
        (
            one["id"],
            one["status"],
            one["kind"],
            one["event"],
            len(one["attempts"]),
            _last_error(one),
            one["workflow_id"],
        )
        for one in found["items"]
    )
    screen.table(found, ("ID", "STATUS", "KIND", "EVENT", "TRIES", "LAST ERROR", "RUN"), rows, "No deliveries.")


def _last_error(delivery: Document) -> str | None:
    return delivery["attempts"][-1]["error"] if delivery["attempts"] else None


@deliveries.command()
@with_client
async def resend(
    client: Client,
    screen: Output,
    id: Annotated[str, typer.Argument(metavar="ID", help="The delivery's id, as listed.")],
) -> None:
    """Send something again that was delivered or is dead."""
    screen.say(await client.resend(id), f"{id} is sent again")
