"""Errors, handles, runs and their steps: every field and option of the original's table."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from seed import SCHEMA, Order, double, facts, fail, greet, nightly, uses, wait_for_go

import turbine
import turbine.sync
from turbine import (
    Deduplicated,
    ErrorCode,
    Handle,
    MaxStepRetriesExceeded,
    NotInWorkflow,
    RegistrationConflict,
    ResultTimeout,
    Runtime,
    Status,
    Step,
    TurbineError,
    Workflow,
    WorkflowConflict,
    WorkflowStatus,
)
from turbine.testing import World


@turbine.step(retries=1, base_interval=0.001)
async def always_fails() -> None:
    raise OSError("no room")


@turbine.workflow
async def fails() -> None:
    try:
        await always_fails()
    except MaxStepRetriesExceeded as error:
        told = [error.code, error.step_name, error.max_retries, str(error).count("no room")]
        await turbine.set_value("told", told)
        raise


@uses("Error{Message, Code, WorkflowID, StepName, QueueName, DeduplicationID, MaxRetries}")
async def test_errors_carry_their_facts(database_url) -> None:
    rt = Runtime(database_url, workflows=[fails, wait_for_go])
    rt.queue("line")
    async with rt:
        held = wait_for_go.options(id="first", queue="line", deduplication_id="one")
        await rt.run(held)
        with pytest.raises(Deduplicated) as refused:
            await rt.run(held.options(id="second"))
        error = refused.value
        assert isinstance(error, TurbineError)
        assert (ErrorCode.DEDUPLICATED, "first", "line", "one") == facts(
            error, "code workflow_id queue_name deduplication_id"
        )
        assert "'one'" in str(error)
        handle = await rt.run(fails)
        with pytest.raises(TurbineError):
            await handle.result()
        assert [13, "always_fails", 1, 1] == await rt.get_value(handle.workflow_id, "told")


@uses("ErrorCode")
async def test_error_codes_keep_the_original_numbers(launch) -> None:
    rt = await launch(greet, wait_for_go)
    numbers = {
        "conflicting id": 1,
        "not found": 3,
        "conflict": 4,
        "awaited cancelled": 7,
        "registration": 8,
        "deduplicated": 14,
    }
    await rt.run(wait_for_go.options(id="taken", deduplication_id="one"))
    found = {
        "conflicting id": await code_of(rt.run(greet.options(id="taken"), "Ada")),
        "not found": await code_of(rt.cancel("nobody")),
        "conflict": await code_of(rt.approve("taken")),
        "deduplicated": await code_of(rt.run(wait_for_go.options(deduplication_id="one"))),
    }
    await rt.cancel("taken")
    found["awaited cancelled"] = await code_of(rt.retrieve("taken").result())
    with pytest.raises(RegistrationConflict) as refused:
        Runtime(rt.database, workflows=[greet, greet])
    found["registration"] = refused.value.code
    assert numbers == found
    assert (5, 12, 13) == facts(ErrorCode, "CANCELLED DEAD_LETTER MAX_RETRIES")


async def code_of(refused: Any) -> int:
    with pytest.raises(TurbineError) as caught:
        await refused
    return caught.value.code


@uses("Handle{GetResult, GetStatus, GetWorkflowID}")
async def test_a_handle_has_result_status_and_id(launch) -> None:
    rt = await launch(greet)
    handle = await rt.run(greet.options(id="greeting"), "Ada")
    assert isinstance(handle, Handle)
    assert ["hello Ada", "hello Ada"] == [await handle.result(), await handle.result()]
    assert ("greeting", WorkflowStatus.SUCCESS) == (handle.workflow_id, (await handle.status()).status)


@uses("GetResultOption", "WithHandlePollingInterval")
async def test_waiting_for_a_result_has_a_limit_and_a_pace(launch) -> None:
    rt = await launch(wait_for_go)
    other = await launch()
    handle = await rt.run(wait_for_go)
    far = other.retrieve(handle.workflow_id, str)
    with pytest.raises(ResultTimeout):
        await far.result(timeout=0.01, poll_interval=0.002)
    await rt.send(handle.workflow_id, "there", "go")
    assert "there" == await far.result(timeout=timedelta(seconds=30), poll_interval=0.01)


@turbine.workflow
async def packs(order: Order) -> str:
    return f"packed {order.id}"


@turbine.workflow(tags=["orders"], summary=lambda order, **rest: f"Order {order.id} for {order.customer}")
async def place_order(order: Order, *, trouble: str | None = None) -> str:
    await turbine.set_app_status("packing", "blue")
    packed = await packs(order)
    if trouble is not None:
        raise ValueError(trouble)
    return packed


step_names = ["first", "second"]


@turbine.workflow
async def named_steps() -> None:
    for name in step_names:
        await turbine.do(turbine.step(double.fn, name=name), 1)
    await turbine.recv("go")


async def run_as(rt: Runtime, workflow: Any, *args: Any, **kwargs: Any) -> Status:
    """The status of a run once it is over, in whatever way."""
    handle = await rt.run(workflow, *args, **kwargs)
    while not (status := await handle.status()).status.is_terminal:  # noqa: ASYNC110 - it ends when it ends
        await asyncio.sleep(0.002)
    return status


@uses("Status")
async def test_every_field_of_a_status_is_filled_after_real_runs(database_url, monkeypatch) -> None:
    settings = {"application_id": "shop", "application_version": "v7", "executor_id": "till-1"}
    rt = Runtime(database_url, workflows=[place_order, packs, named_steps], **settings)
    rt.queue("line", priority=True)
    rt.queue("keys", partitioned=True)
    began = datetime.now(UTC) - timedelta(seconds=1)
    due = (began + timedelta(hours=2)).replace(microsecond=0)
    async with rt:
        placed = place_order.options(id="one", queue="line", deduplication_id="ada", priority=3, timeout=60)
        ended = await run_as(rt, placed, Order(id="7"))
        keyed = await run_as(rt, place_order.options(queue="keys", partition_key="ada", deadline=due), Order(id="8"))
        (child,) = (await rt.list(parent_id="one")).items
        fork = await rt.fork("one", new_id="again")
        await fork.result()
        failed = await run_as(rt, place_order, Order(id="9"), trouble="out of stock")
        stopped = await rt.run(named_steps.options(id="stopped"))
        await rt.cancel("stopped", reason="not needed")
        aside = await rt.run(named_steps.options(id="aside"))
        await rt.wait_idle()
        await rt.shutdown()
        monkeypatch.setattr(sys.modules[__name__], "step_names", ["second", "first"])
        await rt.launch()
        await rt.send("aside", None, "go")
        while (set_aside := await aside.status()).attention is None:  # noqa: ASYNC110 - its row is the only witness
            await asyncio.sleep(0.002)
        cancelled, forked = await stopped.status(), await fork.status()

    assert {
        "workflow_id": "one",
        "status": WorkflowStatus.SUCCESS,
        "name": "place_order",
        "application_version": "v7",
        "application_id": "shop",
        "attempts": 1,
        "executor_id": "till-1",
        "output": "packed 7",
        "error": None,
        "input": {"args": [{"id": "7", "customer": "Ada"}], "kwargs": {}},
        "queue_name": "line",
        "queue_partition_key": None,
        "deduplication_id": "ada",
        "priority": 3,
        "timeout": timedelta(seconds=60),
        "parent_workflow_id": None,
        "forked_from": None,
        "app_status": "packing",
        "app_status_color": "blue",
        "summary": "Order 7 for Ada",
        "tags": ["orders"],
        "reason": None,
        "attention": None,
    } == {field: getattr(ended, field) for field in Status.__slots__ if field not in TIMES}
    assert ended.started_at is not None
    assert ended.completed_at is not None
    assert began <= ended.created_at <= ended.started_at <= ended.completed_at <= ended.updated_at
    assert ended.started_at + timedelta(seconds=60) == ended.deadline
    assert ("keys", "ada", due) == facts(keyed, "queue_name queue_partition_key deadline")
    assert ("packs", "one") == (child.name, child.parent_workflow_id)
    assert ("one", WorkflowStatus.SUCCESS) == (forked.forked_from, forked.status)
    assert (WorkflowStatus.ERROR, "ValueError: out of stock", None) == facts(failed, "status error output")
    assert (WorkflowStatus.CANCELLED, "not needed") == (cancelled.status, cancelled.reason)
    assert (WorkflowStatus.PENDING, True) == (set_aside.status, "first" in (set_aside.attention or ""))


TIMES = {"created_at", "updated_at", "started_at", "completed_at", "deadline"}


@uses("StatusType")
async def test_every_status_is_one_that_runs_have() -> None:
    assert [
        "PENDING",
        "ENQUEUED",
        "SUCCESS",
        "ERROR",
        "CANCELLED",
        "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
        "WAITING_FOR_APPROVAL",
    ] == list(WorkflowStatus)
    terminal = {status for status in WorkflowStatus if status.is_terminal}
    assert {"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"} == terminal


@turbine.step(name="declared", retries=2)
async def declared(text: str) -> str:
    return text


@turbine.workflow
async def uses_steps() -> list[str]:
    return [await declared("a"), await declared.options(name="other")("b")]


@uses("Step", "StepFunc", "StepOption")
async def test_a_step_is_its_function_with_options(launch) -> None:
    assert isinstance(declared, Step)
    assert "bare" == await declared("bare")
    assert "bare" == await declared.fn("bare")
    rt = await launch(uses_steps)
    handle = await rt.run(uses_steps)
    assert ["a", "b"] == await handle.result()
    assert ["declared", "other"] == [step.function_name for step in await handle.steps()]


@turbine.workflow
async def fails_once() -> str:
    await double(4)
    try:
        await turbine.do(fail, "gone")
    except LookupError:
        return await packs(Order(id="7"))
    return "nothing failed"


@uses("StepInfo{WorkflowID, FunctionID, FunctionName, Output, Error, StartedAt, EndedAt}")
async def test_every_field_of_a_step_is_filled(launch) -> None:
    rt = await launch(fails_once, packs)
    began = datetime.now(UTC) - timedelta(seconds=1)
    assert "packed 7" == await (await rt.run(fails_once.options(id="steps"))).result()
    good, bad, child = await rt.steps("steps")
    assert ("steps", 0, "0", "double", 8, None, None) == facts(
        good, "workflow_id function_id position function_name output error child_workflow_id"
    )
    assert (1, "1", "fail", None, "LookupError: gone") == facts(bad, "function_id position function_name output error")
    (run,) = (await rt.list(parent_id="steps")).items
    assert (run.workflow_id, "packed 7") == (child.child_workflow_id, child.output)
    for step in (good, bad, child):
        assert step.ended_at is not None
        assert began <= step.started_at <= step.ended_at <= datetime.now(UTC)
    assert [1, 1] == [len(step.attempts) for step in (good, bad)]


tries: list[float] = []


unkept: list[int] = []


async def fails_twice() -> str:
    tries.append(asyncio.get_running_loop().time())
    if len(tries) < 4:
        raise OSError(f"time {len(tries)}")
    return "at last"


@turbine.step(checkpoint=False)
async def connects() -> object:
    unkept.append(1)
    return object()  # has no JSON form, and needs none


@turbine.workflow
async def tries_again() -> str:
    stubborn = turbine.step(
        fails_twice,
        name="stubborn",
        retries=5,
        base_interval=timedelta(seconds=10),
        backoff_factor=3.0,
        max_interval=60,
    )
    text = await turbine.do(stubborn)
    await connects()
    await turbine.recv("go")
    return text


@uses(
    "WithStepName",
    "WithStepMaxRetries",
    "WithBaseInterval",
    "WithBackoffFactor",
    "WithMaxInterval",
    "WithoutCheckpoint",
)
async def test_each_option_of_a_step_does_what_it_says(database_url) -> None:
    tries.clear()
    unkept.clear()
    async with World(database_url, workflows=[tries_again]) as world:
        await world.runtime.run(tries_again.options(id="again"))
        await world.advance(minutes=5)
        await world.restart()
        await world.runtime.send("again", None, "go")
        await world.settle()
        assert "at last" == await world.runtime.retrieve("again").result()
        step, unrecorded, _ = await world.runtime.steps("again")
        assert ("stubborn", "at last") == (step.function_name, step.output)
        starts = [attempt.started_at for attempt in step.attempts]
        waits = [round((after - before).total_seconds()) for before, after in pairwise(starts)]
        assert [10, 30, 60] == waits
        assert ["OSError: time 1", "OSError: time 2", "OSError: time 3", None] == [
            attempt.error for attempt in step.attempts
        ]
        assert (2, None) == (len(unkept), unrecorded.output)


@turbine.workflow
async def branches() -> list[int]:
    late, early = double(1), double(2)
    second = await early
    return [await late, second]


@uses("WithNextStepID")
async def test_a_step_takes_its_position_when_it_is_called(launch) -> None:
    rt = await launch(branches)
    handle = await rt.run(branches)
    assert [2, 4] == await handle.result()
    assert {"0": 2, "1": 4} == {step.position: step.output for step in await handle.steps()}


@uses("Workflow", "WorkflowFunc")
async def test_a_workflow_is_a_function_that_only_a_runtime_carries_out(launch) -> None:
    assert isinstance(greet, Workflow)
    assert "hello bare" == await greet.fn("bare")
    with pytest.raises(NotInWorkflow):
        await greet("Ada")
    rt = await launch(greet)
    with pytest.raises(TypeError):
        await rt.run(greet, "Ada", "Bea")  # that is the point


@uses(
    "WithName",
    "WithMaxRetries",
    "WithSchedule",
    "WithDashboardTrigger",
    "WithInputSchema",
    "WithTags",
    "WithSummaryFunc",
)
async def test_each_option_of_a_declaration_does_what_it_says(database_url) -> None:
    declared = turbine.workflow(
        nightly.fn,
        name="renamed",
        max_recoveries=0,
        schedule="0 3 * * *",
        triggerable=True,
        input_schema=SCHEMA,
        tags=["night"],
        summary=lambda at: f"of {at:%d.%m.}",
    )
    until = turbine.workflow(wait_for_go.fn, name="one life", max_recoveries=0)
    async with World(database_url, workflows=[declared, until]) as world:
        rt = world.runtime
        await rt.run(until.options(id="fragile"))
        await world.crash()
        await world.restart()
        await world.settle()
        rt = world.runtime
        assert "MAX_RECOVERY_ATTEMPTS_EXCEEDED" == (await rt.status("fragile")).status
        with pytest.raises(turbine.ValidationFailed):
            await rt.trigger("renamed", {"when": "2026-03-27T03:00:00Z"})
        run = await rt.trigger("renamed", {"at": "2026-03-27T03:00:00Z"})
        await rt.retrieve(run).result()
        status = await rt.status(run)
        assert ("renamed", ["night"], "of 27.03.") == facts(status, "name tags summary")
        await world.advance(days=1)
        ticks = [one.workflow_id for one in (await rt.list(name="renamed")).items if one.workflow_id != run]
        assert [True] == [tick.startswith("sched-renamed-") and tick.endswith("T03:00:00Z") for tick in ticks]


@uses(
    "WorkflowOption",
    "WithID",
    "WithQueue",
    "WithApplicationVersion",
    "WithDeduplicationID",
    "WithPriority",
    "WithQueuePartitionKey",
    "WithTimeout",
    "WithDeadline",
)
async def test_each_option_of_a_start_does_what_it_says(database_url) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    rt = Runtime(database_url, workflows=[wait_for_go, greet])
    rt.queue("line", priority=True)
    rt.queue("keys", partitioned=True)
    async with rt:
        first = wait_for_go.options(id="one", queue="line", application_version="v7", deduplication_id="d", priority=2)
        await rt.run(first.options(deadline=due))
        status = await rt.status("one")
        assert ("one", "line", "v7", "d", 2, due) == facts(
            status, "workflow_id queue_name application_version deduplication_id priority deadline"
        )
        with pytest.raises(WorkflowConflict):
            await rt.run(greet.options(id="one"), "Ada")
        with pytest.raises(Deduplicated):
            await rt.run(first.options(id="two"))
        keyed = await rt.run(greet.options(queue="keys", partition_key="k"), "Ada")
        assert "k" == (await keyed.status()).queue_partition_key
        late = await rt.run(wait_for_go.options(timeout=timedelta(milliseconds=10)))
        with pytest.raises(turbine.WorkflowTimeout):
            await late.result()
