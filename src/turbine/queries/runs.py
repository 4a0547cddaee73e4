"""Runs: one status, pages, counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from turbine.clock import to_ms
from turbine.codec import json_value
from turbine.engine.app import App
from turbine.engine.payloads import Payloads
from turbine.errors import WorkflowNotFound
from turbine.model.metrics import StatusCounts
from turbine.model.pages import after_key, check_limit, cut_page
from turbine.model.run_filter import RunFilter
from turbine.model.workflows import Count, Page, Status, WorkflowStatus
from turbine.tables import metrics, run_records, run_search, runs
from turbine.tables.run_records import StoredRun as StoredStatus

COUNT_MAX = 10_000
"""Runs that are counted at most."""
SEARCHED_MAX = 1000
"""Runs that are counted at most when a text is searched, which reads each of them."""


async def get_run(app: App, workflow_id: str) -> Status:
    """Returns a run with its payloads. Raises WorkflowNotFound."""
    stored = await app.store.read(run_records.get, workflow_id=workflow_id)
    if stored is None:
        raise WorkflowNotFound(workflow_id)
    return _decoded(stored, app.payloads)


async def run_status(app: App, workflow_id: str) -> WorkflowStatus | None:
    """Returns the status of a run, None for an unknown id."""
    facts = await app.store.read(run_records.facts, workflow_id=workflow_id)
    return None if facts is None else WorkflowStatus(facts.status)


async def run_key(app: App, workflow_id: str) -> int:
    """Returns the integer key of a run. Raises WorkflowNotFound."""
    run = await app.store.read(runs.run_of, workflow_id=workflow_id)
    if run is None:
        raise WorkflowNotFound(workflow_id)
    return run


async def list_runs(
    app: App,
    run_filter: RunFilter,
    *,
    limit: int,
    cursor: str | None = None,
    ascending: bool = False,
    load_input: bool = False,
    load_output: bool = True,
) -> Page[Status]:
    """Returns one page of runs, newest first. Raises ValueError for a wrong limit or cursor."""
    rows = await app.store.read(
        run_records.page,
        filter=run_filter,
        limit=check_limit(limit) + 1,
        after=after_key(cursor),
        ascending=ascending,
        load_input=load_input,
        load_output=load_output,
    )
    return cut_page(rows, limit, lambda stored: stored.run, lambda stored: _decoded(stored, app.payloads))


async def count_runs(app: App, run_filter: RunFilter, limit: int | None = None) -> Count:
    """Counts the runs of a filter up to a limit, by default one that is answered quickly."""
    limit = limit or (SEARCHED_MAX if run_filter.search else COUNT_MAX)
    count = await app.store.read(run_search.count, filter=run_filter, limit=limit + 1)
    return Count(min(count, limit), capped=count > limit)


async def count_by_status(app: App, after: datetime | None, before: datetime | None) -> StatusCounts:
    """Counts the runs that were created in a span of time, by status."""
    counts = await app.store.read(
        metrics.by_status,
        from_ms=None if after is None else to_ms(after, "after"),
        to_ms=None if before is None else to_ms(before, "before"),
    )
    return StatusCounts({WorkflowStatus(status): count for status, count in counts.items()})


def _decoded(stored: StoredStatus, payloads: Payloads) -> Status:
    def decoded(text: str | None) -> Any:
        return None if text is None else json_value(payloads.open(text))

    return replace(stored.status, output=decoded(stored.output), input=decoded(stored.inputs))
