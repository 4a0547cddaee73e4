"""How long runs are kept: the rule that says most decides, for the preview and for the collection alike."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

import turbine
from turbine.clock import SystemClock
from turbine.operations import garbage

DAY = timedelta(days=1)


class Shifted(SystemClock):
    """The machine's clock, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now_ms(self) -> int:
        return super().now_ms() + round(self.ahead.total_seconds() * 1000)


@turbine.workflow
async def order(fails: bool) -> None:
    if fails:
        raise ValueError("no")


@turbine.workflow
async def report(fails: bool) -> None:
    if fails:
        raise ValueError("no")


@turbine.workflow
async def waits() -> None:
    await turbine.recv("again")


async def ended(rt: turbine.Runtime, workflow: Any, id: str, fails: bool = False) -> None:
    handle = await rt.run(workflow.options(id=id), fails)
    try:
        await handle.result()
    except turbine.WorkflowFailed:
        assert fails


async def left(rt: turbine.Runtime) -> set[str]:
    return {status.workflow_id for status in (await rt.list()).items}


async def test_the_rule_that_says_most_decides(launch) -> None:
    clock = Shifted()
    rt = await launch(order, report, waits, clock=clock, gc_retention=3 * DAY, park_after=1000)
    await rt.retention.set(DAY, workflow="order")
    await rt.retention.set(2 * DAY, workflow="order", status="ERROR")
    await rt.retention.set(None, status="ERROR")
    await rt.retention.set(0, workflow="waits")
    await rt.retention.set(0, status="CANCELLED")
    await rt.run(waits.options(id="open"))
    for id, workflow, fails in (
        ("order-ok", order, False), ("order-bad", order, True),
        ("report-ok", report, False), ("report-bad", report, True),
    ):  # fmt: skip
        await ended(rt, workflow, id, fails)
    for days, goes in ((0.5, set()), (1.5, {"order-ok"}), (2.5, {"order-bad"}), (3.5, {"report-ok"}), (400, set())):
        clock.ahead = days * DAY
        before = await left(rt)
        found = await garbage.preview(rt._app(), 3 * 86_400_000)
        assert (len(goes), False) == (found.runs, found.partial)
        assert {name: 1 for name in goes if name.startswith("order")} == {
            f"{rule.workflow}-{'bad' if rule.status else 'ok'}": rule.runs for rule in found.by_rule
        }
        assert len(goes) == await rt.garbage_collect()
        assert before - goes == await left(rt)
    assert {"open", "report-bad"} == await left(rt)
    # An age that is given stands in for the usual one, and rules hold all the same.
    assert 0 == await rt.garbage_collect(0)
    assert await rt.retention.delete(status="ERROR")
    assert 1 == await rt.garbage_collect(0)
    assert {"open"} == await left(rt)


async def test_rules_hold_where_runs_are_else_kept_for_ever(launch) -> None:
    rt = await launch(order, report, gc_retention=None)
    await ended(rt, order, "order")
    await ended(rt, report, "report")
    await rt.retention.set(0, workflow="order")
    await asyncio.sleep(0.002)
    assert 1 == await rt.garbage_collect()
    assert {"report"} == await left(rt)


async def test_what_rules_keep_is_passed_over_a_stretch_at_a_time(launch, monkeypatch) -> None:
    monkeypatch.setattr("turbine.tables.retention.BATCH_SIZE", 3)
    monkeypatch.setattr("turbine.operations.garbage.RUNS_AT_ONCE", 2)
    rt = await launch(order, report)
    await rt.retention.set(None, workflow="order")
    for number in range(8):
        await ended(rt, order, f"kept-{number}")
    for number in range(5):
        await ended(rt, report, f"old-{number}")
    await asyncio.sleep(0.002)
    assert 5 == (await garbage.preview(rt._app(), 0)).runs
    monkeypatch.setattr("turbine.operations.garbage.LOOKS_MAX", 1)
    preview = await garbage.preview(rt._app(), 0)
    assert (0, True) == (preview.runs, preview.partial)
    assert 5 == await rt.garbage_collect(0)
    assert {f"kept-{number}" for number in range(8)} == await left(rt)


async def test_a_run_that_a_rule_has_come_to_keep_since_it_was_found_is_kept(launch) -> None:
    rt = await launch(order)
    await ended(rt, order, "late")
    port = rt._app()
    now_ms = port.clock.now_ms() + 10
    (runs,) = [found async for found in garbage._due(port, 0, now_ms)]
    assert 1 == len(runs)
    await rt.retention.set(None, workflow="order")
    assert 0 == await port.store.write(garbage._forget_runs, runs=runs, now_ms=now_ms, usual_ms=0)
    assert {"late"} == await left(rt)


async def test_rules_are_listed_replaced_and_lifted(launch) -> None:
    rt = await launch(order)
    made = await rt.retention.set(7 * DAY, workflow="order")
    assert ("order", None, 7 * DAY) == (made.workflow, made.status, made.keep)
    await rt.retention.set(None, workflow="order")
    await rt.retention.set(3600, status=turbine.WorkflowStatus.CANCELLED)
    await rt.retention.set(90 * DAY, workflow="order", status="ERROR")
    expected = [(None, "CANCELLED", timedelta(hours=1)), ("order", None, None), ("order", "ERROR", 90 * DAY)]
    seen, cursor = [], None
    while True:
        page = await rt.retention.list(limit=2, cursor=cursor)
        seen += [(rule.workflow, rule.status, rule.keep) for rule in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert expected == seen
    assert await rt.retention.delete(workflow="order")
    assert not await rt.retention.delete(workflow="order")
    assert 2 == len((await rt.retention.list()).items)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_rules_that_can_never_be_right_are_refused(launch, monkeypatch) -> None:
    rt = await launch(order)
    for keep, names in (
        (DAY, {}), (-1, {"workflow": "a"}), (float("nan"), {"workflow": "a"}), (1e12, {"workflow": "a"}),
        (DAY, {"status": "PENDING"}), (DAY, {"status": "GONE"}), (DAY, {"workflow": ""}), (DAY, {"workflow": "\0"}),
    ):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011 - each says another thing
            await rt.retention.set(keep, **names)
    with pytest.raises(ValueError, match="gc_retention"):
        await rt.retention.delete()
    with pytest.raises(ValueError, match="cursor"):
        await rt.retention.list(cursor="x")
    monkeypatch.setattr("turbine.tables.retention.RULES_MAX", 1)
    await rt.retention.set(DAY, workflow="a")
    await rt.retention.set(DAY * 2, workflow="a")
    with pytest.raises(ValueError, match="already"):
        await rt.retention.set(DAY, workflow="b")
    assert 1 == len((await rt.retention.list()).items)
