"""`turbine schedules`: when runs start by themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from turbine.cli.client import Client, Document, Misused
from turbine.cli.command import absolute_moment_of, duration_of, moment_of, parsed, with_client
from turbine.cli.output import Field, Output, moment, moment_in

app = typer.Typer(no_args_is_help=True, help="When runs start by themselves.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id, as listed.")]
Cron = Annotated[str | None, typer.Option("--cron", help='Five fields, six with seconds first, or "@hourly".')]
Once = Annotated[str | None, typer.Option("--once", metavar="TIME", help="One run at a time in ISO 8601.")]
Zone = Annotated[str | None, typer.Option("--timezone", help="For --cron, an IANA name such as Europe/Berlin.")]


@app.command("list")
@with_client
async def list_schedules(
    client: Client,
    output: Output,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Of this workflow.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 100,
) -> None:
    """List schedules, newest first."""
    page = await client.items("schedules", workflow=workflow, limit=limit)
    columns: dict[str, Field] = {
        "ID": "id",
        "NAME": "name",
        "WORKFLOW": "workflow",
        "WHEN": _when,
        "ENABLED": "enabled",
        "NEXT": moment_in("next_at"),
        "LAST ERROR": "last_error",
    }
    output.items(page, columns, "No schedules.")


def _when(schedule: Document) -> str:
    if schedule["cron_expression"] is None:
        return f"once {moment(schedule['scheduled_at'])}"
    return f"{schedule['cron_expression']} ({schedule['timezone']})"


@app.command()
@with_client
async def create(
    client: Client,
    output: Output,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="A workflow that is declared triggerable.")],
    cron: Cron = None,
    once: Once = None,
    timezone: Zone = None,
    jitter: Annotated[str | None, typer.Option("--jitter", help="Each run a random while later, at most this.")] = None,
    catch_up: Annotated[
        str | None, typer.Option("--catch-up", metavar="last|none|all", help="Which missed ticks are made up for.")
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option("--overlap", metavar="start|skip", help="What a tick does while the run before goes on."),
    ] = None,
    given: Annotated[str | None, typer.Option("--input", metavar="JSON", help="The input of its runs.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Part of the ids of its runs.")] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not start any run yet.")] = False,
) -> None:
    """Start a workflow at these times from now on."""
    body: Document = {
        "workflow": workflow,
        "schedule": _schedule(cron, once, timezone, jitter, catch_up, overlap),
        "input": parsed(given, "--input"),
        "enabled": not disabled,
    }
    if name is not None:
        body["name"] = name
    schedule = await client.post("schedules", body=body)
    output.say(schedule, schedule["id"])


def _schedule(
    cron: str | None,
    once: str | None,
    timezone: str | None,
    jitter: str | None = None,
    catch_up: str | None = None,
    overlap: str | None = None,
) -> Document:
    if (cron is None) == (once is None):
        raise Misused("say when: either --cron or --once")
    if once is not None:
        if timezone or jitter or catch_up or overlap:
            raise Misused("--timezone, --jitter, --catch-up and --overlap go with --cron")
        return {"type": "once", "at": absolute_moment_of(once, "--once")}
    options = {
        "timezone": timezone,
        "jitter": None if jitter is None else duration_of(jitter, "--jitter").total_seconds(),
        "catch_up": catch_up,
        "overlap": overlap,
    }
    return {"type": "cron", "expression": cron, **{name: value for name, value in options.items() if value is not None}}


@app.command()
@with_client
async def enable(client: Client, output: Output, id: Id) -> None:
    """Go on with a schedule from now on; what it missed meanwhile is not made up."""
    schedule = await client.post("schedules", id, "enable")
    output.say(schedule, f"{schedule['name']} is enabled; next {moment(schedule['next_at'])}")


@app.command()
@with_client
async def disable(
    client: Client,
    output: Output,
    id: Id,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for those who look at it later.")] = None,
) -> None:
    """Stop starting its runs."""
    schedule = await client.post("schedules", id, "disable", body=None if reason is None else {"reason": reason})
    output.say(schedule, f"{schedule['name']} is disabled")


@app.command("run-now")
@with_client
async def run_now(client: Client, output: Output, id: Id) -> None:
    """Start its workflow at once, enabled or not."""
    workflow_id = (await client.post("schedules", id, "run-now"))["workflow_id"]
    output.say({"workflow_id": workflow_id}, workflow_id)


@app.command()
@with_client
async def backfill(
    client: Client,
    output: Output,
    id: Id,
    after: Annotated[str, typer.Option("--after", metavar="TIME", help="From this tick on: 7d, or ISO 8601.")],
    before: Annotated[str, typer.Option("--before", metavar="TIME", help="Up to here, left out itself.")] = "0s",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which runs would be started.")] = False,
) -> None:
    """Start the runs of ticks that have passed and have none."""
    body = {"start": moment_of(after, "--after"), "end": moment_of(before, "--before"), "dry_run": dry_run}
    report = await client.post("schedules", id, "backfill", body=body)
    started = "would be started" if dry_run else "started"
    failed = [f"{workflow_id}: {reason}" for workflow_id, reason in report["failed"].items()]
    totals = f"{len(report['started'])} {started}, {len(report['existing'])} there already, {len(failed)} failed"
    output.say(report, *report["started"], *failed, totals)


@app.command()
@with_client
async def preview(
    client: Client,
    output: Output,
    id: Annotated[str | None, typer.Argument(metavar="ID", help="The schedule's id; or say --cron.")] = None,
    cron: Cron = None,
    timezone: Zone = None,
    count: Annotated[int, typer.Option("--count", help="How many times.")] = 10,
) -> None:
    """Show the next times of a schedule, or of a cron expression."""
    if (id is None) == (cron is None):
        raise Misused("give either the ID of a schedule or --cron")
    if id is not None:
        times = await client.get("schedules", id, "preview", count=count)
    else:
        body = {"schedule": _schedule(cron, None, timezone), "count": count}
        times = await client.post("schedules", "preview", body=body)
    output.say({"items": times["items"], "next_cursor": None}, *times["items"])


@app.command()
@with_client
async def delete(client: Client, output: Output, id: Id) -> None:
    """Remove a schedule; runs that it has started stay."""
    await client.delete("schedules", id)
    output.say({"id": id, "deleted": True}, f"{id} is deleted")
