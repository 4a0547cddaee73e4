"""`turbine queues`: how full they are, and their limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from turbine.cli.client import Client, Document, Misused
from turbine.cli.command import duration_of, with_client
from turbine.cli.output import Field, Output, moment_in, span

NO_LIMIT = "none"


class QueueAction(StrEnum):
    """An action on a queue."""

    PAUSE = "pause"
    RESUME = "resume"
    SET = "set"


@with_client
async def queues(
    client: Client,
    output: Output,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One queue; by default all.")] = None,
    act: Annotated[QueueAction | None, typer.Argument(metavar="pause|resume|set", help="What to do with it.")] = None,
    global_: Annotated[
        str | None, typer.Option("--global", metavar="N", help="set: runs at once over all processes, or none.")
    ] = None,
    worker: Annotated[
        str | None, typer.Option("--worker", metavar="N", help="set: runs at once in each process, or none.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="N/PERIOD", help="set: starts in a period, like 100/60, or none.")
    ] = None,
) -> None:
    """List queues, show one, or change it for all processes at once."""
    changes = _changes(global_, worker, rate)
    if changes and act is not QueueAction.SET:
        raise Misused("--global, --worker and --rate go with: turbine queues NAME set")
    if name is None:
        _show_all(output, (await client.get("queues", stats=True))["items"])
        return
    match act:
        case None:
            _show_one(output, {**await client.get("queues", name), **await client.get("queues", name, "stats")})
        case QueueAction.PAUSE:
            output.say(await client.post("queues", name, "pause"), f"{name} is paused; what runs goes on")
        case QueueAction.RESUME:
            output.say(await client.post("queues", name, "resume"), f"{name} goes on")
        case QueueAction.SET:
            if not changes:
                raise Misused("say which limits: --global N, --worker N, --rate N/SECONDS")
            queue = await client.patch("queues", name, body=changes)
            output.say(queue, f"{name}: {_limits(queue)}")


def _changes(global_: str | None, worker: str | None, rate: str | None) -> Document:
    changes: Document = {}
    if global_ is not None:
        changes["global_concurrency"] = _count(global_, "--global")
    if worker is not None:
        changes["worker_concurrency"] = _count(worker, "--worker")
    if rate is not None:
        changes["rate_limit"] = _rate(rate)
    return changes


def _count(text: str, option: str) -> int | None:
    if text == NO_LIMIT:
        return None
    if not text.isdecimal():
        raise Misused(f"{option} must be a number or {NO_LIMIT}, not {text!r}")
    return int(text)


def _rate(text: str) -> Document | None:
    if text == NO_LIMIT:
        return None
    count, slash, period = text.partition("/")
    if not slash or not count.isdecimal():
        raise Misused(f"--rate must be like 100/60 (100 starts in 60 seconds) or {NO_LIMIT}, not {text!r}")
    return {"limit": int(count), "per": duration_of(period, "--rate").total_seconds()}


def _show_all(output: Output, items: list[Document]) -> None:
    queues = [queue | queue.pop("stats") for queue in items]
    columns: dict[str, Field] = {
        "NAME": "name",
        "WAITING": "enqueued",
        "RUNNING": "running",
        "OLDEST": lambda queue: span(queue["oldest_age"]),
        "LIMITS": _limits,
    }
    output.items({"items": queues, "next_cursor": None}, columns, "No queues.")


def _show_one(output: Output, queue: Document) -> None:
    if output.is_json:
        output.document(queue)
        return
    output.facts(
        [
            ("name", queue["name"]),
            ("limits", _limits(queue)),
            ("waiting", queue["enqueued"]),
            ("running", queue["running"]),
            ("succeeded", queue["completed"]),
            ("failed", queue["failed"]),
            ("oldest", span(queue["oldest_age"])),
            ("ended/min", f"{queue['throughput_per_minute']:g}"),
        ]
    )
    if queue["holders"]:
        output.text("")
        output.items(
            {"items": queue["holders"]}, {"ID": "workflow_id", "NAME": "name", "SINCE": moment_in("since")}, ""
        )
    if queue["partitions"]:
        output.text("")
        output.items({"items": queue["partitions"]}, {"KEY": "key", "WAITING": "enqueued", "RUNNING": "running"}, "")


def _limits(queue: Document) -> str:
    rate: Any = queue["rate_limit"]
    limits = [
        "paused" if queue["paused"] else "",
        f"{queue['global_concurrency']} everywhere" if queue["global_concurrency"] else "",
        f"{queue['worker_concurrency']} a process" if queue["worker_concurrency"] else "",
        f"{rate['limit']} in {span(rate['per'])}" if rate else "",
        "by priority" if queue["priority"] else "",
        "partitioned" if queue["partitioned"] else "",
    ]
    return ", ".join(filter(None, limits)) or "no limits"
