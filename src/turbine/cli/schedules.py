"""`turbine schedules`: when runs start by themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from turbine.cli.client import Client, Document, Misused, moment_text, whole
from turbine.cli.command import absolute_moment_of, duration_of, moment_of, parsed, with_client
from turbine.cli.output import Output, moment

app = typer.Typer(no_args_is_help=True, help="When runs start by themselves.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id, as listed.")]
Cron = Annotated[str | None, typer.Option("--cron", help='Five fields, six with seconds first, or "@hourly".')]
Once = Annotated[str | None, typer.Option("--once", metavar="TIME", help="One run at a time in ISO 8601.")]
Zone = Annotated[str | None, typer.Option("--timezone", help="For --cron, an IANA name such as Europe/Berlin.")]


@app.command("list")
@with_client
async def list_schedules(
    client: Client,
    screen: Output,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Of this workflow.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 100,
) -> None:
    """List schedules, newest first."""
    found = await whole(lambda count, cursor: client.schedules(workflow, count, cursor), limit)
    rows = (
        (one["id"], one["name"], one["workflow"], _when(one), one["enabled"], moment(one["next_at"]), one["last_error"])
        for one in found["items"]
    )
    columns = ("ID", "NAME", "WORKFLOW", "WHEN", "ENABLED", "NEXT", "LAST ERROR")
    screen.table(found, columns, rows, "No schedules.")


def _when(schedule: Document) -> str:
    if schedule["cron_expression"] is None:
        return f"once {moment(schedule['scheduled_at'])}"
    return f"{schedule['cron_expression']} ({schedule['timezone']})"


@app.command()
@with_client
async def create(
    client: Client,
    screen: Output,
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
    given: Annotated[str | None, typer.Option("--input", metavar="JSON", help="What its runs get.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Goes into the ids of its runs.")] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not start any run yet.")] = False,
) -> None:
    """Start a workflow at these times from now on."""
    asked: Document = {
        "workflow": workflow,
        "schedule": _schedule(cron, once, timezone, jitter, catch_up, overlap),
        "input": parsed(given, "--input"),
        "enabled": not disabled,
    }
    if name is not None:
        asked["name"] = name
    made = await client.create_schedule(asked)
    screen.say(made, made["id"])


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
        return {"type": "once", "at": moment_text(absolute_moment_of(once, "--once"))}
    given = {
        "timezone": timezone,
        "jitter": None if jitter is None else duration_of(jitter, "--jitter").total_seconds(),
        "catch_up": catch_up,
        "overlap": overlap,
    }
    return {"type": "cron", "expression": cron, **{name: one for name, one in given.items() if one is not None}}


@app.command()
@with_client
async def enable(client: Client, screen: Output, id: Id) -> None:
    """Go on with a schedule from now; what it missed meanwhile is not made up."""
    schedule = await client.switch_schedule(id, enabled=True)
    screen.say(schedule, f"{schedule['name']} is enabled; next {moment(schedule['next_at'])}")


@app.command()
@with_client
async def disable(
    client: Client,
    screen: Output,
    id: Id,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for those who look at it later.")] = None,
) -> None:
    """Start no run of it any more."""
    schedule = await client.switch_schedule(id, enabled=False, reason=reason)
    screen.say(schedule, f"{schedule['name']} is disabled")


@app.command("run-now")
@with_client
async def run_now(client: Client, screen: Output, id: Id) -> None:
    """Start its workflow at once, enabled or not."""
    workflow_id = await client.run_schedule(id)
    screen.say({"workflow_id": workflow_id}, workflow_id)


@app.command()
@with_client
async def backfill(
    client: Client,
    screen: Output,
    id: Id,
    after: Annotated[str, typer.Option("--after", metavar="TIME", help="From this tick on: 7d, or ISO 8601.")],
    before: Annotated[str, typer.Option("--before", metavar="TIME", help="Up to here, left out itself.")] = "0s",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which runs would be started.")] = False,
) -> None:
    """Start the runs of ticks that have passed and have none."""
    start, end = moment_of(after, "--after"), moment_of(before, "--before")
    found = await client.backfill(id, start, end, dry_run=dry_run)
    said = "would be started" if dry_run else "started"
    failed = [f"{workflow_id}: {why}" for workflow_id, why in found["failed"].items()]
    numbers = f"{len(found['started'])} {said}, {len(found['existing'])} there already, {len(failed)} failed"
    screen.say(found, *found["started"], *failed, numbers)


@app.command()
@with_client
async def preview(
    client: Client,
    screen: Output,
    id: Annotated[str | None, typer.Argument(metavar="ID", help="The schedule's id; or say --cron.")] = None,
    cron: Cron = None,
    timezone: Zone = None,
    count: Annotated[int, typer.Option("--count", help="How many times.")] = 10,
) -> None:
    """Show the next times of a schedule, or of a cron text."""
    if (id is None) == (cron is None):
        raise Misused("give either the ID of a schedule or --cron")
    wanted = id if id is not None else _schedule(cron, None, timezone)
    times = await client.preview(wanted, count)
    screen.say({"items": times, "next_cursor": None}, *times)


@app.command()
@with_client
async def delete(client: Client, screen: Output, id: Id) -> None:
    """Remove a schedule; runs that it has started stay."""
    await client.delete_schedule(id)
    screen.say({"id": id, "deleted": True}, f"{id} is deleted")
