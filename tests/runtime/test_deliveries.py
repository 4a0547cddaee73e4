"""The outbox and its courier: nothing announced is lost, whoever stops or dies, and everything can be looked at."""

import asyncio
from typing import Any

import pytest
from receiver import Receiver

import turbine
from turbine import Conflict, NotFound, Runtime
from turbine.tables import executors
from turbine.testing import World


@turbine.workflow
async def greet(number: int) -> int:
    return number


@turbine.workflow
async def fail() -> None:
    raise LookupError("nothing here")


@pytest.fixture
async def world(database_url: str):
    async with World(database_url, workflows=[greet, fail], allow_private_addresses=True) as world:
        yield world


async def ids(rt: Runtime, **filters: Any) -> list[str]:
    return [one.id for one in (await rt.deliveries.list(**filters)).items]


async def test_deliveries_are_listed_newest_first_by_all_that_is_known_of_them(
    world: World, receiver: Receiver
) -> None:
    rt = world.runtime
    webhook = await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    channel = await rt.alert_channels.create(
        name="ops", url=receiver.url("/", scheme="json"), events=["workflow.ERROR"]
    )
    await rt.run(greet.options(id="greet-1"), 1)
    await world.settle()
    receiver.answers = [(400, {}), (400, {}), (400, {})]
    await rt.run(fail.options(id="fail-1"))
    await world.advance(minutes=1)

    everything = (await rt.deliveries.list()).items

    assert ["fail-1", "fail-1", "greet-1"] == [one.workflow_id for one in everything]
    assert ["workflow.ERROR", "workflow.ERROR", "workflow.SUCCESS"] == [one.event for one in everything]
    assert 2 == len(await ids(rt, target=webhook.id))
    assert [channel.id] == [one.target for one in (await rt.deliveries.list(kind="alert")).items]
    assert [everything[2].id] == await ids(rt, workflow_id="greet-1")
    assert [everything[2].id] == await ids(rt, event="workflow.SUCCESS", status=["delivered", "pending"])
    assert [everything[2].id] == await ids(rt, status="delivered", kind="webhook")
    assert 3 == len(await ids(rt, status=["delivered", "dead"], workflow_id=["fail-1", "greet-1"]))
    assert [] == await ids(rt, status="pending")
    assert [] == await ids(rt, status=[])
    assert everything[0] == await rt.deliveries.get(everything[0].id)

    page = await rt.deliveries.list(limit=2)
    rest = await rt.deliveries.list(limit=2, cursor=page.next_cursor)
    assert (everything, None) == (page.items + rest.items, rest.next_cursor)


@pytest.mark.parametrize("wrong", [{"status": "lost"}, {"kind": "pigeon"}, {"limit": 0}, {"cursor": "x"}])
async def test_a_filter_that_can_never_be_right_is_refused(sqlite_url: str, wrong: dict[str, Any]) -> None:
    async with Runtime(sqlite_url) as rt:
        with pytest.raises(ValueError, match=r"."):
            await rt.deliveries.list(**wrong)


async def test_an_unknown_delivery_is_not_found(database_url: str) -> None:
    async with Runtime(database_url) as rt:
        for act in (rt.deliveries.get("msg_0"), rt.deliveries.resend("msg_0")):
            with pytest.raises(NotFound) as caught:
                await act
            assert ("delivery", "msg_0") == (caught.value.kind, caught.value.id)


async def test_something_delivered_can_be_sent_again_with_all_attempts_anew(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await rt.run(greet, 1)
    await world.settle()
    (id,) = await ids(rt, status="delivered")

    receiver.answers = [(500, {})] * 3
    again = await rt.deliveries.resend(id)
    assert ("pending", world.now) == (again.status, again.next_at)
    with pytest.raises(Conflict):
        await rt.deliveries.resend(id)
    await world.advance(minutes=1)

    delivery = await rt.deliveries.get(id)
    assert ("dead", [204, 500, 500, 500]) == (delivery.status, [one.status_code for one in delivery.attempts])
    assert 1 == len({request.body for request in receiver.requests})


async def test_a_delivery_outlives_its_run_and_its_webhook_its_deliveries(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    receiver.answers = [(500, {})]
    webhook = await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await rt.run(greet.options(id="greet-1"), 7)
    await world.settle()
    await rt.delete("greet-1")
    await world.advance(seconds=1)

    assert [7, 7] == [request.json["output"] for request in receiver.requests]
    await rt.webhooks.delete(webhook.id)
    assert ["delivered"] == [one.status for one in (await rt.deliveries.list(target=webhook.id)).items]


async def test_old_deliveries_are_collected_and_pending_ones_never(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await rt.run(greet, 1)
    await world.settle()
    receiver.answers = [(500, {})]
    await rt.run(greet, 2)
    await world.settle()

    await rt.garbage_collect(1)
    assert 2 == len(await ids(rt))  # both are younger than that

    await rt.garbage_collect(0)
    assert 1 == len(await ids(rt, status="delivered"))  # nothing is older than this moment
    world.clock.move_to(world.clock.now_ms() + 1)
    await rt.garbage_collect(0)
    assert (0, 1) == (len(await ids(rt, status="delivered")), len(await ids(rt, status="pending")))


# Who delivers, and when


async def test_what_was_announced_before_a_death_is_delivered_after_it(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    receiver.let_go.clear()
    await rt.run(greet, 1)
    await receiver.arrived(1)
    await world.crash()
    receiver.let_go.set()
    await world.restart()
    await world.settle()

    first, second = receiver.requests

    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    (delivery,) = (await rt.deliveries.list()).items
    assert ("delivered", 1) == (delivery.status, len(delivery.attempts))


async def test_a_shutdown_gives_back_what_is_under_way_and_counts_no_attempt(
    database_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turbine.loops.delivery_worker.LAST_MINUTE", 0.05)
    settings: dict[str, Any] = {"workflows": [greet], "allow_private_addresses": True, "webhook_attempts": 1}
    receiver.let_go.clear()
    async with Runtime(database_url, **settings) as rt:
        await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
        await rt.run(greet, 1)
        await receiver.arrived(1)
    receiver.let_go.set()
    async with Runtime(database_url, **settings) as rt:
        await receiver.arrived(2)
        await rt.wait_idle()

        (delivery,) = (await rt.deliveries.list()).items

    assert ("delivered", [1]) == (delivery.status, [attempt.number for attempt in delivery.attempts])


async def test_a_shutdown_waits_a_moment_for_what_is_under_way(database_url: str, receiver: Receiver) -> None:
    settings: dict[str, Any] = {"workflows": [greet], "allow_private_addresses": True}
    receiver.let_go.clear()
    rt = Runtime(database_url, **settings)
    await rt.launch()
    await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await rt.run(greet, 1)
    await receiver.arrived(1)
    stopping = asyncio.create_task(rt.shutdown())
    while rt.is_launched:  # noqa: ASYNC110 - the flag is what is told of it
        await asyncio.sleep(0.002)
    receiver.let_go.set()
    await stopping

    async with Runtime(database_url, **settings) as rt:
        assert ["delivered"] == [one.status for one in (await rt.deliveries.list()).items]
    assert 1 == len(receiver.requests)


async def test_two_processes_deliver_everything_once(database_url: str, receiver: Receiver) -> None:
    settings: dict[str, Any] = {"workflows": [greet], "allow_private_addresses": True}
    async with Runtime(database_url, **settings) as one, Runtime(database_url, **settings) as other:
        await one.webhooks.create(url=receiver.url(), events=["workflow.*"])
        handles = [await (one if number % 2 else other).run(greet, number) for number in range(60)]
        for handle in handles:
            await handle.result()
        await receiver.arrived(60)
        await one.wait_idle()
        await other.wait_idle()

        found = (await one.deliveries.list()).items

    assert 60 == len({request.headers["webhook-id"] for request in receiver.requests}) == len(receiver.requests)
    assert [("delivered", 1)] * 60 == [(delivery.status, len(delivery.attempts)) for delivery in found]


async def test_an_attempt_of_an_executor_that_was_declared_dead_notes_nothing(
    database_url: str, receiver: Receiver
) -> None:
    settings: dict[str, Any] = {"workflows": [greet], "allow_private_addresses": True}
    receiver.let_go.clear()
    async with Runtime(database_url, **settings) as one, Runtime(database_url, **settings) as other:
        await one.webhooks.create(url=receiver.url(), events=["workflow.*"])
        await one.run(greet, 1)
        await receiver.arrived(1)
        store = one._app().store
        for _ in range(8):  # whichever of them has it loses it again and again
            for rt in (one, other):
                known = await store.read(executors.get, executor_id=rt.executor_id)
                if known is not None:
                    await store.write(
                        executors.evict,
                        executor_id=rt.executor_id,
                        incarnation=known.incarnation,
                        seen_lease_ms=None,
                        now_ms=0,
                    )
            await asyncio.sleep(0.02)
        receiver.let_go.set()
        while await ids(one, status="pending"):  # noqa: ASYNC110 - the row is the only witness
            await asyncio.sleep(0.002)
        await one.wait_idle()
        await other.wait_idle()

        (delivery,) = (await one.deliveries.list()).items

    assert ("delivered", [1]) == (delivery.status, [attempt.number for attempt in delivery.attempts])
    assert {delivery.id} == {request.headers["webhook-id"] for request in receiver.requests}


async def test_thirty_two_go_at_once_and_the_others_follow(database_url: str, receiver: Receiver) -> None:
    receiver.let_go.clear()
    async with Runtime(database_url, workflows=[greet], allow_private_addresses=True) as rt:
        await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
        for handle in [await rt.run(greet, number) for number in range(40)]:
            await handle.result()
        await receiver.arrived(32)
        assert 40 == len(await ids(rt, status="pending"))
        assert 32 == len(receiver.requests)

        receiver.let_go.set()
        await receiver.arrived(40)
        await rt.wait_idle()
        assert 40 == len(await ids(rt, status="delivered"))


async def test_webhooks_that_hang_hold_up_no_alert(database_url: str, receiver: Receiver) -> None:
    slow = Receiver()
    await slow.open()
    slow.let_go.clear()
    async with Runtime(database_url, workflows=[greet], allow_private_addresses=True) as rt:
        await rt.webhooks.create(url=slow.url(), events=["workflow.*"])
        await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
        for handle in [await rt.run(greet, number) for number in range(40)]:
            await handle.result()
        await slow.arrived(32)

        await rt.send_notification("ops", "all the same")

        assert 1 == len(receiver.requests)
        await slow.close()


async def test_an_announcement_without_listeners_leaves_no_row(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    await rt.run(greet, 1)
    await world.settle()
    await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await world.settle()

    assert [] == await ids(rt)
    assert [] == receiver.requests
