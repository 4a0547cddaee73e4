"""What is told of a run and its steps: every field of `Status`, `StepInfo` and `StepAttempt`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import BaseModel

import turbine
from turbine import StepInfo, WorkflowFailed, WorkflowNotFound, WorkflowStatus


class Order(BaseModel):
    order_id: str
    amount: int


@turbine.step
async def charge(order: Order) -> Order:
    return order


@turbine.workflow(
    tags=["orders", "money"], summary=lambda order, **rest: f"Order {order.order_id} for {rest.get('customer')}"
)
async def place_order(order: Order, *, customer: str = "nobody") -> Order:
    charged = await charge(order)
    if order.amount < 0:
        raise ValueError(f"negative amount: {order.amount}")
    if customer == "patient":
        await turbine.recv("go")
    return charged


async def test_every_field_of_a_finished_run_is_filled(launch):
    rt = await launch(place_order, application_id="shop", application_version="v7", executor_id="till-1")
    began = datetime.now(UTC) - timedelta(milliseconds=2)

    handle = await rt.run(
        place_order.options(id="one", deduplication_id="dedup", timeout=60, tags=["rush"]),
        Order(order_id="7", amount=3),
        customer="Ada",
    )
    assert Order(order_id="7", amount=3) == await handle.result()

    status = await handle.status()
    assert {
        "workflow_id": "one",
        "status": WorkflowStatus.SUCCESS,
        "name": "place_order",
        "application_version": "v7",
        "application_id": "shop",
        "attempts": 1,
        "executor_id": "till-1",
        "output": {"order_id": "7", "amount": 3},
        "error": None,
        "input": {"args": [{"order_id": "7", "amount": 3}], "kwargs": {"customer": "Ada"}},
        "queue_name": None,
        "queue_partition_key": None,
        "deduplication_id": "dedup",
        "priority": 0,
        "timeout": timedelta(seconds=60),
        "parent_workflow_id": None,
        "forked_from": None,
        "app_status": None,
        "app_status_color": None,
        "summary": "Order 7 for Ada",
        "tags": ["orders", "money", "rush"],
        "reason": None,
        "attention": None,
    } == {name: getattr(status, name) for name in status.__slots__ if not name.endswith("_at") and name != "deadline"}
    assert began <= status.created_at <= status.started_at <= status.completed_at <= datetime.now(UTC)
    assert status.updated_at >= status.completed_at
    assert status.started_at + timedelta(seconds=60) == status.deadline
    assert {UTC} == {moment.tzinfo for moment in (status.created_at, status.deadline, status.updated_at)}
    assert status == (await rt.list(load_input=True)).items[0]


async def test_a_failed_run_says_what_failed(launch):
    rt = await launch(place_order)

    handle = await rt.run(place_order, Order(order_id="7", amount=-1))
    with pytest.raises(WorkflowFailed):
        await handle.result()

    status = await handle.status()
    assert (WorkflowStatus.ERROR, "ValueError: negative amount: -1", None, True) == (
        status.status,
        status.error,
        status.output,
        status.status.is_terminal,
    )
    assert ["orders", "money"] == status.tags


async def test_an_open_run_has_no_end_yet(launch):
    rt = await launch(place_order, park_after=0)
    handle = await rt.run(place_order, Order(order_id="7", amount=1), customer="patient")
    await rt.wait_idle()

    status = await handle.status()

    assert (WorkflowStatus.PENDING, None, None, None, None, False) == (
        status.status,
        status.completed_at,
        status.output,
        status.error,
        status.deadline,
        status.status.is_terminal,
    )


@turbine.workflow(summary=lambda text: text * 300)
async def summarised(text: str) -> None: ...


@turbine.workflow(summary=lambda text: text.no_such_thing)
async def summarised_wrongly(text: str) -> None: ...


async def test_a_summary_is_cut_and_never_worth_a_run(launch):
    rt = await launch(summarised, summarised_wrongly)

    long, bad = await rt.run(summarised, "ä"), await rt.run(summarised_wrongly, "x")
    await long.result()
    await bad.result()

    assert ("ä" * 200, None) == ((await long.status()).summary, (await bad.status()).summary)


async def test_an_unknown_run_is_not_found(launch):
    rt = await launch(place_order)
    handle = rt.retrieve("nobody")

    for ask in (handle.status, handle.steps, handle.result, lambda: rt.steps("nobody"), lambda: rt.explain("nobody")):
        with pytest.raises(WorkflowNotFound):
            await ask()


@turbine.step(name="hold")
async def wait_for_a_moment() -> None:
    await asyncio.sleep(30)


@turbine.workflow
async def run_a_long_step() -> None:
    await charge(Order(order_id="1", amount=1))
    await wait_for_a_moment()


async def test_a_long_step_is_shown_while_it_runs(launch):
    rt = await launch(run_a_long_step)
    handle = await rt.run(run_a_long_step)

    async with asyncio.timeout(120):
        while len(steps := await handle.steps()) < 2:  # noqa: ASYNC110 - rows and counters are the only witnesses
            await asyncio.sleep(0.05)

    running = steps[1]
    assert ("hold", "1", 1, None, None, None) == (
        running.function_name,
        running.position,
        running.function_id,
        running.output,
        running.error,
        running.ended_at,
    )
    await rt.cancel(handle.workflow_id)


async def test_every_field_of_a_step_is_filled(launch):
    rt = await launch(place_order)
    handle = await rt.run(place_order, Order(order_id="7", amount=3))
    await handle.result()

    (step,) = await rt.steps(handle.workflow_id)

    (attempt,) = step.attempts
    assert step == StepInfo(
        workflow_id=handle.workflow_id,
        function_id=0,
        function_name="charge",
        position="0",
        output={"order_id": "7", "amount": 3},
        error=None,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        attempts=[attempt],
        child_workflow_id=None,
    )
    assert (1, None) == (attempt.number, attempt.error)


async def test_explain_says_why_a_run_does_not_move(launch):
    rt = await launch(place_order, run_a_long_step)
    patient = await rt.run(place_order, Order(order_id="7", amount=1), customer="patient")
    done = await rt.run(place_order, Order(order_id="8", amount=1))
    await done.result()
    busy = await rt.run(run_a_long_step)
    delayed = await rt.run(place_order.options(delay=60), Order(order_id="9", amount=1))
    while len(await busy.steps()) < 1:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.001)

    told = [await rt.explain(handle.workflow_id) for handle in (patient, done, busy, delayed)]

    assert ["message", "finished", "running"] == [one.reason for one in told[:3]]
    assert "go" in told[0].text
    assert timedelta(0) < told[3].until - datetime.now(UTC) <= timedelta(seconds=60)
    assert all(one.text for one in told)
    await rt.cancel(busy.workflow_id)


@turbine.workflow
async def sleep_for_ever(until: datetime | None, seconds: timedelta) -> None:
    await (turbine.sleep(seconds) if until is None else turbine.sleep_until(until))


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": timedelta.max},
        {"timeout": 1e300},
        {"delay": timedelta.max},
        {"deadline": datetime.max.replace(tzinfo=UTC)},
        {"deadline": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))},
    ],
    ids=str,
)
async def test_times_beyond_the_calendar_are_told_as_its_end(launch, options):
    rt = await launch(sleep_for_ever)
    until = None if "timeout" in options else datetime.max.replace(tzinfo=UTC)

    handle = await rt.run(sleep_for_ever.options(**options), until, timedelta.max)
    await rt.wait_idle()

    assert (await handle.status()).deadline == (await rt.list()).items[0].deadline
    assert await rt.explain(handle.workflow_id)
    assert len(await handle.steps()) <= 1
