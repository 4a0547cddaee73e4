"""Commands about runs: look at them, act on them, start them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from turbine.cli.client import Client, Document, Misused, whole
from turbine.cli.command import duration_of, moment_of, parsed, with_client
from turbine.cli.output import Output, moment, short, span
from turbine.cli.tty import FAILED
from turbine.model.workflows import TERMINAL, WorkflowStatus

Id = Annotated[str, typer.Argument(metavar="ID", help="The workflow id of the run.")]
Several = list[str] | None
_FACTS = {
    "id": "workflow_id",
    "name": "name",
    "status": "status",
    "app status": "app_status",
    "summary": "summary",
    "reason": "reason",
    "attention": "attention",
    "error": "error",
    "input": "input",
    "output": "output",
    "queue": "queue_name",
    "partition key": "queue_partition_key",
    "deduplication": "deduplication_id",
    "priority": "priority",
    "parent": "parent_workflow_id",
    "forked from": "forked_from",
    "attempts": "attempts",
    "executor": "executor_id",
    "version": "application_version",
}
LOOK_SECONDS, LOOK_MAX_SECONDS = 0.02, 1.0


@with_client
async def list_runs(
    client: Client,
    screen: Output,
    status: Annotated[
        list[WorkflowStatus] | None,
        typer.Option("--status", metavar="STATUS", case_sensitive=False, help="With this status; may be repeated."),
    ] = None,
    name: Annotated[Several, typer.Option("--name", metavar="NAME", help="Of this workflow; may be repeated.")] = None,
    queue: Annotated[Several, typer.Option("--queue", metavar="NAME", help="Of this queue; may be repeated.")] = None,
    tag: Annotated[Several, typer.Option("--tag", metavar="TAG", help="With this tag; may be repeated.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", help="Part of id, name, summary, tags, input or error.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Made since then: 2h, 7d, or a time in ISO 8601.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 20,
) -> None:
    """List runs, newest first."""
    wanted: Document = {
        "status": [one.value for one in status] if status else None,
        "name": name or None,
        "queue": queue or None,
        "tag": tag or None,
        "search": search,
        "created_after": None if since is None else moment_of(since, "--since"),
    }
    found = await whole(lambda count, cursor: client.runs(wanted, count, cursor), limit)
    rows = (
        (run["workflow_id"], run["status"], run["name"], moment(run["created_at"]), span(run["duration"]), _about(run))
        for run in found["items"]
    )
    screen.table(found, ("ID", "STATUS", "NAME", "CREATED", "TOOK", "ABOUT"), rows, "No runs.")


def _about(run: Document) -> str:
    told = run["attention"] or run["error"] or run["app_status"] or run["reason"] or run["summary"]
    return short(told or "")


@with_client
async def show(client: Client, screen: Output, id: Id) -> None:
    """Show a run, and why it is not moving."""
    run = await client.run(id)
    explanation = await client.explain(id)
    if screen.is_json:
        screen.document({**run, "explanation": explanation})
        return
    screen.facts(
        [
            *((label, run[field]) for label, field in _FACTS.items() if run[field] != 0),
            ("tags", ", ".join(run["tags"])),
            ("created", moment(run["created_at"])),
            ("started", moment(run["started_at"])),
            ("completed", moment(run["completed_at"])),
            ("took", span(run["duration"])),
            ("timeout", span(run["timeout"])),
            ("deadline", moment(run["deadline"])),
        ]
    )
    if explanation["reason"] != "finished":
        screen.words("")
        screen.words(explanation["text"])
        if explanation["advice"]:
            screen.words(explanation["advice"])


@with_client
async def steps(client: Client, screen: Output, id: Id) -> None:
    """List the steps of a run with all their attempts."""
    found = await client.steps(id)
    rows = (row for step in found for row in _step_rows(step))
    columns = ("STEP", "NAME", "STATUS", "STARTED", "TOOK", "RESULT")
    screen.table({"items": found, "next_cursor": None}, columns, rows, "No steps.")


def _step_rows(step: Document) -> list[tuple[Any, ...]]:
    """A row for the step; under it one for each attempt, if there was more than one."""
    status = "ERROR" if step["error"] else "SUCCESS" if step["ended_at"] else "PENDING"
    result = step["error"] or (f"→ {step['child_workflow_id']}" if step["child_workflow_id"] else None)
    if result is None and step["ended_at"]:
        result = "null" if step["output"] is None else short(step["output"])
    rows: list[tuple[Any, ...]] = [
        (
            step["position"],
            step["function_name"],
            status,
            moment(step["started_at"]),
            _took(step),
            short(result or ""),
        )
    ]
    if len(step["attempts"]) > 1:
        rows += [
            ("", f"  attempt {one['number']}", "", moment(one["started_at"]), _took(one), short(one["error"] or ""))
            for one in step["attempts"]
        ]
    return rows


def _took(step: Document) -> str:
    if step["ended_at"] is None:
        return ""
    from datetime import datetime

    began, ended = datetime.fromisoformat(step["started_at"]), datetime.fromisoformat(step["ended_at"])
    return span(max(0.0, (ended - began).total_seconds()))


@with_client
async def cancel(
    client: Client,
    screen: Output,
    id: Id,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; shown with the run.")] = None,
) -> None:
    """Cancel a run and its children."""
    acted = await client.cancel(id, reason)
    screen.say(acted, f"{id} is cancelled" if acted["changed"] else f"{id} was over already: {acted['status']}")


@with_client
async def resume(client: Client, screen: Output, id: Id) -> None:
    """Take up a run that was cancelled, failed, dead-lettered or set aside; recorded steps stay."""
    acted = await client.resume(id)
    told = f"{id} goes on: {acted['status']}" if acted["changed"] else f"Nothing to resume: {id} is {acted['status']}"
    screen.say(acted, told)


@with_client
async def release(client: Client, screen: Output, id: Id) -> None:
    """End the sleep of a run, the pause before a retry, or the delay of its start, now."""
    acted = await client.release(id)
    screen.say(acted, f"{id} goes on" if acted["changed"] else f"{id} does not wait for the clock: {acted['status']}")


@with_client
async def fork(
    client: Client,
    screen: Output,
    id: Id,
    from_step: Annotated[
        str, typer.Option("--from-step", metavar="N", help="The first position that runs again, like 3 or 3.0.1.")
    ] = "0",
    new_input: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="Another input, by parameter name.")
    ] = None,
    edit: Annotated[
        Several, typer.Option("--edit", metavar="POS=JSON", help="Another output of a step before; may be repeated.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Start it in this queue instead of at once.")] = None,
    new_id: Annotated[str | None, typer.Option("--id", help="The new run's workflow id.")] = None,
) -> None:
    """Start a new run that begins with the recorded steps of this one."""
    asked: Document = {"from_step": from_step}
    if new_input is not None:
        asked["input"] = parsed(new_input, "--input")
    if edit:
        asked["edits"] = dict(_edit(one) for one in edit)
    asked |= {name: value for name, value in (("queue", queue), ("new_id", new_id)) if value is not None}
    acted = await client.fork(id, asked)
    screen.say(acted, acted["workflow_id"])


def _edit(text: str) -> tuple[str, Any]:
    position, equals, value = text.partition("=")
    if not equals:
        raise Misused(f"--edit {text!r} is not POS=JSON; write for example --edit '2=\"paid\"'")
    return position, parsed(value, "--edit")


@with_client
async def trigger(
    client: Client,
    screen: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The workflow, by name or module:qualname.")],
    given: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="By parameter name, or the only parameter's value.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 unless it succeeded.")] = False,
    id: Annotated[str | None, typer.Option("--id", help="Its workflow id: the same twice is one run.")] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Put it into this queue.")] = None,
    delay: Annotated[str | None, typer.Option("--delay", help="Start it later: 90s, 30m, 2h.")] = None,
    priority: Annotated[int, typer.Option("--priority", help="Smaller comes first, in a queue with priorities.")] = 0,
    tag: Annotated[Several, typer.Option("--tag", metavar="TAG", help="A tag; may be repeated.")] = None,
) -> None:
    """Start a workflow that is declared triggerable."""
    asked: Document = {
        "name": name,
        "input": parsed(given, "--input"),
        "id": id,
        "queue": queue,
        "delay": None if delay is None else duration_of(delay, "--delay").total_seconds(),
        "priority": priority or None,
        "tags": tag or None,
    }
    workflow_id = await client.trigger({name: value for name, value in asked.items() if value is not None})
    if not wait:
        screen.say({"workflow_id": workflow_id}, workflow_id)
        return
    run = await _ended(client, workflow_id)
    told = {field: run[field] for field in ("workflow_id", "status", "output", "error", "reason")}
    screen.say(told, workflow_id, f"{run['status']}: {_outcome(run)}")
    if run["status"] != "SUCCESS":
        raise typer.Exit(FAILED)


async def _ended(client: Client, workflow_id: str) -> Document:
    pause = LOOK_SECONDS
    while (run := await client.run(workflow_id))["status"] not in TERMINAL:
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LOOK_MAX_SECONDS)
    return run


def _outcome(run: Document) -> str:
    if run["status"] == "SUCCESS":
        return short(run["output"])
    return run["error"] or run["reason"] or ""


@with_client
async def approve(
    client: Client,
    screen: Output,
    id: Id,
    reject: Annotated[bool, typer.Option("--reject", help="Say no.")] = False,
    comment: Annotated[str, typer.Option("--comment", help="Why.")] = "",
    data: Annotated[str | None, typer.Option("--data", metavar="JSON", help="The form, filled in.")] = None,
    approval_id: Annotated[str | None, typer.Option("--approval-id", help="Which gate, if several are open.")] = None,
) -> None:
    """Decide the gate at which a run waits."""
    asked: Document = {"approved": not reject, "comment": comment, "data": parsed(data, "--data")}
    if approval_id is not None:
        asked["approval_id"] = approval_id
    acted = await client.approve(id, asked)
    screen.say(acted, f"{id} is {'rejected' if reject else 'approved'}")


@with_client
async def send(
    client: Client,
    screen: Output,
    id: Id,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="The message, as JSON.")],
    topic: Annotated[str, typer.Option("--topic", help="The topic on which it is received.")] = "",
) -> None:
    """Put a message into a run's mailbox."""
    acted = await client.send(id, parsed(message, "MESSAGE"), topic)
    screen.say(acted, f"{id} has a message" + (f" on topic {topic!r}" if topic else ""))
