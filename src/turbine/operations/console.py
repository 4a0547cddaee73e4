"""The console: one reading statement, typed by somebody who administers."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.store import console
from turbine.store.console import QueryResult
from turbine.threads import Threads

ROWS_MAX = 1000
TABLES = frozenset(
    {
        "pt_approvals",
        "pt_audit",
        "pt_maintenance",
        "pt_deliveries",
        "pt_delivery_attempts",
        "pt_past_executors",
        "pt_executors",
        "pt_failure_groups",
        "pt_failures",
        "pt_kv",
        "pt_kv_history",
        "pt_incarnations",
        "pt_logs",
        "pt_migrations",
        "pt_messages",
        "pt_steps",
        "pt_products",
        "pt_queue_starts",
        "pt_queues",
        "pt_retention",
        "pt_schedules",
        "pt_sizes",
        "pt_step_attempts",
        "pt_waits",
        "pt_values",
        "pt_values_history",
        "pt_runs",
        "pt_run_tags",
        "pt_workflows",
    }
)
"""What may be looked at. Accounts, sessions, tokens, links, and the URLs and secrets of those who are told, may not."""

# Two at a time: typed statements may be slow, and the machine is there for the runs.
_BENCH = Threads(2, "turbine-console")


async def ask(app: App, text: str, limit: int = ROWS_MAX) -> QueryResult:
    """Run one reading statement. Raises ValidationFailed for what may not be asked or takes too long."""
    store = app.store
    return await _BENCH.run(console.ask, store, text, limit, TABLES)
