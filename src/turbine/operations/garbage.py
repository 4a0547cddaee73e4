"""Garbage collection: removes old terminal runs and what belongs to them, in small transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence

from turbine.engine.app import App
from turbine.model.accounts import Actor
from turbine.model.retention import GarbagePreview, RetentionRule, RuleCount, rule_for
from turbine.operations import products
from turbine.operations.audit_entries import audit_act
from turbine.store import Tx
from turbine.tables import deliveries, failures, kv, logs, retention, storage
from turbine.tables import runs as run_table

RUNS_AT_ONCE = 100
"""Runs in one transaction: they may have many steps each."""
ROWS_AT_ONCE = 2000
LOGS_KEPT_MS = 5 * 24 * 3600 * 1000
LOOKS_MAX = 100
"""Batches of old runs that a preview reads; rules may keep most of them."""


async def collect(app: App, older_than_ms: int | None, *, actor: Actor | None = None) -> int:
    """Remove runs and settled deliveries that ended longer ago than this; return the number of runs.

    With them go empty groups of failures and the history of deleted keys. None removes none of these. A retention rule
    takes precedence for its runs. In any case log records older than 5 days go, and bytes of products without an
    owner. Runs with a pending delivery are left for the next time. Open runs are never touched, nor is anything that
    an open run may still read: other runs, and whether its messages were delivered.
    """
    # In many transactions; the audit line comes before them, so that nothing disappears without it.
    older_than = None if older_than_ms is None else older_than_ms / 1000
    await audit_act(app, actor, "garbage.collect", "database", older_than=older_than)
    now_ms = app.clock.now_ms()
    count = 0
    async for runs in _due(app, older_than_ms, now_ms):
        for begin in range(0, len(runs), RUNS_AT_ONCE):
            batch = runs[begin : begin + RUNS_AT_ONCE]
            count += await app.store.write(_forget_runs, runs=batch, now_ms=now_ms, usual_ms=older_than_ms)
    if older_than_ms is not None:
        before_ms = now_ms - older_than_ms
        await _collect_deliveries(app, before_ms)
        await _in_batches(app, failures.delete_unused_groups, before_ms)
        await _in_batches(app, kv.delete_old_history, before_ms)
    await _in_batches(app, logs.delete, now_ms - LOGS_KEPT_MS)
    await products.collect_bytes(app)
    return count


async def preview(app: App, older_than_ms: int | None) -> GarbagePreview:
    """Count what `collect` would remove now; nothing changes."""
    store = app.store
    now_ms = app.clock.now_ms()
    rules = await store.read(retention.listing, after=("", ""), limit=retention.RULES_MAX)
    count, batches = 0, 0
    kinds: Counter[tuple[str, str]] = Counter()
    is_partial = False
    async for runs in _due(app, older_than_ms, now_ms):
        count += len(runs)
        batches += 1
        if rules:
            kinds.update({(name, status): n for name, status, n in await store.read(retention.counts, runs=runs)})
        if count >= storage.COUNT_MAX or batches >= LOOKS_MAX:
            is_partial = True
            break
    by_rule: Counter[RetentionRule] = Counter()
    for (name, status), n in kinds.items():
        rule = rule_for(rules, name, status)
        if rule is not None:
            by_rule[rule] += n
    before_ms = None if older_than_ms is None else now_ms - older_than_ms
    rest = await store.read(storage.collectable, before_ms=before_ms, logs_before_ms=now_ms - LOGS_KEPT_MS)
    return GarbagePreview(
        runs=min(count, storage.COUNT_MAX),
        partial=is_partial,
        by_rule=[RuleCount(rule.workflow, rule.status, rule.keep, n) for rule, n in by_rule.items()],
        deliveries=rest.deliveries,
        logs=rest.logs,
        older_than=None if older_than_ms is None else older_than_ms / 1000,
    )


async def _due(app: App, usual_ms: int | None, now_ms: int) -> AsyncGenerator[list[int]]:
    after_ms: int | None = -1
    while after_ms is not None:
        runs, after_ms = await app.store.read(retention.next_batch, after_ms=after_ms, now_ms=now_ms, usual_ms=usual_ms)
        yield runs


async def _collect_deliveries(app: App, before_ms: int) -> None:
    after = (-1, -1)
    while rows := await app.store.read(deliveries.settled_before, before_ms=before_ms, after=after, limit=ROWS_AT_ONCE):
        await app.store.write(deliveries.delete, deliveries=[key for _, key in rows])
        after = rows[-1]


async def _in_batches(app: App, forget: Callable[..., int], before_ms: int) -> None:
    while await app.store.write(forget, before_ms=before_ms, limit=ROWS_AT_ONCE) >= ROWS_AT_ONCE:
        pass


def _forget_runs(tx: Tx, *, runs: Sequence[int], now_ms: int, usual_ms: int | None) -> int:
    due = retention.due(tx, runs=runs, now_ms=now_ms, usual_ms=usual_ms)
    return run_table.delete(tx, runs=due) if due else 0
