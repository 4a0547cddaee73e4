"""`turbine products`: the files that steps made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from turbine.cli.client import Client
from turbine.cli.command import with_client
from turbine.cli.output import Field, Output, moment_in

app = typer.Typer(no_args_is_help=True, help="The files that steps made.")


@app.command("list")
@with_client
async def list_products(
    client: Client,
    output: Output,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Of this run.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 20,
) -> None:
    """List products, newest first."""
    page = await client.items("products", workflow_id=run, limit=limit)
    columns: dict[str, Field] = {
        "ID": "id",
        "STATUS": "status",
        "FILE": "file_name",
        "SIZE": lambda product: decimal(product["size"]),
        "RUN": "workflow_id",
        "CREATED": moment_in("created"),
    }
    output.items(page, columns, "No products.")


@app.command()
@with_client
async def download(
    client: Client,
    output: Output,
    id: Annotated[str, typer.Argument(metavar="ID", help="The product's id, as listed.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file that does not exist yet.")],
) -> None:
    """Write a product to a new file."""
    await client.download(path, "products", id, "download")
    output.say({"id": id, "path": str(path)}, str(path))
