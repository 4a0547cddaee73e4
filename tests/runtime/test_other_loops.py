"""A runtime may be used from any event loop; what that starts or touches happens in its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import turbine
import turbine.sync
from turbine import Runtime, Schedule, WorkflowStatus
from turbine.model.accounts import Actor, Role
from turbine.operations.resources import Resource
from turbine.operations.schedules import Schedules


@turbine.step
async def make(name: str) -> str:
    await turbine.send_product(name, b"made")
    return name


@turbine.workflow(triggerable=True)
async def hello(name: str = "world") -> str:
    return await make(name)


@turbine.workflow
async def wait_for_go() -> str:
    await turbine.set_value("progress", 1)
    return await turbine.recv("go", type=str)


@turbine.workflow
async def ask() -> bool:
    return (await turbine.wait_for_approval("Really?")).approved


@turbine.step
def fetch_in_a_loop_of_its_own(workflow_id: str) -> int:
    async def fetch() -> int:
        return await turbine.get_value(workflow_id, "late", type=int, timeout=60)

    return asyncio.run(fetch())


@turbine.workflow
async def fetch(workflow_id: str) -> int:
    return await turbine.do(fetch_in_a_loop_of_its_own, workflow_id)


@turbine.workflow
async def tell_late() -> None:
    await turbine.recv("go")
    await turbine.set_value("late", 5)


async def in_another_loop(act: Callable[[], Awaitable[Any]]) -> Any:
    """What an act gives in a thread with an event loop of its own, both loops being asked to complain of misuse."""
    wrong: list[dict[str, Any]] = []
    outcome: list[Any] = []

    async def elsewhere() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        return await act()

    def run() -> None:
        try:
            outcome.append(asyncio.run(elsewhere(), debug=True))
        except BaseException as error:  # noqa: BLE001 - it is raised below
            outcome.append(error)

    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.set_exception_handler(lambda _, context: wrong.append(context))
    loop.slow_callback_duration = 60
    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():  # noqa: ASYNC110 - it has no way to tell this loop
        await asyncio.sleep(0.005)
    assert [] == wrong
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


async def test_what_is_started_from_another_event_loop_is_carried_out(launch) -> None:
    rt: Runtime = await launch(hello, wait_for_go, ask)
    yearly = await rt.schedules.create(hello, Schedule.cron("@yearly"), name="yearly", input="report")

    async def start() -> None:
        ids = [
            (await rt.run(hello.options(id="run"), "run")).workflow_id,
            await rt.trigger("hello", "trigger"),
            await rt.schedules.run_now(yearly.id),
            await Schedules(rt._app, Actor("ada@example.com", Role.OPERATOR)).run_now(yearly.id),
            (await rt.fork("run", 0)).workflow_id,
        ]
        now = datetime.now(UTC)
        made_up = await rt.schedules.backfill(yearly.id, now - timedelta(days=400), now)
        for id_ in [*ids, *made_up.started]:
            assert await rt.retrieve(id_).result(timeout=120) in ("run", "trigger", "report")
        assert len(ids) + len(made_up.started) == len((await rt.list(name="hello")).items)

    await in_another_loop(start)


async def test_every_noun_and_every_wait_works_from_another_event_loop(launch, receiver) -> None:
    rt: Runtime = await launch(hello, wait_for_go, ask)

    async def use() -> None:
        waiting = await rt.run(wait_for_go.options(id="waiting"))
        assert 1 == await rt.get_value("waiting", "progress", timeout=60)
        assert {"progress": 1} == await rt.values("waiting")
        assert await rt.cancel("waiting")
        assert WorkflowStatus.CANCELLED == (await waiting.status()).status
        await rt.resume("waiting")
        await rt.send("waiting", "gone", "go")
        assert "gone" == await waiting.result(timeout=120)
        assert 2 == len(await waiting.steps())

        asked = await rt.run(ask.options(id="asked"))
        while not (gates := (await rt.approvals.list()).items):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert gates[0] == await rt.approvals.get(gates[0].id)
        await rt.approve("asked", True)
        assert await asked.result(timeout=120)

        assert "a.txt" == await (await rt.run(hello, "a.txt")).result(timeout=120)
        (product,) = (await rt.products.list()).items
        async with rt.products.open(product.id) as file:
            assert b"made" == await file.read()

        await rt.kv.set("key", 1)
        assert 1 == await rt.kv.get("key")
        assert 1 == len(await rt.kv.history("key"))
        account = await rt.accounts.create("ada@example.com", "correct horse", "admin")
        assert account == await rt.accounts.get(account.id)
        assert "ci" == (await rt.tokens.create("ci", "viewer")).name
        channel = await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
        await rt.alert_channels.test(channel.id)
        await rt.send_notification("ops", "hello")
        hook = await rt.webhooks.create(url="https://example.com/hook", events=["workflow.ERROR"], enabled=False)
        assert hook == await rt.webhooks.get(hook.id)
        assert 2 == len((await rt.deliveries.list()).items)
        for noun in (rt.failures, rt.logs, rt.audit, rt.retention, rt.schedules):
            await noun.list()
        assert 0 == await rt.garbage_collect(3600)
        await rt.explain("waiting")
        await rt.export("waiting")
        assert {"ask", "hello", "wait_for_go"} == {one.name for one in await rt.workflows_everywhere()}
        assert 3 == await rt.delete("waiting", "asked", product.workflow_id)
        await rt.wait_idle()

    await in_another_loop(use)


async def test_events_are_told_in_another_event_loop(launch) -> None:
    rt: Runtime = await launch(hello)

    async def watch() -> list[str]:
        events = rt.events()
        await rt.run(hello.options(id="seen"), "x")
        return [(await anext(events)).workflow_id for _ in range(2)]

    assert ["seen", "seen"] == await in_another_loop(watch)


async def test_a_step_with_an_event_loop_of_its_own_hears_at_once(launch) -> None:
    rt: Runtime = await launch(fetch, tell_late)
    await rt.run(tell_late.options(id="late"))
    fetching = await rt.run(fetch, "late")
    await asyncio.sleep(0.2)
    await rt.send("late", None, "go")
    assert 5 == await fetching.result(timeout=120)


def test_all_nouns_of_a_runtime_are_of_this_kind(sqlite_url) -> None:
    nouns = {
        name: one
        for name, one in vars(Runtime(sqlite_url)).items()
        if type(one).__module__.startswith(("turbine.operations", "turbine.queries"))
    }
    assert 13 == len(nouns)
    assert {} == {name: one for name, one in nouns.items() if not isinstance(one, Resource)}
