"""`turbine deliveries`: webhooks, alerts and products on their way out."""

from __future__ import annotations

from typing import Annotated

import typer

from turbine.cli.client import Client, Document
from turbine.cli.command import with_client
from turbine.cli.output import Field, Output

app = typer.Typer(no_args_is_help=True, help="Webhooks, alerts and products on their way out.")


@app.command("list")
@with_client
async def list_deliveries(
    client: Client,
    output: Output,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Of this run.")] = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="pending|delivered|dead", help="With this status.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="webhook|alert|product", help="Of this kind.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 20,
) -> None:
    """List deliveries, newest first."""
    page = await client.items("deliveries", workflow_id=run, status=status, kind=kind, limit=limit)
    columns: dict[str, Field] = {
        "ID": "id",
        "STATUS": "status",
        "KIND": "kind",
        "EVENT": "event",
        "TRIES": lambda delivery: len(delivery["attempts"]),
        "LAST ERROR": _last_error,
        "RUN": "workflow_id",
    }
    output.items(page, columns, "No deliveries.")


def _last_error(delivery: Document) -> str | None:
    return delivery["attempts"][-1]["error"] if delivery["attempts"] else None


@app.command()
@with_client
async def resend(
    client: Client,
    output: Output,
    id: Annotated[str, typer.Argument(metavar="ID", help="The delivery's id, as listed.")],
) -> None:
    """Send something again that was delivered or is dead."""
    output.say(await client.post("deliveries", id, "resend"), f"{id} is sent again")
