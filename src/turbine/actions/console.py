"""The console: one reading statement, typed by somebody who administers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from turbine.engine.port import Port
from turbine.store import console
from turbine.store.console import Found

ROWS_MAX = 1000
TABLES = frozenset(
    {
        "pt_approvals",
        "pt_audit",
        "pt_chores",
        "pt_deliveries",
        "pt_delivery_attempts",
        "pt_departures",
        "pt_executors",
        "pt_failure_groups",
        "pt_failures",
        "pt_kv",
        "pt_kv_history",
        "pt_lives",
        "pt_logs",
        "pt_migrations",
        "pt_notifications",
        "pt_operation_outputs",
        "pt_products",
        "pt_queue_starts",
        "pt_queues",
        "pt_retention",
        "pt_schedules",
        "pt_sizes",
        "pt_step_attempts",
        "pt_waits",
        "pt_workflow_events",
        "pt_workflow_events_history",
        "pt_workflow_status",
        "pt_workflow_tags",
        "pt_workflows",
    }
)
"""What may be looked at. Accounts, sessions, tokens, links, and the URLs and secrets of those who are told, may not."""


async def ask(port: Port, text: str, limit: int = ROWS_MAX) -> Found:
    """Run one reading statement. Raises ValidationFailed for what may not be asked or takes too long."""
    store = port.store
    return await asyncio.get_running_loop().run_in_executor(_bench(), lambda: console.ask(store, text, limit, TABLES))


@cache
def _bench() -> ThreadPoolExecutor:
    # Two at a time: typed statements may be slow, and the machine is there for the runs.
    return ThreadPoolExecutor(2, thread_name_prefix="turbine-console")
