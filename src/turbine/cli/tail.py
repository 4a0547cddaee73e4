"""The steps and logs of a run as they happen (`turbine tail`), and the logs of all runs (`turbine logs`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from turbine.cli.client import PAGE_MAX, Client, Document
from turbine.cli.command import moment_of, with_client
from turbine.cli.output import STATUS_STYLES, Output, clean, local, short
from turbine.cli.runs import Id, steps_of
from turbine.cli.tty import FAILED
from turbine.model.workflows import TERMINAL

POLL_SECONDS, POLL_MAX_SECONDS = 0.1, 2.0
LATE_SECONDS = 0.5
"""Log records are written asynchronously, so the last ones may come after the end of their run."""
_STYLES = {"ERROR": "red", "CRITICAL": "bold red", "WARNING": "yellow", "failed": "red", "done": "green"}


@with_client
async def tail(
    client: Client,
    output: Output,
    id: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
) -> None:
    """Show the steps and logs of a run in order; exit code 1 when it has failed. With --json a line for each."""
    feed = RunFeed(client, id)
    pause = POLL_SECONDS
    while True:
        events = await feed.poll()
        for event in events:
            _print(output, event)
        if feed.is_over or not follow:
            break
        pause = POLL_SECONDS if events else min(pause * 1.5, POLL_MAX_SECONDS)
        await asyncio.sleep(pause)
    if follow:
        await asyncio.sleep(LATE_SECONDS)
        for event in await feed.poll():
            _print(output, event)
    if feed.has_failed:
        raise typer.Exit(FAILED)


class RunFeed:
    """The events of a run; each poll returns the new ones, in order of time."""

    def __init__(self, client: Client, id: str) -> None:
        self._client = client
        self._id = id
        self._status = ""
        self._cursor: str | None = None
        self._seen: set[tuple[str, str]] = set()

    @property
    def is_over(self) -> bool:
        return self._status in TERMINAL

    @property
    def has_failed(self) -> bool:
        return self.is_over and self._status != "SUCCESS"

    async def poll(self) -> list[Document]:
        # The run first: steps that are read after its end are complete.
        run = await self._client.get("workflows", self._id)
        steps = await steps_of(self._client, self._id)
        events = [event for step in steps for event in self._events_of(step)]
        events += await self._logs()
        places = {step["position"]: step["function_id"] for step in steps}
        events.sort(key=lambda event: (event["at"], _place(event, places), _rank(event)))
        if run["status"] != self._status:
            self._status = run["status"]
            at = run["completed_at"] or run["updated_at"]
            result = run["error"] or run["reason"] if self.has_failed else run["output"] if self.is_over else None
            events.append({"kind": "status", "at": at, "status": run["status"], "name": run["name"], "told": result})
        return events

    def _events_of(self, step: Document) -> Iterator[Document]:
        about = {"kind": "step", "position": step["position"], "name": step["function_name"]}
        if self._is_new(step, "started"):
            yield {**about, "at": step["started_at"], "event": "started", "error": None}
        for attempt in step["attempts"]:
            is_failure = attempt["error"] is not None and attempt["ended_at"] is not None
            if is_failure and self._is_new(step, f"attempt {attempt['number']}"):
                event = f"attempt {attempt['number']} failed"
                yield {**about, "at": attempt["ended_at"], "event": event, "error": attempt["error"]}
        if step["ended_at"] is not None and self._is_new(step, "ended"):
            event = "done" if step["error"] is None else "failed"
            yield {**about, "at": step["ended_at"], "event": event, "error": step["error"]}

    def _is_new(self, step: Document, event: str) -> bool:
        # A resumed run drops a failure and starts the step again.
        key = (step["position"], f"{event} {step['started_at']}")
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new

    async def _logs(self) -> list[Document]:
        events: list[Document] = []
        while True:
            query = {"workflow_id": self._id, "limit": PAGE_MAX, "cursor": self._cursor, "ascending": True}
            page = await self._client.get("logs", **query)
            events += ({"kind": "log", **record} for record in page["items"])
            if page["items"]:
                self._cursor = page["items"][-1]["id"]
            if page["next_cursor"] is None:
                return events
            self._cursor = page["next_cursor"]


def _place(event: Document, places: dict[str, int]) -> int:
    """The step of an event, in the order in which steps began; events of the body itself come last."""
    return places.get(event["step"] if event["kind"] == "log" else event["position"], len(places))


def _rank(event: Document) -> int:
    """The order within a millisecond: a step starts, logs, and ends."""
    return 1 if event["kind"] == "log" else 0 if event["event"] == "started" else 2


def _print(output: Output, event: Document) -> None:
    if output.is_json:
        output.line(event)
        return
    line = Text(_clock(event["at"]), style="dim")
    match event["kind"]:
        case "log":
            prefix = f"[{event['step']}] " if event["step"] else ""
            line.append(f"  {event['level']:<8} ", _STYLES.get(event["level"], ""))
            line.append(clean(f"{prefix}{event['message']}"), "not dim")
        case "step":
            line.append(f"  step {event['position']} ", "not dim")
            line.append(clean(event["name"]), "bold not dim")
            line.append(f" {event['event']}", f"not dim {_STYLES.get(event['event'].split()[-1], '')}")
            line.append(clean(f": {short(event['error'])}") if event["error"] else "", "not dim")
        case _:
            line.append(f"  {event['status']}", f"not dim {STATUS_STYLES.get(event['status'], '')}")
            line.append(clean(f": {short(event['told'])}") if event["told"] is not None else "", "not dim")
    output.text(line)


def _clock(at: str) -> str:
    return local(at).strftime("%H:%M:%S.%f")[:-3]


@with_client
async def logs(
    client: Client,
    output: Output,
    id: Annotated[str | None, typer.Argument(metavar="ID", help="Of this run; by default of all.")] = None,
    level: Annotated[str | None, typer.Option("--level", help="The lowest one shown, such as WARNING.")] = None,
    search: Annotated[str | None, typer.Option("--search", help="Part of the message or the logger's name.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Since then: 2h, 7d, or a time in ISO 8601.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many of the newest, at most.")] = 100,
) -> None:
    """Show the newest log records, the newest last."""
    after = None if since is None else moment_of(since, "--since")
    page = await client.items("logs", workflow_id=id, level=level, search=search, after=after, limit=limit)
    if output.is_json:
        output.document(page)
        return
    for record in reversed(page["items"]):
        _print(output, {"kind": "log", **record, "message": record["message"] if id else _with_run(record)})


def _with_run(record: Document) -> str:
    return f"{record['workflow_id']}: {record['message']}" if record["workflow_id"] else record["message"]
