"""What a run says and does, as it happens: `turbine tail`, and `turbine logs` for many runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from turbine.cli.client import PAGE_MAX, Client, Document, whole
from turbine.cli.command import moment_of, with_client
from turbine.cli.output import STATUS_STYLES, Output, clean, local, short
from turbine.cli.runs import Id
from turbine.cli.tty import FAILED
from turbine.model.workflows import TERMINAL

LOOK_SECONDS, LOOK_MAX_SECONDS = 0.1, 2.0
LATE_SECONDS = 0.5
"""Log records are written behind a run, so the last ones may come after its end."""
_STYLES = {"ERROR": "red", "CRITICAL": "bold red", "WARNING": "yellow", "failed": "red", "done": "green"}


@with_client
async def tail(
    client: Client,
    screen: Output,
    id: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
) -> None:
    """Show the steps and logs of a run in order; exit code 1 when it has failed. With --json a line for each."""
    view = View(client, id)
    pause = LOOK_SECONDS
    while True:
        news = await view.look()
        for one in news:
            _print(screen, one)
        if view.is_over or not follow:
            break
        pause = LOOK_SECONDS if news else min(pause * 1.5, LOOK_MAX_SECONDS)
        await asyncio.sleep(pause)
    if follow:
        await asyncio.sleep(LATE_SECONDS)
        for one in await view.look():
            _print(screen, one)
    if view.has_failed:
        raise typer.Exit(FAILED)


class View:
    """What was seen of a run; each look brings what is new, in the order of time."""

    def __init__(self, client: Client, id: str) -> None:
        self._door = client
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

    async def look(self) -> list[Document]:
        # The run first: what comes after its end is complete.
        run = await self._door.run(self._id)
        steps = await self._door.steps(self._id)
        news = [one for step in steps for one in self._of_step(step)]
        news += await self._logs()
        places = {step["position"]: step["function_id"] for step in steps}
        news.sort(key=lambda one: (one["at"], _place(one, places), _order(one)))
        if run["status"] != self._status:
            self._status = run["status"]
            at = run["completed_at"] or run["updated_at"]
            told = run["error"] or run["reason"] if self.has_failed else run["output"] if self.is_over else None
            news.append({"kind": "status", "at": at, "status": run["status"], "name": run["name"], "told": told})
        return news

    def _of_step(self, step: Document) -> Iterator[Document]:
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
        # A resumed run forgets a failure and starts the step anew.
        key = (step["position"], f"{event} {step['started_at']}")
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new

    async def _logs(self) -> list[Document]:
        news: list[Document] = []
        while True:
            wanted = {"workflow_id": self._id}
            items = (await self._door.logs(wanted, PAGE_MAX, self._cursor, ascending=True))["items"]
            news += ({"kind": "log", **one} for one in items)
            if items:
                self._cursor = items[-1]["id"]
            if len(items) < PAGE_MAX:
                return news


def _place(one: Document, places: dict[str, int]) -> int:
    """Which step it belongs to, by the order in which they were reached; what the body itself says comes last."""
    return places.get(one["step"] if one["kind"] == "log" else one["position"], len(places))


def _order(one: Document) -> int:
    """What comes first within a millisecond: a step starts, says something, and ends."""
    return 1 if one["kind"] == "log" else 0 if one["event"] == "started" else 2


def _print(screen: Output, one: Document) -> None:
    if screen.is_json:
        screen.line(one)
        return
    line = Text(_clock(one["at"]), style="dim")
    match one["kind"]:
        case "log":
            where = f"[{one['step']}] " if one["step"] else ""
            line.append(f"  {one['level']:<8} ", _STYLES.get(one["level"], ""))
            line.append(clean(f"{where}{one['message']}"), "not dim")
        case "step":
            line.append(f"  step {one['position']} ", "not dim")
            line.append(clean(one["name"]), "bold not dim")
            line.append(f" {one['event']}", f"not dim {_STYLES.get(one['event'].split()[-1], '')}")
            line.append(clean(f": {short(one['error'])}") if one["error"] else "", "not dim")
        case _:
            line.append(f"  {one['status']}", f"not dim {STATUS_STYLES.get(one['status'], '')}")
            line.append(clean(f": {short(one['told'])}") if one["told"] is not None else "", "not dim")
    screen.words(line)


def _clock(at: str) -> str:
    return local(at).strftime("%H:%M:%S.%f")[:-3]


@with_client
async def logs(
    client: Client,
    screen: Output,
    id: Annotated[str | None, typer.Argument(metavar="ID", help="Of this run; by default of all.")] = None,
    level: Annotated[str | None, typer.Option("--level", help="The lowest one shown, such as WARNING.")] = None,
    search: Annotated[str | None, typer.Option("--search", help="Part of the message or the logger's name.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Since then: 2h, 7d, or a time in ISO 8601.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many of the newest, at most.")] = 100,
) -> None:
    """Show the newest log records, the newest last."""
    wanted: Document = {"workflow_id": id, "level": level, "search": search}
    wanted["after"] = None if since is None else moment_of(since, "--since")
    found = await whole(lambda count, cursor: client.logs(wanted, count, cursor, ascending=False), limit)
    if screen.is_json:
        screen.document(found)
        return
    for one in reversed(found["items"]):
        _print(screen, {"kind": "log", **one, "message": one["message"] if id else _with_run(one)})


def _with_run(record: Document) -> str:
    return f"{record['workflow_id']}: {record['message']}" if record["workflow_id"] else record["message"]
