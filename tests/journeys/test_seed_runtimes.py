"""The ways in, and what a runtime knows and does, as the original's table says."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from seed import SCHEMA, Refuses, does, facts, greet, nightly, reports, says_twice, uses, wait_for_go

import turbine
import turbine.sync
from turbine import Config, NotRegistered, NotTriggerable, RegistrationConflict, Runtime, WorkflowStatus
from turbine.testing import World


async def ask(app: FastAPI, path: str) -> Any:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return (await client.get(path)).json()


@uses("NewApp")
async def test_an_application_of_its_own_serves_and_ends_with_its_lifespan(database_url) -> None:
    app, rt = turbine.new_app(database_url, workflows=[greet])
    async with app.router.lifespan_context(app):
        assert rt.is_launched
        assert "hello Ada" == await (await rt.run(greet, "Ada")).result()
        assert "ok" == (await ask(app, "/api/pt/health"))["status"]
    assert rt.is_draining


@uses("NewRuntime", "NewStandalone")
async def test_a_runtime_is_launched_by_its_block_or_by_hand(database_url) -> None:
    async with Runtime(database_url, workflows=[greet]) as rt:
        assert "hello Ada" == await (await rt.run(greet, "Ada")).result()

    by_hand = Runtime(database_url, workflows=[greet])
    await by_hand.launch()
    assert "hello Bea" == await (await by_hand.run(greet, "Bea")).result()
    await by_hand.shutdown()

    def blocking() -> str:
        with turbine.sync.Runtime(database_url, workflows=[greet]) as rt:
            return rt.run(greet, "Cleo").result()

    assert "hello Cleo" == await asyncio.to_thread(blocking)


@uses("Setup", "SetupStandalone")
async def test_a_runtime_lives_with_an_application_that_is_there(database_url) -> None:
    app = FastAPI()
    rt = turbine.setup(app, database_url, workflows=[greet], prefix="/flows", dashboard=False)
    async with app.router.lifespan_context(app):
        assert "hello Ada" == await (await rt.run(greet, "Ada")).result()
        assert "ok" == (await ask(app, "/flows/api/pt/health"))["status"]

    other = FastAPI()
    by_hand = turbine.setup(other, database_url, workflows=[greet], lifespan=False)
    async with other.router.lifespan_context(other):
        assert not by_hand.is_launched
    await by_hand.launch()
    assert "hello Bea" == await (await by_hand.run(greet, "Bea")).result()
    await by_hand.shutdown()


@uses("Register", "WorkflowRegistrationOption")
async def test_workflows_are_registered_in_three_ways(database_url) -> None:
    rt = Runtime(database_url, workflows=[greet])
    rt.register(wait_for_go, name="waiter", tags=["patient"])

    @rt.workflow(triggerable=True)
    async def announce(name: str) -> str:
        return name.upper()

    with pytest.raises(RegistrationConflict):
        rt.register(greet)
    async with rt:
        assert "ADA" == await (await rt.run(announce, "Ada")).result()
        known = {one.name: (one.triggerable, one.tags) for one in rt.registered_workflows()}
    assert {"greet": (False, []), "waiter": (False, ["patient"]), "announce": (True, [])} == known


@uses("App", "RequestEvent", "ServeEvent")
async def test_the_host_is_an_asgi_application_with_its_requests_and_its_lifespan(database_url) -> None:
    app = FastAPI()
    rt = turbine.setup(app, database_url, workflows=[greet])

    @app.get("/greet/{name}")
    async def greeting(name: str, request: Request) -> dict[str, Any]:
        assert rt.app is request.app
        return {"said": await (await rt.run(greet, name)).result()}

    assert not rt.is_launched
    async with app.router.lifespan_context(app):
        assert {"said": "hello Ada"} == await ask(app, "/greet/Ada")
    assert not rt.is_launched


@uses("Config")
async def test_a_runtime_is_what_its_config_says(database_url, caplog) -> None:
    caplog.set_level(logging.INFO, "shop")
    config = Config(
        application_version="v7",
        executor_id="till-1",
        gc_retention=timedelta(0),
        gc_schedule="30 4 * * *",
        product_sender=Refuses(),
        webhook_attempts=1,
        webhook_timeout=timedelta(seconds=1),
        shutdown_timeout=timedelta(seconds=2),
        logger=logging.getLogger("shop"),
        delivery_attempts=1,
        allow_private_addresses=True,
    )
    async with World(database_url, workflows=[says_twice, reports], config=config) as world:
        rt = world.runtime
        await rt.webhooks.create(url="http://127.0.0.1:1/", events=["workflow.SUCCESS"])
        handle = await rt.run(says_twice)
        await handle.result()
        status = await handle.status()
        assert ("v7", "till-1") == (status.application_version, status.executor_id)
        assert ["from the body", "from the step"] == [
            record.message for record in caplog.records if record.name == "shop"
        ]
        product = await (await rt.run(reports)).result()
        await world.advance(minutes=10)
        assert "failed" == (await rt.products.get(product.id)).status
        calls = (await rt.deliveries.list(kind="webhook")).items
        assert [("dead", 1)] * 2 == [(call.status, len(call.attempts)) for call in calls]
        await world.advance(days=1)
        assert [] == (await rt.list()).items  # collected at half past four, because nothing is retained


@uses("RegisteredWorkflow{Name, FQN, Triggerable, CronSchedule, InputSchema, Tags}")
async def test_registered_workflows_tell_what_was_declared(launch) -> None:
    rt = await launch(nightly)
    (known,) = rt.registered_workflows()
    assert ("nightly report", "seed:nightly", True, "0 3 * * *", SCHEMA, ["night", "report"]) == facts(
        known, "name fqn triggerable cron_schedule input_schema tags"
    )


@uses("Runtime.App", "GetApplicationID", "GetApplicationVersion", "GetExecutorID", "IsDraining", "IsLaunched")
async def test_a_runtime_says_who_and_how_it_is(database_url) -> None:
    app = FastAPI()
    rt = turbine.setup(app, database_url, workflows=[greet], lifespan=False, application_id="shop")
    other = Runtime(database_url, workflows=[wait_for_go], application_version="v7")
    assert rt.app is app
    assert ("shop", "turbine", "v7") == (rt.application_id, other.application_id, other.application_version)
    assert (True, False) == (len(rt.application_version) >= 8, rt.executor_id == other.executor_id)
    assert (False, False) == (rt.is_launched, rt.is_draining)
    await rt.launch()
    assert (True, False) == (rt.is_launched, rt.is_draining)
    await rt.shutdown()
    assert (False, True) == (rt.is_launched, rt.is_draining)


@uses("Runtime.Cancel", "Resume", "GarbageCollect", "IsTriggerable", "Launch", "Shutdown")
async def test_a_runtime_cancels_resumes_collects_and_ends(database_url) -> None:
    rt = Runtime(database_url, workflows=[wait_for_go, nightly])
    await rt.launch()
    handle = await rt.run(wait_for_go)
    assert [True, False] == [await rt.cancel(handle.workflow_id), await rt.cancel(handle.workflow_id)]
    again = await rt.resume(handle.workflow_id)
    await rt.send(again.workflow_id, "resumed", "go")
    assert "resumed" == await again.result()
    assert (True, False) == (rt.is_triggerable("nightly report"), rt.is_triggerable("wait_for_go"))
    assert [0, 1] == [await rt.garbage_collect(timedelta(hours=1)), await rt.garbage_collect(timedelta(0))]
    await rt.shutdown()
    await rt.shutdown()
    await rt.launch()
    assert [] == (await rt.list()).items
    await rt.shutdown()


@uses("Runtime.List", "Listen", "Queues", "RegisteredWorkflows", "Steps")
async def test_a_runtime_lists_runs_steps_queues_and_workflows(database_url) -> None:
    rt = Runtime(database_url, workflows=[does, greet])
    line, other = rt.queue("line"), rt.queue("other")
    rt.listen(line)
    async with rt:
        await (await rt.run(does.options(id="worker"))).result()
        heard = await rt.run(greet.options(id="heard", queue="line"), "Ada")
        await rt.run(greet.options(id="unheard", queue="other"), "Bea")
        await heard.result()
        await rt.wait_idle()
        found = {run.workflow_id: run.status for run in (await rt.list(name="greet")).items}
        assert {"heard": WorkflowStatus.SUCCESS, "unheard": WorkflowStatus.ENQUEUED} == found
        assert [line, other] == rt.queues()
        assert ["does", "greet"] == sorted(one.name for one in rt.registered_workflows())
        assert [2, 4, 6, 4] == [step.output for step in await rt.steps("worker")]


@uses("Runtime.TestAlertChannel", "TriggerByFQN")
async def test_channels_are_tested_and_workflows_triggered_by_name(launch, ear) -> None:
    rt = await launch(nightly, greet, delivery_attempts=1)
    channel = await rt.alert_channels.create(name="ops", url=ear.url)
    await rt.alert_channels.test(channel.id)
    assert 1 == len(ear.heard)

    for name in ("nightly report", "seed:nightly"):
        run = await rt.trigger(name, {"at": "2026-03-27T03:00:00Z"})
        assert "2026-03-27T03:00:00+00:00" == await rt.retrieve(run).result()
    with pytest.raises(NotTriggerable):
        await rt.trigger("greet", {"name": "Ada"})
    with pytest.raises(NotRegistered):
        await rt.trigger("nobody", {})


@uses("Run", "Retrieve")
async def test_a_run_is_started_and_found_again(launch) -> None:
    rt = await launch(greet)
    handle = await rt.run(greet.options(id="greeting"), name="Ada")
    other = await launch()
    assert "hello Ada" == await other.retrieve("greeting", str).result()
    assert "hello Ada" == await handle.result()
