"""Alert channels and notifications: texts for people through a service of Apprise (here its plain JSON over HTTP)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from receiver import Receiver

import turbine
import turbine.sync
from turbine import Conflict, DeliveryFailed, NotFound, Runtime, ValidationFailed
from turbine.testing import World

sent: list[str] = []


@turbine.workflow
async def greet(name: str) -> str:
    return f"hello {name}"


@turbine.workflow
async def fail() -> None:
    raise LookupError("nothing here")


@turbine.workflow
async def tells(channel: str) -> str:
    await turbine.send_notification(channel, "from the body")
    await turbine.recv("again")
    return "told"


@turbine.step
async def telling(channel: str) -> str:
    sent.append(channel)
    await turbine.send_notification(channel, "from a step", wait=False)
    return "told"


@turbine.workflow
async def tells_in_a_step(channel: str) -> str:
    return await telling(channel)


@turbine.step
def telling_blocking(channel: str) -> str:
    turbine.sync.send_notification(channel, "from a blocking step")
    return "told"


@turbine.workflow
def tells_blocking(channel: str) -> str:
    turbine.sync.send_notification(channel, "from a blocking body")
    return telling_blocking(channel)


WORKFLOWS = [greet, fail, tells, tells_in_a_step, tells_blocking]


@pytest.fixture
async def world(database_url: str):
    async with World(database_url, workflows=WORKFLOWS) as world:
        yield world


def texts(receiver: Receiver) -> list[str]:
    return [request.json["message"] for request in receiver.requests]


async def test_a_channel_hears_in_words_what_happened(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"), events=["workflow.*"])
    await rt.alert_channels.create(name="bad", url=receiver.url("/bad", scheme="json"), events=["workflow.ERROR"])
    await rt.run(greet.options(id="greet-1"), "Ada")
    await rt.run(fail.options(id="fail-1"))
    waits = await rt.run(greet.options(id="greet-2", delay=timedelta(days=1)), "Bea")
    await rt.cancel(waits.workflow_id)
    await world.settle()

    heard = sorted((request.path, request.json["message"]) for request in receiver.requests)

    assert [
        ("/", "[Turbine] Workflow fail (fail-1) failed: LookupError: nothing here"),
        ("/", "[Turbine] Workflow greet (greet-1) completed successfully"),
        ("/", "[Turbine] Workflow greet (greet-2) was cancelled"),
        ("/bad", "[Turbine] Workflow fail (fail-1) failed: LookupError: nothing here"),
    ] == heard


async def test_a_message_that_a_service_does_not_take_is_sent_again(world: World, receiver: Receiver) -> None:
    receiver.answers = [(500, {}), (500, {})]
    url = receiver.url("/", scheme="json")
    channel = await world.runtime.alert_channels.create(name="ops", url=url, events=["workflow.SUCCESS"])
    await world.runtime.run(greet, "Ada")
    await world.advance(seconds=3)

    (delivery,) = (await world.runtime.deliveries.list(kind="alert")).items

    assert ("delivered", channel.id, "workflow.SUCCESS") == (delivery.status, delivery.target, delivery.event)
    assert [False, False, True] == [attempt.error is None for attempt in delivery.attempts]
    assert "500" in (delivery.attempts[0].error or "")
    assert 3 == len(receiver.requests)


async def test_keys_in_a_channels_url_are_in_no_record(world: World, receiver: Receiver) -> None:
    receiver.answers = [(500, {})] * 3
    url = f"json://somebody:pa55word@127.0.0.1:{receiver.port}/t0psecret?+X-Key=k3y-of-mine"
    channel = await world.runtime.alert_channels.create(name="ops", url=url, events=["workflow.SUCCESS"])
    await world.runtime.run(greet, "Ada")
    await world.advance(minutes=1)

    shown = repr((channel, await world.runtime.alert_channels.list(), await world.runtime.deliveries.list()))

    assert "json://***" == channel.url
    assert not [secret for secret in ("pa55word", "t0psecret", "k3y-of-mine") if secret in shown]


# Custom messages


async def test_a_notification_is_delivered_when_it_returns_and_says_just_the_message(
    database_url: str, receiver: Receiver
) -> None:
    async with Runtime(database_url) as rt:
        channel = await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
        await rt.send_notification("ops", "Stock is low: 3 ünits")

        (delivery,) = (await rt.deliveries.list()).items

    assert ["Stock is low: 3 ünits"] == texts(receiver)
    assert ("alert", channel.id, None, None, "delivered") == (
        delivery.kind,
        delivery.target,
        delivery.event,
        delivery.workflow_id,
        delivery.status,
    )


async def test_an_unknown_channel_is_an_error_and_a_disabled_one_is_silent(
    database_url: str, receiver: Receiver
) -> None:
    async with Runtime(database_url) as rt:
        await rt.alert_channels.create(name="off", url=receiver.url("/", scheme="json"), enabled=False)
        await rt.send_notification("off", "nobody hears this")
        with pytest.raises(NotFound) as caught:
            await rt.send_notification("unknown", "nobody hears this")
        with pytest.raises(ValueError, match="empty"):
            await rt.send_notification("off", "")

        assert ("alert channel", "unknown") == (caught.value.kind, caught.value.id)
        assert [] == (await rt.deliveries.list()).items
    assert [] == receiver.requests


async def test_a_notification_that_is_never_taken_raises_after_the_last_attempt(
    database_url: str, receiver: Receiver
) -> None:
    receiver.answers = [(500, {})] * 10
    async with World(database_url, delivery_attempts=2) as world:
        await world.runtime.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
        sending = asyncio.create_task(world.runtime.send_notification("ops", "hello"))
        await receiver.arrived(1)
        await world.advance(seconds=1)

        with pytest.raises(DeliveryFailed, match="attempts 2"):
            await sending
    assert 2 == len(receiver.requests)


async def test_without_waiting_a_notification_is_only_written(database_url: str, receiver: Receiver) -> None:
    receiver.let_go.clear()
    async with Runtime(database_url, shutdown_timeout=0) as rt:
        await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
        await rt.send_notification("ops", "hello", wait=False)

        assert ["pending"] == [one.status for one in (await rt.deliveries.list()).items]
        await receiver.arrived(1)
        receiver.let_go.set()


async def test_a_body_sends_a_notification_once_and_not_again_when_it_is_replayed(
    world: World, receiver: Receiver
) -> None:
    rt = world.runtime
    await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
    handle = await rt.run(tells.options(id="tells-1"), "ops")
    await world.settle()
    await world.crash()
    await world.restart()
    await rt.send("tells-1", None, "again")

    assert "told" == await rt.retrieve("tells-1").result(10)
    assert ["from the body"] == texts(receiver)
    steps = await rt.steps(handle.workflow_id)
    assert ["pt.sendNotification", "pt.recv"] == [step.function_name for step in steps]
    (delivery,) = (await rt.deliveries.list(workflow_id="tells-1")).items
    assert "delivered" == delivery.status


async def test_a_body_that_dies_before_its_record_finds_its_own_delivery_again(
    world: World, receiver: Receiver
) -> None:
    rt = world.runtime
    receiver.let_go.clear()
    await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
    await rt.run(tells.options(id="tells-1"), "ops")
    await receiver.arrived(1)
    await world.crash()
    receiver.let_go.set()
    await world.restart()
    await rt.send("tells-1", None, "again")
    assert "told" == await rt.retrieve("tells-1").result(10)

    (delivery,) = (await rt.deliveries.list()).items

    assert ("delivered", 1) == (delivery.status, len(delivery.attempts))
    assert {"from the body"} == set(texts(receiver))


async def test_a_failed_notification_fails_its_body_and_a_resume_sends_it_anew(
    world: World, receiver: Receiver
) -> None:
    rt = world.runtime
    receiver.answers = [(500, {})] * 3
    await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
    await rt.run(tells.options(id="tells-1"), "ops")
    await receiver.arrived(1)
    await world.advance(minutes=1)
    assert "DeliveryFailed" in ((await rt.status("tells-1")).error or "")

    await rt.resume("tells-1")
    await rt.send("tells-1", None, "again")

    assert "told" == await rt.retrieve("tells-1").result(10)
    (delivery,) = (await rt.deliveries.list()).items
    assert ("delivered", 4) == (delivery.status, len(delivery.attempts))


async def test_an_unknown_channel_in_a_body_is_an_error_that_a_replay_raises_too(world: World) -> None:
    await world.runtime.run(tells.options(id="tells-1"), "nobody")
    await world.settle()

    status = await world.runtime.status("tells-1")

    assert ("ERROR", True) == (status.status, "NotFound" in (status.error or ""))
    assert "NotFound" in ((await world.runtime.steps("tells-1"))[0].error or "")


async def test_in_a_step_a_notification_is_part_of_the_step(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))

    assert "told" == await (await rt.run(tells_in_a_step.options(id="step-1"), "ops")).result(10)
    await world.settle()
    assert ["telling"] == [step.function_name for step in await rt.steps("step-1")]
    assert ["from a step"] == texts(receiver)
    (delivery,) = (await rt.deliveries.list(workflow_id="step-1")).items
    assert "delivered" == delivery.status


def test_blocking_bodies_and_steps_send_notifications(database_url: str) -> None:
    # The receiver of the other tests needs a loop of this thread; the runtime's own loop serves it here.
    receiver = Receiver()
    with turbine.sync.Runtime(database_url, workflows=WORKFLOWS) as rt:
        rt.wait_for(receiver.open())
        channel = rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"))
        assert "told" == rt.run(tells_blocking, "ops").result(10)
        rt.send_notification("ops", "from outside")
        rt.alert_channels.test(channel.id)
        rt.wait_for(receiver.close())

        assert ["from a blocking body", "from a blocking step", "from outside"] == texts(receiver)[:3]
        assert 4 == len(receiver.requests)
        assert channel == rt.alert_channels.get(channel.id)
        assert [channel] == rt.alert_channels.list().items
        assert "ops2" == rt.alert_channels.update(channel.id, name="ops2").name
        rt.alert_channels.delete(channel.id)
        assert [] == rt.alert_channels.list().items


# The records


async def test_a_test_message_is_sent_also_while_the_channel_is_disabled(database_url: str, receiver: Receiver) -> None:
    async with Runtime(database_url, delivery_attempts=1) as rt:
        channel = await rt.alert_channels.create(name="ops", url=receiver.url("/", scheme="json"), enabled=False)
        await rt.alert_channels.test(channel.id)
        assert texts(receiver)[0].startswith("[Turbine]")

        receiver.answers = [(401, {})]
        with pytest.raises(DeliveryFailed):
            await rt.alert_channels.test(channel.id)
        with pytest.raises(NotFound):
            await rt.alert_channels.test("nobody")


async def test_channels_are_listed_changed_and_removed(database_url: str) -> None:
    async with Runtime(database_url) as rt:
        first = await rt.alert_channels.create(name="one", url="json://example.com/")
        second = await rt.alert_channels.create(name="two", url="ntfys://topic", events=["workflow.ERROR"])

        assert ([], True, "json://***") == (first.events, first.enabled, first.url)
        assert "ntfys://***" == second.url
        page = await rt.alert_channels.list(limit=1)
        assert [second] == page.items
        assert [first] == (await rt.alert_channels.list(limit=1, cursor=page.next_cursor)).items

        with pytest.raises(Conflict):
            await rt.alert_channels.create(name="one", url="json://example.com/")
        with pytest.raises(Conflict):
            await rt.alert_channels.update(second.id, name="one")
        renamed = await rt.alert_channels.update(second.id, name="two", enabled=False, events=[])
        assert ("two", False, []) == (renamed.name, renamed.enabled, renamed.events)
        assert renamed == await rt.alert_channels.get(second.id)

        await rt.alert_channels.delete(second.id)
        gone = second.id
        channels = rt.alert_channels
        for act in (channels.get(gone), channels.delete(gone), channels.update(gone, enabled=True)):
            with pytest.raises(NotFound):
                await act


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "nosuchservice://example.com"),
        ("url", "slack://incomplete"),
        ("url", ""),
        ("url", 5),
        ("name", ""),
        ("name", None),
        ("events", ["workflow.STARTED"]),
        ("enabled", 1),
    ],
)
async def test_a_field_that_can_never_be_right_is_named(sqlite_url: str, field: str, value: Any) -> None:
    async with Runtime(sqlite_url) as rt:
        with pytest.raises(ValidationFailed) as caught:
            await rt.alert_channels.create(**{"name": "ops", "url": "json://example.com/", field: value})

        assert [field] == caught.value.errors[0]["path"]
        assert [] == (await rt.alert_channels.list()).items
