"""The service whose database `bench/fill` fills: `turbine serve bench.crowd:rt` serves it, and nothing in it moves.

Its workflows are those of the rows. What is open sleeps for a year, waits for a person, or stands in a queue that is
paused, so that whoever launches this runtime finds nothing to do.
"""

import datetime as dt
import os
from dataclasses import dataclass
from typing import Any

import turbine

CODE_VERSIONS = ("2026.07", "2026.08", "2026.09", "2026.10")


@dataclass(frozen=True, slots=True)
class Kind:
    """A workflow as the rows show it: how many of a thousand runs are of it, its steps, and where it runs."""

    name: str
    share: int
    steps: tuple[str, ...]
    queue: str | None = None
    tags: tuple[str, ...] = ()
    parent: str | None = None
    schedule: str | None = None


KINDS = (
    Kind("place_order", 240, ("reserve", "charge", "pick", "pack", "ship"), tags=("shop", "europe")),
    Kind("send_invoice", 180, ("render_pdf", "mail"), tags=("shop",), parent="place_order"),
    Kind("render_thumbnail", 150, ("download", "resize", "upload"), queue="render"),
    Kind("import_catalog", 100, ("fetch", "parse", "check", "store"), queue="imports", tags=("nightly",)),
    Kind("sync_stock", 90, ("ask_warehouse", "compare", "write"), tags=("nightly", "stock"), schedule="stock"),
    Kind("refund", 60, ("find_payment", "refund_payment", "mail"), tags=("shop", "money")),
    Kind("onboard_customer", 50, ("check_identity", "turbine.wait_for_approval", "open_account"), tags=("people",)),
    Kind("train_model", 40, ("load", "split", "fit", "evaluate"), queue="learning", tags=("ml",)),
    Kind("crawl_site", 30, ("frontier", "fetch_page", "extract"), queue="crawl"),
    Kind("monthly_report", 25, ("collect", "aggregate", "draw", "send"), schedule="reports", tags=("money",)),
    Kind("remind", 20, ("turbine.sleep", "mail")),
    Kind("translate", 10, ("detect", "translate_text", "review"), queue="render", tags=("ml", "text")),
    Kind("migrate_tenant", 5, ("lock", "copy", "switch", "unlock"), tags=("rare",)),
)
QUEUES = ("render", "imports", "learning", "crawl")
PARTITIONS = 40


def workflow_of(kind: Kind) -> Any:
    """A workflow that is declared as usual and does nothing."""

    async def body(number: int, customer: str = "", note: str = "") -> dict[str, Any]:
        return {"number": number}

    body.__name__ = body.__qualname__ = kind.name
    body.__doc__ = f"Does {', then '.join(step.removeprefix('pt.') for step in kind.steps)}."
    return turbine.workflow(name=kind.name, triggerable=True, tags=list(kind.tags))(body)


def runtime(url: str | None = None) -> turbine.Runtime:
    """A runtime that knows all of it, and keeps everything."""
    made = turbine.Runtime(
        url,
        workflows=[workflow_of(kind) for kind in KINDS],
        gc_retention=None,
        application_version=CODE_VERSIONS[-1],
        shutdown_timeout=dt.timedelta(seconds=2),
    )
    for name in QUEUES:
        made.queue(name, global_concurrency=20, partitioned=name == "imports")
    return made


rt = runtime(os.environ.get("TURBINE_DATABASE_URL"))
