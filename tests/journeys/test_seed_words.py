"""The words of bodies and steps, each as the original's table says."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from seed import Order, does, double, facts, fail, says_twice, uses, wait_for_go

import turbine
import turbine.sync
from turbine import ApprovalResult, ApprovalTimeout, NotInWorkflow, ShuttingDown, WorkflowNotFound
from turbine.testing import World


@turbine.workflow
async def asks_in_vain() -> str:
    try:
        await turbine.wait_for_approval(timeout=0.01)
    except ApprovalTimeout as error:
        return type(error).__name__
    return "somebody answered"


@uses("ErrApprovalTimeout", "ErrShuttingDown")
async def test_nobody_decides_in_time_and_a_runtime_that_ends_takes_nothing(launch) -> None:
    rt = await launch(asks_in_vain)
    assert "ApprovalTimeout" == await (await rt.run(asks_in_vain)).result()

    await rt.shutdown()
    with pytest.raises(ShuttingDown):
        await rt.run(asks_in_vain)


@turbine.step
async def app_title() -> str | None:
    app = turbine.current().app
    return None if app is None else app.title


@turbine.workflow
async def app_titles() -> list[str | None]:
    app = turbine.current().app
    return [None if app is None else app.title, await app_title()]


@uses("AppFrom(ctx)")
async def test_bodies_and_steps_reach_the_host_application(launch, database_url, tmp_path) -> None:
    app = FastAPI(title="The shop")
    hosted = turbine.setup(app, database_url, workflows=[app_titles], lifespan=False)
    async with hosted:
        assert ["The shop", "The shop"] == await (await hosted.run(app_titles)).result()

    alone = await launch(app_titles)
    assert [None, None] == await (await alone.run(app_titles)).result()


@uses("Do")
async def test_any_callable_is_done_as_a_step(launch) -> None:
    rt = await launch(does)
    handle = await rt.run(does)
    assert [2, 4, 6, 4] == await handle.result()
    assert ["double", "double", "fetch", "__len__"] == [step.function_name for step in await handle.steps()]


@turbine.workflow
async def does_beside() -> list[str]:
    good, bad = turbine.do_async(double, 4), turbine.do_async(fail, "gone")
    with pytest.raises(LookupError):
        await bad
    return [repr(await good), repr(good.exception()), repr(bad.exception())]


@turbine.sync.workflow
def does_beside_blocking() -> list[str]:
    good, bad = turbine.sync.do_async(str.upper, "x"), turbine.sync.do_async(fail, "gone")
    with pytest.raises(LookupError):
        bad.result()
    return [good.result(), repr(bad.exception())]


@uses("DoAsync", "AsyncResult{Result, Err}")
async def test_a_step_beside_the_body_has_a_result_or_an_error(launch) -> None:
    rt = await launch(does_beside, does_beside_blocking)
    assert ["8", "None", "LookupError('gone')"] == await (await rt.run(does_beside)).result()
    assert ["X", "LookupError('gone')"] == await (await rt.run(does_beside_blocking)).result()


@turbine.workflow
async def publishes() -> None:
    await turbine.set_value("order", Order(id="7"))


@turbine.workflow
async def reads(workflow_id: str) -> Order:
    return await turbine.get_value(workflow_id, "order", type=Order, timeout=timedelta(seconds=30))


@uses("GetValue", "SetValue", "SetValueInput")
async def test_a_run_publishes_values_for_everybody(launch) -> None:
    rt = await launch(publishes, reads)
    await (await rt.run(publishes.options(id="source"))).result()
    assert Order(id="7") == await (await rt.run(reads, "source")).result()
    assert Order(id="7") == await rt.get_value("source", "order", type=Order)
    assert {"order": {"id": "7", "customer": "Ada"}} == await rt.values("source")


@turbine.workflow
async def counts_up(key: str) -> int:
    count = await turbine.kv.get(key, int, default=0) + 1
    await turbine.kv.set(key, count)
    return count


@uses("KVGet", "Runtime.KVSet", "Runtime.KVDelete")
async def test_the_global_store_is_used_from_everywhere(launch) -> None:
    rt = await launch(counts_up)
    await rt.kv.set("count", 41)
    assert 42 == await (await rt.run(counts_up, "count")).result()
    assert 42 == await rt.kv.get("count", int)
    await rt.kv.delete("count")
    assert "none" == await rt.kv.get("count", default="none")


@uses("LoggerFrom")
async def test_what_is_logged_carries_its_run_and_its_step(launch, caplog) -> None:
    rt = await launch(says_twice)
    with caplog.at_level(logging.INFO, "turbine.run"):
        await (await rt.run(says_twice.options(id="talker"))).result()

    heard: list[Any] = [record for record in caplog.records if "from the" in record.message]
    assert [("talker", None), ("talker", "0")] == [(record.workflow_id, record.step_id) for record in heard]
    kept = (await rt.logs.list(workflow_id="talker", ascending=True)).items
    assert [("from the body", None), ("from the step", "0")] == [(record.message, record.step) for record in kept]
    turbine.logger().info("outside of runs it is harmless")


@turbine.workflow
async def pauses() -> list[datetime]:
    began = await turbine.now()
    await turbine.sleep(timedelta(hours=1))
    await turbine.pause(60)
    await turbine.sleep_until(began + timedelta(days=2))
    return [began, await turbine.now()]


@uses("Pause")
async def test_a_pause_goes_on_after_a_restart_with_what_is_left_of_it(database_url) -> None:
    async with World(database_url, workflows=[pauses]) as world:
        handle = await world.runtime.run(pauses.options(id="sleeper"))
        await world.advance(minutes=40)
        await world.restart()
        await world.advance(days=2)
        began, ended = await world.runtime.retrieve("sleeper", list[datetime]).result()
        assert timedelta(days=2) == ended - began
        assert ["turbine.now", "turbine.sleep", "turbine.sleep", "turbine.sleep_until", "turbine.now"] == [
            step.function_name for step in await world.runtime.steps(handle.workflow_id)
        ]


@turbine.workflow
async def receives() -> list[Any]:
    order = await turbine.recv("orders", type=Order, timeout=timedelta(seconds=30))
    return [order.id, await turbine.recv(), await turbine.recv("never", timeout=0, default="nothing")]


@uses("Recv")
async def test_messages_are_read_by_topic_with_their_type(launch) -> None:
    rt = await launch(receives)
    handle = await rt.run(receives)
    await rt.send(handle.workflow_id, "plain")
    await rt.send(handle.workflow_id, Order(id="7"), "orders")
    assert ["7", "plain", "nothing"] == await handle.result()


@turbine.workflow
async def sends(destination: str) -> None:
    await turbine.send(destination, "from a run", "go")


@uses("Send", "SendInput", "Runtime.SendToWorkflow")
async def test_runs_and_outsiders_send_messages(launch) -> None:
    rt = await launch(sends, wait_for_go)
    first, second = await rt.run(wait_for_go), await rt.run(wait_for_go)
    await (await rt.run(sends, first.workflow_id)).result()
    await rt.send(second.workflow_id, "from outside", topic="go")
    assert ["from a run", "from outside"] == [await first.result(), await second.result()]
    with pytest.raises(WorkflowNotFound):
        await rt.send("nobody", "hello")


@turbine.step
async def shows() -> None:
    await turbine.set_app_status("packing", "blue")


@turbine.workflow
async def shows_twice() -> None:
    await shows()
    await turbine.recv("go")
    await turbine.set_app_status("packed", "green")


@uses("SetAppStatus", "Context.SetAppStatus")
async def test_bodies_and_steps_say_what_they_do(launch) -> None:
    rt = await launch(shows_twice)
    handle = await rt.run(shows_twice)
    await rt.wait_idle()
    status = await handle.status()
    assert ("packing", "blue") == (status.app_status, status.app_status_color)
    await rt.send(handle.workflow_id, None, "go")
    await handle.result()
    status = await handle.status()
    assert ("packed", "green") == (status.app_status, status.app_status_color)


@turbine.workflow
async def asks(hours: float | None = None) -> ApprovalResult:
    return await turbine.wait_for_approval("Ship it?", timeout=None if hours is None else timedelta(hours=hours))


@uses("WaitForApproval", "ApprovalOption", "WithApprovalTimeout")
async def test_a_run_waits_for_a_person_and_shows_it(database_url) -> None:
    async with World(database_url, workflows=[asks]) as world:
        rt = world.runtime
        patient, hasty = await rt.run(asks.options(id="patient")), await rt.run(asks.options(id="hasty"), 8)
        await world.settle()
        status = await patient.status()
        assert ("WAITING_FOR_APPROVAL", "waiting for approval", "yellow") == facts(
            status, "status app_status app_status_color"
        )
        await world.advance(hours=9)
        await rt.approve("patient")
        await world.settle()
        assert (await patient.result()).approved
        status = await hasty.status()
        assert ("ERROR", True) == (status.status, (status.error or "").startswith("ApprovalTimeout"))


@uses("ApprovalResult{Approved, Comment}")
async def test_a_decision_says_who_when_and_why(launch) -> None:
    rt = await launch(asks)
    handle = await rt.run(asks.options(id="asked"))
    await rt.wait_idle()
    before = datetime.now(UTC) - timedelta(seconds=1)
    await rt.approve("asked", False, "too expensive", by="Grace", data={"limit": 10})
    decision = await handle.result()
    assert (False, "too expensive", "Grace", {"limit": 10}) == facts(decision, "approved comment by data")
    assert before <= decision.at <= datetime.now(UTC)


@turbine.step
async def where() -> list[Any]:
    here = turbine.current()
    here.logger.info("from a context")
    return [here.workflow_id, here.step_id, here.attempt, here.is_replaying, here.runtime.application_id, here.app]


@turbine.workflow
async def wheres() -> list[Any]:
    here = turbine.current()
    return [[here.workflow_id, here.step_id, here.attempt, here.is_replaying], await where()]


@uses("Context{App, Logger, WorkflowID}")
async def test_the_context_tells_where_the_code_stands(launch) -> None:
    rt = await launch(wheres, application_id="shop")
    body, step = await (await rt.run(wheres.options(id="here"))).result()
    assert ["here", None, 1, False] == body
    assert ["here", "0", 1, False, "shop", None] == step
    assert ["from a context"] == [record.message for record in (await rt.logs.list(workflow_id="here")).items]
    with pytest.raises(NotInWorkflow):
        turbine.current()


@uses("Runtime.NewContext")
async def test_every_word_works_on_the_runtime_from_any_loop_and_thread(launch) -> None:
    rt = await launch(wait_for_go, publishes)
    handle = await rt.run(wait_for_go)

    async def elsewhere() -> Any:
        assert threading.current_thread() is not threading.main_thread()
        await rt.send(handle.workflow_id, "from another loop", "go")
        source = await rt.run(publishes)
        return await rt.get_value(source.workflow_id, "order", timeout=120)

    assert {"id": "7", "customer": "Ada"} == await asyncio.to_thread(asyncio.run, elsewhere())
    assert "from another loop" == await handle.result()
