"""Alert channels and notifications: texts for people through a service of Apprise (here its plain JSON over HTTP)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from receiver import Receiver

import turbine
import turbine.sync
from turbine import Conflict, DeliveryFailed, NotFound, QuietHours, Runtime, ValidationFailed
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


# Quiet hours, and channels for some workflows

BERLIN = "Europe/Berlin"
NIGHT = QuietHours("22:00", "07:00", BERLIN)


@pytest.mark.parametrize(
    ("quiet", "at", "until"),
    [
        (NIGHT, "2026-01-15 21:59", None),
        (NIGHT, "2026-01-15 22:00", "2026-01-16 07:00"),
        (NIGHT, "2026-01-16 06:59", "2026-01-16 07:00"),
        (NIGHT, "2026-01-16 07:00", None),
        # The night in which an hour is skipped is shorter, that in which one comes twice is longer.
        (NIGHT, "2026-03-28 23:00", "2026-03-29 07:00"),
        (NIGHT, "2026-10-24 23:00", "2026-10-25 07:00"),
        # An end that is skipped has come when the clock has passed it.
        (QuietHours("22:00", "02:30", BERLIN), "2026-03-29 01:59", "2026-03-29 03:00"),
        (QuietHours("13:00", "14:00", BERLIN), "2026-01-15 13:30", "2026-01-15 14:00"),
        (QuietHours("13:00", "14:00", BERLIN), "2026-01-15 12:30", None),
        (QuietHours("20:00", "00:00", BERLIN), "2026-01-15 23:59", "2026-01-16 00:00"),
        # Friday evening is Friday's, until Saturday morning.
        (QuietHours("22:00", "07:00", BERLIN, ("fri",)), "2026-01-17 06:00", "2026-01-17 07:00"),
        (QuietHours("22:00", "07:00", BERLIN, ("fri",)), "2026-01-17 22:30", None),
        # A whole weekend is two days, and a night behind it goes on.
        (QuietHours("00:00", "00:00", BERLIN, ("sat", "sun")), "2026-01-17 12:00", "2026-01-19 00:00"),
        (QuietHours("18:00", "18:00", BERLIN, ("fri", "sat")), "2026-01-16 18:00", "2026-01-18 18:00"),
    ],
    ids=str,
)
def test_quiet_hours_go_by_the_clock_on_the_wall(quiet: QuietHours, at: str, until: str | None) -> None:
    zone = ZoneInfo(BERLIN)
    expected = None if until is None else datetime.fromisoformat(until).replace(tzinfo=zone).astimezone(UTC)
    assert expected == quiet.until(datetime.fromisoformat(at).replace(tzinfo=zone))


def test_an_hour_that_comes_twice_is_quiet_as_often_as_the_clock_shows_it() -> None:
    quiet = QuietHours("02:00", "02:30", BERLIN)
    first = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)
    assert [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)] == [
        quiet.until(first),
        quiet.until(first + timedelta(hours=1)),
    ]
    assert quiet.until(first + timedelta(minutes=30)) is None


async def test_in_quiet_hours_alerts_wait_through_restarts_and_urgent_ones_and_those_by_hand_do_not(
    database_url: str, receiver: Receiver
) -> None:
    evening = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # 23:30 in Berlin, in the night of the change
    url = receiver.url("/", scheme="json")
    async with World(database_url, workflows=WORKFLOWS, start=evening) as world:
        rt = world.runtime
        quiet = QuietHours("22:00", "07:00", BERLIN, urgent=("workflow.ERROR",))
        channel = await rt.alert_channels.create(name="ops", url=url, events=["workflow.*"], quiet=quiet)
        await rt.run(greet.options(id="greet-1"), "Ada")
        await rt.run(fail.options(id="fail-1"))
        await world.settle()
        await rt.send_notification("ops", "by hand")
        await rt.alert_channels.test(channel.id)

        said = sorted(texts(receiver))
        assert ["[Turbine] This", "[Turbine] Workflow fail", "by hand"] == [
            text[: len(start)]
            for text, start in zip(said, ["[Turbine] This", "[Turbine] Workflow fail", "by hand"], strict=True)
        ]
        (waiting,) = (await rt.deliveries.list(status="pending")).items
        assert (datetime(2026, 3, 29, 5, tzinfo=UTC), []) == (waiting.next_at, waiting.attempts)

        await world.crash()
        await world.restart()
        await world.advance(hours=6, minutes=29)
        assert 3 == len(receiver.requests)
        await world.advance(minutes=1)
        assert "[Turbine] Workflow greet (greet-1) completed successfully" == texts(receiver)[-1]
        again = await world.runtime.deliveries.get(waiting.id)
        assert ("delivered", 1) == (again.status, len(again.attempts))


async def test_what_waits_goes_by_quiet_hours_that_are_changed_meanwhile_and_what_is_sent_again_does_not_wait(
    database_url: str, receiver: Receiver
) -> None:
    night = datetime(2026, 1, 15, 23, tzinfo=UTC)
    url = receiver.url("/", scheme="json")
    async with World(database_url, workflows=WORKFLOWS, start=night) as world:
        channels = world.runtime.alert_channels
        channel = await channels.create(name="ops", url=url, events=["workflow.*"], quiet=NIGHT)
        await world.runtime.run(greet, "Ada")
        await world.settle()
        shorter = await channels.update(channel.id, quiet=QuietHours("22:00", "01:00", BERLIN))
        await world.settle()
        (waiting,) = (await world.runtime.deliveries.list()).items
        assert (datetime(2026, 1, 16, tzinfo=UTC), 0) == (waiting.next_at, len(receiver.requests))

        none = await channels.update(channel.id, quiet=None)
        await world.settle()
        assert ("01:00", None, 1) == (shorter.quiet and shorter.quiet.end, none.quiet, len(receiver.requests))

        await channels.update(channel.id, quiet=NIGHT)
        await world.runtime.deliveries.resend(waiting.id)
        await world.settle()
        assert 2 == len(receiver.requests)


async def test_a_channel_may_hear_of_some_workflows_only(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    for path, names in {
        "/all": [],
        "/greet": ["greet"],
        "/f": ["x", "f*"],
        "/odd": ["gre_t", "gre?t", "[g]reet"],
    }.items():
        url = receiver.url(path, scheme="json")
        made = await rt.alert_channels.create(name=path, url=url, events=["workflow.*"], workflows=names)
        assert names == made.workflows
    await rt.run(greet, "Ada")
    await rt.run(fail)
    await world.settle()

    assert ["/all", "/all", "/f", "/greet"] == sorted(request.path for request in receiver.requests)
    assert [] == (await rt.alert_channels.update(made.id, workflows=[])).workflows


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
    assert ["turbine.send_notification", "turbine.recv"] == [step.function_name for step in steps]
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
        ("workflows", "billing"),
        ("workflows", [""]),
        ("workflows", ["x"] * 201),
        ("quiet", "22:00"),
        ("quiet.start", QuietHours("22", "07:00", BERLIN)),
        ("quiet.start", QuietHours("22:00:30", "07:00", BERLIN)),
        ("quiet.end", QuietHours("22:00", "24:00", BERLIN)),
        ("quiet.timezone", QuietHours("22:00", "07:00", "Mars/Olympus")),
        ("quiet.weekdays", QuietHours("22:00", "07:00", BERLIN, ("friday",))),
        ("quiet.weekdays", QuietHours("22:00", "07:00", BERLIN, "fri")),
        ("quiet.weekdays", QuietHours("00:00", "00:00", BERLIN)),
        ("quiet.weekdays", QuietHours("00:00", "00:00", BERLIN, ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))),
        ("quiet.urgent", QuietHours("22:00", "07:00", BERLIN, (), ("workflow.STARTED",))),
    ],
)
async def test_a_field_that_can_never_be_right_is_named(sqlite_url: str, field: str, value: Any) -> None:
    async with Runtime(sqlite_url) as rt:
        with pytest.raises(ValidationFailed) as caught:
            await rt.alert_channels.create(
                **{"name": "ops", "url": "json://example.com/", field.partition(".")[0]: value}
            )

        assert field.split(".") == caught.value.errors[0]["path"]
        assert [] == (await rt.alert_channels.list()).items
