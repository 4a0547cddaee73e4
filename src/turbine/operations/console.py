"""The SQL console: one read-only statement of an administrator."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.model.accounts import Actor
from turbine.operations.audit_entries import audit_act
from turbine.store import console
from turbine.store.console import TEXT_MAX, QueryResult
from turbine.threads import Threads

__all__ = ["ROWS_MAX", "TABLES", "TEXT_MAX", "run_query"]

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
"""Tables that may be read: all but those that hold secrets, of accounts, links, webhooks and alert channels."""

# Two at a time: typed statements may be slow, and the machine is needed for the runs.
_QUERIES = Threads(2, "turbine-console")


async def run_query(app: App, text: str, limit: int = ROWS_MAX, *, actor: Actor | None = None) -> QueryResult:
    """Run one read-only statement. Raises ValidationFailed for what is not allowed or takes too long.

    The audit line comes first, so refused statements are on record too.
    """
    await audit_act(app, actor, "sql.query", "database", query=text.replace("\0", "")[:2000])
    return await _QUERIES.run(console.ask, app.store, text, limit, TABLES)
