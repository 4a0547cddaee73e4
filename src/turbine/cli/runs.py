"""Commands about runs: show them, act on them, start them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from turbine.cli.client import Client, Document, Misused
from turbine.cli.command import duration_of, moment_of, parsed, with_client
from turbine.cli.output import Field, Output, moment, moment_in, short, span
from turbine.cli.tty import FAILED
from turbine.model.workflows import TERMINAL, WorkflowStatus

Id = Annotated[str, typer.Argument(metavar="ID", help="The workflow id of the run.")]
Texts = list[str] | None
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
POLL_SECONDS, POLL_MAX_SECONDS = 0.02, 1.0


@with_client
async def list_runs(
    client: Client,
    output: Output,
    status: Annotated[
        list[WorkflowStatus] | None,
        typer.Option("--status", metavar="STATUS", case_sensitive=False, help="With this status; may be repeated."),
    ] = None,
    name: Annotated[Texts, typer.Option("--name", metavar="NAME", help="Of this workflow; may be repeated.")] = None,
    queue: Annotated[Texts, typer.Option("--queue", metavar="NAME", help="Of this queue; may be repeated.")] = None,
    tag: Annotated[Texts, typer.Option("--tag", metavar="TAG", help="With this tag; may be repeated.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", help="Part of id, name, summary, tags, input or error.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Made since then: 2h, 7d, or a time in ISO 8601.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 20,
) -> None:
    """List runs, newest first."""
    query: Document = {
        "status": [item.value for item in status] if status else None,
        "name": name or None,
        "queue": queue or None,
        "tag": tag or None,
        "search": search,
        "created_after": None if since is None else moment_of(since, "--since"),
    }
    page = await client.items("workflows", **query, limit=limit)
    columns: dict[str, Field] = {
        "ID": "workflow_id",
        "STATUS": "status",
        "NAME": "name",
        "CREATED": moment_in("created_at"),
        "TOOK": lambda run: span(run["duration"]),
        "ABOUT": _about,
    }
    output.items(page, columns, "No runs.")


def _about(run: Document) -> str:
    text = run["attention"] or run["error"] or run["app_status"] or run["reason"] or run["summary"]
    return short(text or "")


@with_client
async def show(client: Client, output: Output, id: Id) -> None:
    """Show a run, and why it is not moving."""
    run = await client.get("workflows", id)
    explanation = await client.get("workflows", id, "explain")
    if output.is_json:
        output.document({**run, "explanation": explanation})
        return
    output.facts(
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
        output.text("")
        output.text(explanation["text"])
        if explanation["advice"]:
            output.text(explanation["advice"])


@with_client
async def steps(client: Client, output: Output, id: Id) -> None:
    """List the steps of a run with all their attempts."""
    items = await steps_of(client, id)
    rows = (row for step in items for row in _step_rows(step))
    columns = ("STEP", "NAME", "STATUS", "STARTED", "TOOK", "RESULT")
    output.table({"items": items, "next_cursor": None}, columns, rows, "No steps.")


async def steps_of(client: Client, id: str) -> list[Document]:
    """The steps of a run, with their outputs uncut."""
    return (await client.get("workflows", id, "steps", payload_limit=2**31))["items"]


def _step_rows(step: Document) -> list[tuple[Any, ...]]:
    """A row for a step, followed by one for each attempt if there was more than one."""
    status = "ERROR" if step["error"] else "SUCCESS" if step["ended_at"] else "PENDING"
    result = step["error"] or (f"→ {step['child_workflow_id']}" if step["child_workflow_id"] else None)
    if result is None and step["ended_at"]:
        result = "null" if step["output"] is None else short(step["output"])
    rows = [(step["position"], step["function_name"], status, *_times(step), short(result or ""))]
    if len(step["attempts"]) > 1:
        rows += [
            ("", f"  attempt {attempt['number']}", "", *_times(attempt), short(attempt["error"] or ""))
            for attempt in step["attempts"]
        ]
    return rows


def _times(step: Document) -> tuple[str, str]:
    """When a step or attempt began, and how long it took."""
    if step["ended_at"] is None:
        return moment(step["started_at"]), ""
    began, ended = datetime.fromisoformat(step["started_at"]), datetime.fromisoformat(step["ended_at"])
    return moment(step["started_at"]), span(max(0.0, (ended - began).total_seconds()))


@with_client
async def cancel(
    client: Client,
    output: Output,
    id: Id,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; shown with the run.")] = None,
) -> None:
    """Cancel a run and its children."""
    acted = await client.post("workflows", id, "cancel", body={"reason": reason})
    output.say(acted, f"{id} is cancelled" if acted["changed"] else f"{id} was over already: {acted['status']}")


@with_client
async def resume(client: Client, output: Output, id: Id) -> None:
    """Go on with a run that was cancelled, failed, dead-lettered or set aside; recorded steps stay."""
    acted = await client.post("workflows", id, "resume")
    text = f"{id} goes on: {acted['status']}" if acted["changed"] else f"Nothing to resume: {id} is {acted['status']}"
    output.say(acted, text)


@with_client
async def release(client: Client, output: Output, id: Id) -> None:
    """End the sleep of a run, the pause before a retry, or the delay of its start, now."""
    acted = await client.post("workflows", id, "release")
    output.say(acted, f"{id} goes on" if acted["changed"] else f"{id} does not wait for a time: {acted['status']}")


@with_client
async def fork(
    client: Client,
    output: Output,
    id: Id,
    from_step: Annotated[
        str, typer.Option("--from-step", metavar="N", help="The first position that runs again, like 3 or 3.0.1.")
    ] = "0",
    new_input: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="Another input, by parameter name.")
    ] = None,
    edit: Annotated[
        Texts, typer.Option("--edit", metavar="POS=JSON", help="Another output of a step before; may be repeated.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Start it in this queue instead of at once.")] = None,
    new_id: Annotated[str | None, typer.Option("--id", help="The new run's workflow id.")] = None,
) -> None:
    """Start a new run that begins with the recorded steps of this one."""
    body: Document = {"from_step": from_step, "queue": queue, "new_id": new_id}
    if new_input is not None:
        body["input"] = parsed(new_input, "--input")
    if edit:
        body["edits"] = dict(map(_edit, edit))
    acted = await client.post("workflows", id, "fork", body=body)
    output.say(acted, acted["workflow_id"])


def _edit(text: str) -> tuple[str, Any]:
    position, equals, value = text.partition("=")
    if not equals:
        raise Misused(f"--edit {text!r} is not POS=JSON; write for example --edit '2=\"paid\"'")
    return position, parsed(value, "--edit")


@with_client
async def trigger(
    client: Client,
    output: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The workflow, by name or module:qualname.")],
    given: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="By parameter name, or the only parameter's value.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 unless it succeeded.")] = False,
    id: Annotated[str | None, typer.Option("--id", help="Its workflow id: the same twice is one run.")] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Put it into this queue.")] = None,
    delay: Annotated[str | None, typer.Option("--delay", help="Start it later: 90s, 30m, 2h.")] = None,
    priority: Annotated[int, typer.Option("--priority", help="Smaller comes first, in a queue with priorities.")] = 0,
    tag: Annotated[Texts, typer.Option("--tag", metavar="TAG", help="A tag; may be repeated.")] = None,
) -> None:
    """Start a workflow that is declared triggerable."""
    body: Document = {
        "name": name,
        "input": parsed(given, "--input"),
        "id": id,
        "queue": queue,
        "delay": None if delay is None else duration_of(delay, "--delay").total_seconds(),
        "priority": priority or None,
        "tags": tag or None,
    }
    body = {field: value for field, value in body.items() if value is not None}
    workflow_id = (await client.post("trigger", body=body))["workflow_id"]
    if not wait:
        output.say({"workflow_id": workflow_id}, workflow_id)
        return
    run = await _ended(client, workflow_id)
    result = {field: run[field] for field in ("workflow_id", "status", "output", "error", "reason")}
    output.say(result, workflow_id, f"{run['status']}: {_outcome(run)}")
    if run["status"] != "SUCCESS":
        raise typer.Exit(FAILED)


async def _ended(client: Client, workflow_id: str) -> Document:
    pause = POLL_SECONDS
    while (run := await client.get("workflows", workflow_id))["status"] not in TERMINAL:
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, POLL_MAX_SECONDS)
    return run


def _outcome(run: Document) -> str:
    if run["status"] == "SUCCESS":
        return short(run["output"])
    return run["error"] or run["reason"] or ""


@with_client
async def approve(
    client: Client,
    output: Output,
    id: Id,
    reject: Annotated[bool, typer.Option("--reject", help="Reject instead of approve.")] = False,
    comment: Annotated[str, typer.Option("--comment", help="Why.")] = "",
    data: Annotated[str | None, typer.Option("--data", metavar="JSON", help="The form, filled in.")] = None,
    approval_id: Annotated[
        str | None, typer.Option("--approval-id", help="Which approval, if several are open.")
    ] = None,
) -> None:
    """Decide the approval that a run waits for."""
    body = {"approved": not reject, "comment": comment, "data": parsed(data, "--data"), "approval_id": approval_id}
    acted = await client.post("workflows", id, "approve", body=body)
    output.say(acted, f"{id} is {'rejected' if reject else 'approved'}")


@with_client
async def send(
    client: Client,
    output: Output,
    id: Id,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="The message, as JSON.")],
    topic: Annotated[str, typer.Option("--topic", help="The topic on which it is received.")] = "",
) -> None:
    """Put a message into a run's mailbox."""
    acted = await client.post("workflows", id, "send", body={"topic": topic, "message": parsed(message, "MESSAGE")})
    output.say(acted, f"{id} has a message" + (f" on topic {topic!r}" if topic else ""))


@with_client
async def export(
    client: Client,
    output: Output,
    id: Id,
    path: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Write to this new file instead.")
    ] = None,
) -> None:
    """Print a run with everything that was recorded of it as JSON, for the dashboard or for a replay in a test."""
    if path is None:
        output.document(await client.get("workflows", id, "export"))
        return
    await client.download(path, "workflows", id, "export")
    output.say({"workflow_id": id, "path": str(path)}, str(path))
