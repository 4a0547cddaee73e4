"""`turbine queues`: how full they are, and their limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from turbine.cli.client import Client, Document, Misused
from turbine.cli.command import duration_of, with_client
from turbine.cli.output import Output, moment, span

NO_LIMIT = "none"


class Act(StrEnum):
    """What may be done to a queue."""

    PAUSE = "pause"
    RESUME = "resume"
    SET = "set"


@with_client
async def queues(
    client: Client,
    screen: Output,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One queue; by default all.")] = None,
    act: Annotated[Act | None, typer.Argument(metavar="pause|resume|set", help="What to do to it.")] = None,
    everywhere: Annotated[
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
    changes = _changes(everywhere, worker, rate)
    if changes and act is not Act.SET:
        raise Misused("--global, --worker and --rate go with: turbine queues NAME set")
    if name is None:
        _show_all(screen, await client.queues())
        return
    match act:
        case None:
            _show_one(screen, await client.queue(name))
        case Act.PAUSE:
            screen.say(await client.pause_queue(name), f"{name} is paused; what runs goes on")
        case Act.RESUME:
            screen.say(await client.resume_queue(name), f"{name} goes on")
        case Act.SET:
            if not changes:
                raise Misused("say which limits: --global N, --worker N, --rate N/SECONDS")
            queue = await client.limit_queue(name, changes)
            screen.say(queue, f"{name}: {_limits(queue)}")


def _changes(everywhere: str | None, worker: str | None, rate: str | None) -> Document:
    changes: Document = {}
    if everywhere is not None:
        changes["global_concurrency"] = _count(everywhere, "--global")
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


def _show_all(screen: Output, found: list[Document]) -> None:
    columns = ("NAME", "WAITING", "RUNNING", "OLDEST", "LIMITS")
    rows = ((one["name"], one["enqueued"], one["running"], span(one["oldest_age"]), _limits(one)) for one in found)
    screen.table({"items": found, "next_cursor": None}, columns, rows, "No queues.")


def _show_one(screen: Output, queue: Document) -> None:
    if screen.is_json:
        screen.document(queue)
        return
    screen.facts(
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
        rows = ((one["workflow_id"], one["name"], moment(one["since"])) for one in queue["holders"])
        screen.words("")
        screen.table(None, ("ID", "NAME", "SINCE"), rows, "")
    if queue["partitions"]:
        rows = ((one["key"], one["enqueued"], one["running"]) for one in queue["partitions"])
        screen.words("")
        screen.table(None, ("KEY", "WAITING", "RUNNING"), rows, "")


def _limits(queue: Document) -> str:
    rate: Any = queue["rate_limit"]
    told = [
        "paused" if queue["paused"] else "",
        f"{queue['global_concurrency']} everywhere" if queue["global_concurrency"] else "",
        f"{queue['worker_concurrency']} a process" if queue["worker_concurrency"] else "",
        f"{rate['limit']} in {span(rate['per'])}" if rate else "",
        "by priority" if queue["priority"] else "",
        "partitioned" if queue["partitioned"] else "",
    ]
    return ", ".join(one for one in told if one) or "no limits"
