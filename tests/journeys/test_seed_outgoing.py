"""Products, notifications, queues and schedules, as the original's table says."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from seed import Order, Refuses, facts, greet, nightly, reports, uses

import turbine
import turbine.sync
from turbine import (
    DeliveryFailed,
    NotFound,
    ProductRecord,
    Queue,
    RateLimit,
    RegistrationConflict,
    Runtime,
    Schedule,
    WorkflowSender,
)


async def sent(rt: Runtime, id: str) -> ProductRecord:
    """A product once its delivery is over."""
    while (product := await rt.products.get(id)).status == "stored":  # noqa: ASYNC110 - its row is the only witness
        await asyncio.sleep(0.005)
    return product


@uses("ResendProduct")
async def test_a_product_that_could_not_be_sent_is_sent_again(launch) -> None:
    sender = Refuses()
    rt = await launch(reports, product_sender=sender, delivery_attempts=1)
    made = await (await rt.run(reports)).result()
    failed = await sent(rt, made.id)
    assert ("failed", "OSError: no room") == (failed.status, failed.error)

    sender.mended = True
    await rt.products.resend(made.id)

    assert "sent" == (await sent(rt, made.id)).status
    assert [("report.txt", b"all is well")] == sender.got


@turbine.workflow
async def notifies(channel: str) -> None:
    await turbine.send_notification(channel, "from a body")


@uses("SendNotification", "Runtime.SendNotification")
async def test_notifications_reach_a_channel_by_its_name(launch, ear) -> None:
    rt = await launch(notifies, delivery_attempts=1)
    await rt.alert_channels.create(name="ops", url=ear.url)
    await rt.alert_channels.create(name="off", url=ear.url, enabled=False)
    await rt.send_notification("ops", "from outside")
    await rt.send_notification("off", "to nobody")
    await (await rt.run(notifies, "ops")).result()
    assert [True, True] == ["from outside" in ear.heard[0], "from a body" in ear.heard[1]]
    assert 2 == len(ear.heard)
    with pytest.raises(NotFound):
        await rt.send_notification("nowhere", "hello")
    ear.status = 500
    with pytest.raises(DeliveryFailed):
        await rt.send_notification("ops", "refused")


@uses("SendProduct")
async def test_a_step_makes_a_product_that_anybody_can_read(launch) -> None:
    rt = await launch(reports)
    made = await (await rt.run(reports.options(id="maker"), "four words of text")).result()
    assert [made] == (await rt.products.list("maker")).items
    async with rt.products.open(made.id) as file:
        assert b"four words of text" == await file.read()


@uses("ProductRecord{ID, FileName, Size, Metadata}")
async def test_the_record_of_a_product_is_filled(launch) -> None:
    rt = await launch(reports)
    made = await (await rt.run(reports)).result()
    record = await rt.products.get(made.id)
    assert record == made
    assert ("report.txt", 11, {"lines": 1}) == facts(record, "file_name size metadata")


@uses("ProductSender", "Runtime.SetProductSender")
async def test_a_sender_may_be_set_after_construction(launch) -> None:
    sender = Refuses()
    sender.mended = True
    rt = await launch(reports)
    rt.set_product_sender(sender)
    made = await (await rt.run(reports)).result()
    assert "sent" == (await sent(rt, made.id)).status
    assert [("report.txt", b"all is well")] == sender.got


@turbine.workflow
async def archives(product: ProductRecord) -> str:
    async with turbine.current().runtime.products.open(product.id) as file:
        return f"{product.file_name}: {(await file.read()).decode()}"


@uses("WorkflowSender", "NewWorkflowSender", ".Send")
async def test_a_workflow_takes_products_once_each(launch) -> None:
    rt = await launch(reports, archives)
    sender = WorkflowSender(rt, archives)
    rt.set_product_sender(sender)
    made = await (await rt.run(reports)).result()
    await sent(rt, made.id)
    await sender.send(made, io.BytesIO())  # once more, as after a crash: it joins the same run

    (run,) = (await rt.list(name="archives")).items
    assert "report.txt: all is well" == await rt.retrieve(run.workflow_id).result()


@uses("QueueOption", "Runtime.Queue")
async def test_a_queue_is_declared_with_keywords_and_takes_runs(database_url) -> None:
    rt = Runtime(database_url, workflows=[greet])
    queue = rt.queue("line", worker_concurrency=2)
    assert Queue("line", worker_concurrency=2) == queue
    with pytest.raises(RegistrationConflict):
        rt.queue("line")
    async with rt:
        handle = await rt.run(greet.options(queue="line"), "Ada")
        assert "hello Ada" == await handle.result()
        assert "line" == (await handle.status()).queue_name


at_once: list[int] = []


most: dict[str, int] = {}


begun: list[str] = []


@turbine.workflow
async def counted(key: str, name: str) -> None:
    at_once.append(1)
    most[key] = max(most.get(key, 0), len(at_once))
    begun.append(name)
    await asyncio.sleep(0.01)
    at_once.pop()


@uses(
    "WithGlobalConcurrency",
    "WithWorkerConcurrency",
    "WithMaxTasksPerIteration",
    "WithPartitionQueue",
    "WithPriorityEnabled",
    "WithRateLimiter",
)
async def test_each_limit_of_a_queue_limits(database_url) -> None:
    at_once.clear()
    most.clear()
    begun.clear()
    rt = Runtime(database_url, workflows=[counted])
    rt.queue("everywhere", global_concurrency=2)
    rt.queue("here", worker_concurrency=3)
    rt.queue("batches", batch_max=1)
    rt.queue("keys", partitioned=True)
    rt.queue("urgent", priority=True, global_concurrency=1)
    rt.queue("slow", rate_limit=RateLimit(2, per=timedelta(minutes=10)))
    async with rt:
        for queue in ("everywhere", "here", "batches"):
            await rt.pause_queue(queue)
            handles = [await rt.run(counted.options(queue=queue), queue, "x") for _ in range(8)]
            await rt.resume_queue(queue)
            for handle in handles:
                await handle.result()
        keyed = counted.options(queue="keys")
        for handle in [await rt.run(keyed.options(partition_key="k"), "keys", "x") for _ in range(4)]:
            await handle.result()
        with pytest.raises(ValueError, match="key"):
            await rt.run(keyed, "keys", "x")
        begun.clear()
        await rt.pause_queue("urgent")
        urgent = counted.options(queue="urgent")
        handles = [await rt.run(urgent.options(priority=at), "urgent", str(at)) for at in (3, 1, 2)]
        await rt.resume_queue("urgent")
        for handle in handles:
            await handle.result()
        limited = [await rt.run(counted.options(queue="slow"), "slow", "x") for _ in range(3)]
        await rt.wait_idle()
        statuses = [(await handle.status()).status for handle in limited]

    assert {"everywhere": 2, "here": 3, "keys": 1, "urgent": 1} == {key: most[key] for key in most.keys() - UNLIMITED}
    assert ["1", "2", "3"] == begun[:3]
    assert ["SUCCESS", "SUCCESS", "ENQUEUED"] == statuses


UNLIMITED = {"batches", "slow"}


@uses("RateLimiter{Limit, Period}")
async def test_a_rate_limit_is_a_number_for_a_time() -> None:
    limit = RateLimit(100, per=timedelta(minutes=1))
    assert (100, timedelta(seconds=60)) == (limit.limit, limit.per)
    assert limit == RateLimit(limit=100, per=60)  # seconds are understood too
    for wrong in (lambda: RateLimit(0, per=timedelta(1)), lambda: RateLimit(1, per=timedelta(0))):
        with pytest.raises(ValueError, match="rate limit"):
            wrong()


@uses("WorkflowQueue")
async def test_a_queue_tells_its_settings(database_url) -> None:
    rt = Runtime(database_url)
    limit = RateLimit(5, per=timedelta(seconds=1))
    rt.queue(
        "line",
        worker_concurrency=1,
        global_concurrency=2,
        priority=True,
        rate_limit=limit,
        batch_max=7,
        partitioned=True,
    )
    (queue,) = rt.queues()
    assert ("line", 1, 2, True, limit, 7, True) == facts(
        queue, "name worker_concurrency global_concurrency priority rate_limit batch_max partitioned"
    )


@turbine.workflow(triggerable=True)
async def report(order: Order) -> str:
    return order.id


@uses("Schedule{WorkflowFQN, Type, Input, Enabled, CronExpression, Jitter, ScheduledAt, Created, Updated}")
async def test_every_field_of_a_schedule_is_filled_and_may_be_changed(launch) -> None:
    rt = await launch(report, nightly)
    began = datetime.now(UTC) - timedelta(seconds=1)
    made = await rt.schedules.create(report, Schedule.cron("0 3 * * *", jitter=30), input={"id": "7"})
    assert (f"{__name__}:report", "cron", {"id": "7"}, True, "0 3 * * *", timedelta(seconds=30), None) == facts(
        made, "workflow_fqn type input enabled cron_expression jitter scheduled_at"
    )
    assert began <= made.created <= made.updated <= datetime.now(UTC)

    changes: dict[str, Any] = {"cron_expression": "30 4 * * *", "jitter": timedelta(minutes=1), "input": {"id": "8"}}
    for name, value in changes.items():
        changed = await rt.schedules.update(made.id, **{name: value})
        assert value == getattr(changed, name)
    assert changed == await rt.schedules.get(made.id)
    assert made.updated <= changed.updated
    assert not (await rt.schedules.update(made.id, enabled=False)).enabled
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    once = await rt.schedules.update(made.id, type="once", scheduled_at=later, enabled=True)
    assert ("once", later, None, True) == facts(once, "type scheduled_at cron_expression enabled")
    moved = await rt.schedules.update(made.id, workflow_fqn="seed:nightly", input={"at": "2026-03-27T03:00:00Z"})
    assert ("seed:nightly", "nightly report") == (moved.workflow_fqn, moved.workflow)
