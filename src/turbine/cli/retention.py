"""`turbine retention`: how long runs are kept once they are over."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from turbine.cli.client import Client, Document, Misused
from turbine.cli.command import duration_of, with_client
from turbine.cli.output import Field, Output, moment_in
from turbine.model.workflows import TERMINAL

app = typer.Typer(no_args_is_help=True, help="How long runs are kept once they are over, by workflow and status.")

Workflow = Annotated[str | None, typer.Option("--workflow", metavar="NAME", help="Of this workflow.")]
Status = Annotated[
    str | None, typer.Option("--status", metavar="STATUS", help="With this final status: SUCCESS, ERROR, CANCELLED, …")
]


@app.command("list")
@with_client
async def list_rules(
    client: Client, output: Output, limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 100
) -> None:
    """List the rules; runs without a rule are kept as gc_retention says."""
    page = await client.items("retention", limit=limit)
    columns: dict[str, Field] = {
        "WORKFLOW": lambda rule: rule["workflow"] or "any",
        "STATUS": lambda rule: rule["status"] or "any",
        "KEPT": lambda rule: _kept(rule["keep"]),
        "UPDATED": moment_in("updated"),
    }
    output.items(page, columns, "No rules.")


@app.command("set")
@with_client
async def set_rule(
    client: Client,
    output: Output,
    keep: Annotated[str, typer.Argument(metavar="TIME", help="For example 12h or 7d after the end, or forever.")],
    workflow: Workflow = None,
    status: Status = None,
) -> None:
    """Keep some runs longer or shorter than others. The most specific rule decides."""
    seconds = None if keep == "forever" else duration_of(keep, "TIME").total_seconds()
    rule = await client.put("retention", body={**_scope(workflow, status), "keep": seconds})
    output.say(rule, f"{_described(rule)} are kept {_kept(rule['keep'])}")


@app.command()
@with_client
async def delete(client: Client, output: Output, workflow: Workflow = None, status: Status = None) -> None:
    """Lift the rule for exactly these runs."""
    scope = _scope(workflow, status)
    await client.delete("retention", **scope)
    output.say({**scope, "deleted": True}, f"The rule is lifted: {_described(scope)}")


def _scope(workflow: str | None, status: str | None) -> Document:
    if workflow is None and status is None:
        raise Misused("name --workflow, --status, or both; for all runs set gc_retention")
    if status is not None and status not in TERMINAL:
        raise Misused(f"--status {status!r} is not a final status; write one of {', '.join(sorted(TERMINAL))}")
    return {"workflow": workflow, "status": status}


def _described(rule: Document) -> str:
    return " ".join(filter(None, ("runs", rule["workflow"] and f"of {rule['workflow']}", rule["status"])))


def _kept(seconds: float | None) -> str:
    return "for ever" if seconds is None else str(timedelta(seconds=seconds)).removesuffix(", 0:00:00")
