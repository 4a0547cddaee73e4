"""Garbage: what is over and old, removed in small transactions between which everybody else gets a turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple

from turbine.engine.app import App
from turbine.model.retention import RetentionRule, rule_for
from turbine.operations import products
from turbine.store import Tx
from turbine.tables import deliveries, failures, kv, logs, retention, storage
from turbine.tables import runs as run_table

RUNS_AT_ONCE = 100
"""Runs in one transaction: they may have many steps each."""
ROWS_AT_ONCE = 2000
LOGS_KEPT_MS = 5 * 24 * 3600 * 1000
LOOKS_MAX = 100
"""Stretches of old runs at which a preview looks, most of which rules may keep."""


class Collectable(NamedTuple):
    """What garbage collection would remove now, each counted up to `storage.COUNT_MAX`."""

    runs: int
    is_partial: bool
    """Whether there may be more runs than that: there are too many to look at all."""
    by_rule: list[tuple[RetentionRule, int]]
    """How many of the runs each rule lets go; the rest is as old as the usual retention wants."""
    deliveries: int
    logs: int


async def collect(app: App, older_than_ms: int | None) -> int:
    """Remove what is over for longer than this: runs with all that is theirs, settled deliveries. How many runs.

    And kinds of failures of which no run is left, and what deleted keys had held. None removes none of these. Runs of
    which a rule speaks go by that rule instead. In any case log records older than 5 days go, and bytes of products
    that nobody owns. Runs with a delivery that is still to be made are left for the next time. What is open is never
    touched, nor is what an open run may still ask for: runs, and whether a message of its was delivered.
    """
    now_ms = app.clock.now_ms()
    count = 0
    async for runs in _due(app, older_than_ms, now_ms):
        for begin in range(0, len(runs), RUNS_AT_ONCE):
            portion = runs[begin : begin + RUNS_AT_ONCE]
            count += await app.store.write(_forget_runs, runs=portion, now_ms=now_ms, usual_ms=older_than_ms)
    if older_than_ms is not None:
        before_ms = now_ms - older_than_ms
        await _collect_deliveries(app, before_ms)
        await _in_batches(app, failures.delete_unused_groups, before_ms, ROWS_AT_ONCE)
        await _in_batches(app, kv.delete_old_history, before_ms, ROWS_AT_ONCE)
    await _in_batches(app, logs.delete, now_ms - LOGS_KEPT_MS, ROWS_AT_ONCE)
    await products.sweep(app)
    return count


async def preview(app: App, older_than_ms: int | None) -> Collectable:
    """What `collect` would remove now; nothing changes."""
    store = app.store
    now_ms = app.clock.now_ms()
    rules = await store.read(retention.listing, after=("", ""), limit=retention.RULES_MAX)
    count, looks = 0, 0
    kinds: Counter[tuple[str, str]] = Counter()
    is_partial = False
    async for runs in _due(app, older_than_ms, now_ms):
        count += len(runs)
        looks += 1
        if rules:
            kinds.update({(name, status): n for name, status, n in await store.read(retention.counts, runs=runs)})
        if count >= storage.COUNT_MAX or looks >= LOOKS_MAX:
            is_partial = True
            break
    by_rule: Counter[RetentionRule] = Counter()
    for (name, status), n in kinds.items():
        rule = rule_for(rules, name, status)
        if rule is not None:
            by_rule[rule] += n
    before_ms = None if older_than_ms is None else now_ms - older_than_ms
    rest = await store.read(storage.collectable, before_ms=before_ms, logs_before_ms=now_ms - LOGS_KEPT_MS)
    return Collectable(min(count, storage.COUNT_MAX), is_partial, list(by_rule.items()), rest.deliveries, rest.logs)


async def _due(app: App, usual_ms: int | None, now_ms: int) -> AsyncGenerator[list[int]]:
    """Runs that are due, a stretch at a time."""
    after_ms: int | None = -1
    while after_ms is not None:
        runs, after_ms = await app.store.read(retention.next_batch, after_ms=after_ms, now_ms=now_ms, usual_ms=usual_ms)
        yield runs


async def _collect_deliveries(app: App, before_ms: int) -> None:
    after = (-1, -1)
    while found := await app.store.read(
        deliveries.settled_before, before_ms=before_ms, after=after, limit=ROWS_AT_ONCE
    ):
        await app.store.write(deliveries.delete, deliveries=[key for _, key in found])
        after = found[-1]


async def _in_batches(app: App, forget: Callable[..., int], before_ms: int, limit: int) -> int:
    count = 0
    while True:
        forgotten = await app.store.write(forget, before_ms=before_ms, limit=limit)
        count += forgotten
        if forgotten < limit:
            return count


def _forget_runs(tx: Tx, *, runs: Sequence[int], now_ms: int, usual_ms: int | None) -> int:
    still = retention.due(tx, runs=runs, now_ms=now_ms, usual_ms=usual_ms)
    return run_table.delete(tx, runs=still) if still else 0
