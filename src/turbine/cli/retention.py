"""`turbine retention`: how long runs are kept once they are over."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from turbine.cli.client import Client, Document, Misused, whole
from turbine.cli.command import duration_of, with_client
from turbine.cli.output import Output, moment
from turbine.model.workflows import TERMINAL

app = typer.Typer(no_args_is_help=True, help="How long runs are kept once they are over, by workflow and status.")

Workflow = Annotated[str | None, typer.Option("--workflow", metavar="NAME", help="Of this workflow.")]
Status = Annotated[
    str | None, typer.Option("--status", metavar="STATUS", help="That ended so: SUCCESS, ERROR, CANCELLED, …")
]


@app.command("list")
@with_client
async def list_rules(
    client: Client, screen: Output, limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 100
) -> None:
    """List the rules; what none of them speaks of is kept as gc_retention says."""
    found = await whole(client.rules, limit)
    rows = (
        (one["workflow"] or "any", one["status"] or "any", _kept(one["keep"]), moment(one["updated"]))
        for one in found["items"]
    )
    screen.table(found, ("WORKFLOW", "STATUS", "KEPT", "UPDATED"), rows, "No rules.")


@app.command("set")
@with_client
async def set_rule(
    client: Client,
    screen: Output,
    keep: Annotated[str, typer.Argument(metavar="TIME", help="For example 12h or 7d after the end, or forever.")],
    workflow: Workflow = None,
    status: Status = None,
) -> None:
    """Keep some runs longer or shorter than others. The rule that says most decides."""
    seconds = None if keep == "forever" else duration_of(keep, "TIME").total_seconds()
    made = await client.set_rule({**_asked(workflow, status), "keep": seconds})
    screen.say(made, f"{_told(made)} are kept {_kept(made['keep'])}")


@app.command()
@with_client
async def delete(client: Client, screen: Output, workflow: Workflow = None, status: Status = None) -> None:
    """Lift the rule for exactly these runs."""
    asked = _asked(workflow, status)
    await client.delete_rule(asked)
    screen.say({**asked, "deleted": True}, f"The rule is lifted: {_told(asked)}")


def _asked(workflow: str | None, status: str | None) -> Document:
    if workflow is None and status is None:
        raise Misused("name --workflow, --status, or both; for all runs set gc_retention")
    if status is not None and status not in TERMINAL:
        raise Misused(f"--status {status!r} is no end of a run; write one of {', '.join(sorted(TERMINAL))}")
    return {"workflow": workflow, "status": status}


def _told(rule: Document) -> str:
    return " ".join(one for one in ("runs", rule["workflow"] and f"of {rule['workflow']}", rule["status"]) if one)


def _kept(seconds: float | None) -> str:
    return "for ever" if seconds is None else str(timedelta(seconds=seconds)).removesuffix(", 0:00:00")
