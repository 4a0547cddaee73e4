"""Schedules: when runs start by themselves, and that each tick starts one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import (
    Conflict,
    NotFound,
    NotRegistered,
    NotTriggerable,
    Runtime,
    Schedule,
    ValidationFailed,
    WorkflowStatus,
)
from turbine.clock import SystemClock, to_datetime
from turbine.testing import World

START = datetime(2026, 3, 27, 2, 30, tzinfo=UTC)


@turbine.workflow(schedule="0 3 * * *")
async def nightly(tick: datetime) -> str:
    return tick.isoformat()


@turbine.workflow(triggerable=True)
async def report(customer: str, pages: int = 1) -> str:
    return f"{customer} {pages}"


@turbine.workflow(triggerable=True)
async def tell(tick: datetime) -> str:
    return tick.isoformat()


@turbine.workflow(triggerable=True)
async def ping() -> str:
    return "pong"


@turbine.workflow
async def private() -> None: ...


ALL = (nightly, report, tell, ping, private)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Callable[..., Any]]:
    """Makes worlds on the test's own database that begin half an hour before three in the morning."""
    async with AsyncExitStack() as stack:

        async def make(*workflows: Any, **settings: Any) -> World:
            return await stack.enter_async_context(
                World(database_url, **{"start": START, "workflows": workflows or ALL, **settings})
            )

        yield make


async def runs(rt: Runtime, prefix: str = "sched-") -> list[str]:
    page = await rt.list(ascending=True, limit=5000)
    return [run.workflow_id for run in page.items if run.workflow_id.startswith(prefix)]


async def only(rt: Runtime, workflow: str = "nightly") -> turbine.ScheduleRecord:
    (record,) = (await rt.schedules.list(workflow)).items
    return record


async def test_a_declared_schedule_starts_its_workflow_with_the_tick_in_utc(world):
    w = await world()

    await w.advance(hours=25)

    assert ["sched-nightly-2026-03-27T03:00:00Z", "sched-nightly-2026-03-28T03:00:00Z"] == await runs(w.runtime)
    handle = w.runtime.retrieve("sched-nightly-2026-03-27T03:00:00Z")
    assert "2026-03-27T03:00:00+00:00" == await handle.result()


async def test_the_record_of_a_declared_schedule_tells_all(world):
    w = await world()
    await w.advance(hours=1)

    record = await only(w.runtime)

    assert ("nightly", "nightly", f"{__name__}:nightly", "compile", True, None, "0 3 * * *", "UTC", "last") == (
        record.name,
        record.workflow,
        record.workflow_fqn,
        record.type,
        record.enabled,
        record.input,
        record.cron_expression,
        record.timezone,
        record.catch_up,
    )
    assert (datetime(2026, 3, 28, 3, tzinfo=UTC), datetime(2026, 3, 27, 3, tzinfo=UTC)) == (
        record.next_at,
        record.last_at,
    )
    assert ("sched-nightly-2026-03-27T03:00:00Z", None) == (record.last_workflow_id, record.last_error)
    assert ("0 3 * * *",) == tuple(
        one.cron_schedule for one in w.runtime.registered_workflows() if one.name == "nightly"
    )


async def test_a_declared_schedule_can_be_disabled_but_neither_deleted_nor_changed(world):
    w = await world()
    record = await only(w.runtime)

    with pytest.raises(Conflict):
        await w.runtime.schedules.delete(record.id)
    with pytest.raises(Conflict):
        await w.runtime.schedules.update(record.id, cron_expression="@hourly")
    disabled = await w.runtime.schedules.disable(record.id)
    await w.advance(days=3)

    assert (False, None) == (disabled.enabled, disabled.next_at)
    assert [] == await runs(w.runtime)


async def test_ticks_that_come_while_disabled_are_not_missed_ones(world):
    w = await world()
    record = await only(w.runtime)
    await w.runtime.schedules.disable(record.id)
    await w.advance(days=3)

    await w.runtime.schedules.enable(record.id)
    await w.advance(hours=1)

    assert ["sched-nightly-2026-03-30T03:00:00Z"] == await runs(w.runtime)


async def test_a_restart_keeps_what_people_decided_and_takes_over_a_new_text(world, database_url):
    w = await world(ping, workflows=[turbine.workflow(nightly.fn, name="nightly", schedule="@hourly")])
    first = await only(w.runtime)
    await w.runtime.schedules.disable(first.id)
    await w.runtime.shutdown()
    changed = turbine.workflow(nightly.fn, name="nightly", schedule=Schedule.cron("*/30 * * * *", "Europe/Berlin"))

    async with World(database_url, workflows=[changed], start=START) as w:
        record = await only(w.runtime)
        assert (first.id, False, "*/30 * * * *", "Europe/Berlin", None) == (
            record.id,
            record.enabled,
            record.cron_expression,
            record.timezone,
            record.next_at,
        )


async def test_the_record_of_a_schedule_that_code_declares_no_more_goes(world, database_url):
    w = await world(nightly, report)
    await w.runtime.shutdown()

    async with World(database_url, workflows=[turbine.workflow(nightly.fn, name="nightly"), report]) as w:
        assert [] == (await w.runtime.schedules.list()).items


async def test_processes_of_other_workflows_leave_a_declared_schedule_alone(world, database_url):
    w = await world(nightly)
    record = await only(w.runtime)
    await w.runtime.schedules.disable(record.id)
    await w.runtime.shutdown()

    async with World(database_url, workflows=[ping], start=START) as w:
        assert record.id == (await only(w.runtime)).id
        await w.runtime.schedules.delete(record.id)  # nobody declares it now
        assert [] == (await w.runtime.schedules.list()).items


async def test_a_schedule_of_a_user_gives_the_stored_input(world):
    w = await world()
    record = await w.runtime.schedules.create(
        report, Schedule.cron("15 * * * *"), input={"customer": "Ada", "pages": 2}, name="ada"
    )

    await w.advance(hours=2)

    assert ["sched-ada-2026-03-27T03:15:00Z", "sched-ada-2026-03-27T04:15:00Z"] == await runs(w.runtime, "sched-ada-")
    assert "Ada 2" == await w.runtime.retrieve("sched-ada-2026-03-27T03:15:00Z").result()
    assert ("cron", "ada", {"customer": "Ada", "pages": 2}) == (record.type, record.name, record.input)


async def test_without_input_a_workflow_gets_the_tick_or_nothing(world):
    w = await world()
    told = await w.runtime.schedules.create("tell", "@hourly")
    pinged = await w.runtime.schedules.create(f"{__name__}:ping", "@hourly")

    await w.advance(hours=1)

    tick = "2026-03-27T03:00:00Z"
    assert "2026-03-27T03:00:00+00:00" == await w.runtime.retrieve(f"sched-{told.id}-{tick}").result()
    assert "pong" == await w.runtime.retrieve(f"sched-{pinged.id}-{tick}").result()


@pytest.mark.parametrize(
    ("workflow", "given", "error"),
    [
        ("unknown", None, NotRegistered),
        (private, None, NotTriggerable),
        (report, None, ValidationFailed),
        (report, {"customer": 3}, ValidationFailed),
        (ping, {"x": 1}, ValidationFailed),
        (tell, "not a time", ValidationFailed),
    ],
)
async def test_a_schedule_that_could_not_start_a_run_is_refused_when_it_is_saved(world, workflow, given, error):
    w = await world()

    with pytest.raises(error):
        await w.runtime.schedules.create(workflow, "@daily", input=given)

    assert ["nightly"] == [one.name for one in (await w.runtime.schedules.list()).items]


async def test_a_name_belongs_to_one_schedule(world):
    w = await world()
    other = await w.runtime.schedules.create(ping, "@daily")

    for name in ("nightly", other.name):
        with pytest.raises(Conflict):
            await w.runtime.schedules.create(ping, "@daily", name=name)
    with pytest.raises(Conflict):
        await w.runtime.schedules.update(other.id, name="nightly")


async def test_once_starts_one_run_and_stays_as_a_record(world):
    w = await world()
    at = START + timedelta(minutes=10)
    record = await w.runtime.schedules.create(ping, Schedule.once(at), name="later")

    await w.advance(minutes=9)
    assert [] == await runs(w.runtime)
    await w.advance(days=1, hours=-1)

    done = await w.runtime.schedules.get(record.id)
    assert ["sched-later-2026-03-27T02:40:00Z"] == await runs(w.runtime, "sched-later")
    assert ("once", at, False, None, at) == (done.type, done.scheduled_at, done.enabled, done.next_at, done.last_at)
    with pytest.raises(Conflict):
        await w.runtime.schedules.enable(record.id)
    await w.runtime.schedules.update(record.id, scheduled_at=w.now + timedelta(minutes=1), enabled=True)
    await w.advance(minutes=2)
    assert 2 == len(await runs(w.runtime, "sched-later"))


async def test_once_in_the_past_fires_at_once_also_after_a_restart(world):
    w = await world()
    await w.runtime.schedules.create(ping, Schedule.once(START - timedelta(days=1)), name="past")
    await w.runtime.schedules.create(ping, Schedule.once(START + timedelta(hours=1)), name="down")
    await w.settle()

    assert ["sched-past-2026-03-26T02:30:00Z"] == await runs(w.runtime)
    await w.runtime.shutdown()
    w.clock.move_to(w.clock.now_ms() + 7_200_000)
    await w.restart()
    await w.settle()
    assert ["sched-down-2026-03-27T03:30:00Z"] == await runs(w.runtime, "sched-down")


@pytest.mark.parametrize(("catch_up", "made_up"), [("last", 1), ("none", 0), ("all", 10)])
async def test_ticks_while_everything_was_down_are_made_up_as_the_schedule_says(world, catch_up: str, made_up: int):
    w = await world()
    await w.runtime.schedules.create(ping, Schedule.cron("@hourly", catch_up=catch_up), name="p")
    await w.crash()
    w.clock.move_to(w.clock.now_ms() + 10 * 3_600_000)

    await w.restart()
    await w.settle()
    await w.advance(seconds=2)

    assert [f"sched-p-2026-03-27T{hour:02}:00:00Z" for hour in range(13 - made_up, 13)] == await runs(
        w.runtime, "sched-p-"
    )
    await w.advance(hours=1)
    assert made_up + 1 == len(await runs(w.runtime, "sched-p-"))


async def test_all_makes_up_the_newest_thousand(world):
    w = await world()
    await w.runtime.schedules.create(ping, Schedule.cron("* * * * *", catch_up="all"), name="p")
    await w.crash()
    w.clock.move_to(w.clock.now_ms() + 2 * 24 * 3_600_000)

    await w.restart()
    await w.settle()

    found = await runs(w.runtime, "sched-p-")
    assert (1000, "sched-p-2026-03-29T02:30:00Z") == (len(found), max(found))


async def test_a_clock_that_jumps_while_a_process_is_there_loses_no_tick(world):
    w = await world()
    await w.runtime.schedules.create(ping, Schedule.cron("* * * * *", catch_up="none"), name="p")
    await w.settle()

    w.clock.move_to(w.clock.now_ms() + 40 * 3_600_000)
    await w.settle()

    found = await runs(w.runtime, "sched-p-")
    assert (2400, 2400) == (len(found), len(set(found)))


async def test_jitter_delays_the_run_and_keeps_the_tick(world):
    w = await world()
    await w.runtime.schedules.create(ping, Schedule.cron("@hourly", jitter=timedelta(minutes=50)), name="p")

    w.clock.move_to(w.clock.now_ms() + 24 * 3_600_000 + 1_800_000)
    await w.settle()
    waiting = await w.runtime.list(status=WorkflowStatus.ENQUEUED)
    await w.advance(minutes=50)

    assert 10 < len([run for run in waiting.items if run.workflow_id.startswith("sched-p-")]) <= 25
    started = [await w.runtime.status(id) for id in await runs(w.runtime, "sched-p-")]
    assert 25 == len(started)
    assert all(run.status == "SUCCESS" for run in started)
    assert all(run.started_at - run.created_at < timedelta(minutes=50) for run in started)


async def jittering(w: World, **fields: Any) -> turbine.ScheduleRecord:
    """A schedule of every minute whose jitter is an hour, and ten ticks that wait it out."""
    cron = Schedule.cron("* * * * *", jitter=timedelta(hours=1))
    record = await w.runtime.schedules.create(ping, cron, name="p", **fields)
    await w.advance(minutes=10, seconds=30)
    return record


async def ends(rt: Runtime) -> list[tuple[str, str | None, bool]]:
    """Of the runs of that schedule: their statuses, why they were cancelled, and whether they began."""
    found = await rt.list(ascending=True, limit=500, ids=await runs(rt, "sched-p-"))
    return [(run.status, run.reason, run.started_at is not None) for run in found.items]


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each jitter is half of what it may be."""
    monkeypatch.setattr("random.Random.random", lambda _: 0.5)


@pytest.mark.parametrize(
    ("call_back", "reason"),
    [
        (lambda s, id: s.disable(id), "its schedule was disabled"),
        (lambda s, id: s.update(id, enabled=False), "its schedule was disabled"),
        (lambda s, id: s.delete(id), "its schedule was deleted"),
        (lambda s, id: s.update(id, cron_expression="0 0 1 1 *"), "its schedule was changed"),
        (lambda s, id: s.update(id, timezone="Asia/Kolkata"), "its schedule was changed"),
        (lambda s, id: s.update(id, scheduled_at=START + timedelta(days=400)), "its schedule was changed"),
        (lambda s, id: s.update(id, workflow="tell"), "its schedule was changed"),
    ],
    ids=["disable", "update enabled", "delete", "update cron", "update zone", "update to a single time", "update what"],
)
async def test_no_tick_that_waits_out_its_jitter_starts_after_its_schedule_was_called_back(
    world, half, call_back, reason
):
    w = await world()
    record = await jittering(w)
    await w.runtime.schedules.update(record.id, name="renamed")
    await call_back(w.runtime.schedules, record.id)
    waiting = await ends(w.runtime)
    await w.advance(hours=2)
    assert [("CANCELLED", reason, False)] * 10 == waiting
    assert waiting == await ends(w.runtime)


async def test_a_change_of_what_runs_get_leaves_those_of_earlier_ticks_as_they_are(world, half):
    w = await world()
    record = await jittering(w)
    await w.runtime.schedules.update(record.id, jitter=0, catch_up="none", overlap="skip")
    await w.advance(hours=2)
    assert {("SUCCESS", None, True)} == set(await ends(w.runtime))


async def test_a_schedule_that_was_disabled_and_enabled_again_neither_doubles_nor_loses_a_tick(world, half):
    w = await world()
    record = await jittering(w)
    disabled = w.now
    await w.runtime.schedules.disable(record.id)
    await w.advance(minutes=5)
    enabled = w.now
    await w.runtime.schedules.enable(record.id)
    await w.advance(minutes=10)
    await w.runtime.schedules.update(record.id, jitter=0)
    await w.advance(hours=1)

    found = await w.runtime.list(ascending=True, limit=500, ids=await runs(w.runtime, "sched-p-"))
    ticks = {run.workflow_id.removeprefix("sched-p-"): str(run.status) for run in found.items}
    minutes = [START + timedelta(minutes=minute) for minute in range(1, 60 + 25)]
    expected = {
        f"{minute:%Y-%m-%dT%H:%M:%SZ}": "CANCELLED" if minute < disabled else "SUCCESS"
        for minute in minutes
        if not disabled < minute < enabled
    }
    assert expected == {tick: status for tick, status in ticks.items() if tick in expected}
    assert len(found.items) == len(ticks)
    assert not [tick for tick in ticks if f"{disabled:%Y-%m-%dT%H:%M:%SZ}" < tick < f"{enabled:%Y-%m-%dT%H:%M:%SZ}"]


async def test_a_tick_in_its_queue_is_the_queues_and_one_that_waits_out_its_jitter_is_not(world, half, database_url):
    @turbine.workflow(name="queued", queue="mail", triggerable=True)
    async def queued() -> None: ...

    w = World(database_url, start=START, workflows=[queued])
    w.runtime.queue("mail")
    async with w:
        await w.runtime.pause_queue("mail")
        cron = Schedule.cron("* * * * *", jitter=timedelta(minutes=10))
        record = await w.runtime.schedules.create(queued, cron, name="p")
        await w.advance(minutes=10, seconds=30)
        await w.runtime.schedules.disable(record.id)
        assert 5 * [("ENQUEUED", None, False)] + 5 * [("CANCELLED", "its schedule was disabled", False)] == await ends(
            w.runtime
        )
        await w.runtime.resume_queue("mail")
        await w.advance(hours=1)
        assert 5 == [status for status, _, _ in await ends(w.runtime)].count("SUCCESS")


async def test_a_refused_deletion_calls_no_tick_back(world, half):
    @turbine.workflow(name="p", schedule=Schedule.cron("* * * * *", jitter=timedelta(hours=1)))
    async def declared(tick: datetime) -> None: ...

    w = await world(declared)
    await w.advance(minutes=5, seconds=30)
    with pytest.raises(Conflict):
        await w.runtime.schedules.delete((await only(w.runtime, "p")).id)
    assert 5 * [("ENQUEUED", None, False)] == await ends(w.runtime)


@pytest.mark.parametrize("times", ["0 0 1 1 *", None], ids=["other times", "no schedule any more"])
async def test_ticks_that_wait_out_their_jitter_are_called_back_when_the_code_says_otherwise(
    world, half, database_url, times
):
    async def declared(tick: datetime) -> None: ...

    @turbine.workflow
    async def other() -> None: ...

    def version(schedule: Schedule | None) -> Any:
        return turbine.workflow(declared, name="p", schedule=schedule)

    jitter = timedelta(hours=1)
    async with World(database_url, start=START, workflows=[version(Schedule.cron("* * * * *", jitter=jitter))]) as w:
        await w.advance(minutes=5, seconds=30)
        later = w.now
        await w.restart()
        assert 5 * [("ENQUEUED", None, False)] == await ends(w.runtime), "the same code calls nothing back"
    changed = version(None if times is None else Schedule.cron(times, jitter=jitter))
    async with World(database_url, start=later, workflows=[changed, other]) as w:
        await w.advance(hours=3)
        assert {("CANCELLED", False)} == {(status, began) for status, _, began in await ends(w.runtime)}


class SetClock(SystemClock):
    """The machine's clock, which somebody sets."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.mark.parametrize(("catch_up", "made_up"), [("last", 1), ("none", 0), ("all", 60)])
async def test_ticks_in_which_no_process_looked_are_made_up_as_the_schedule_says(database_url, catch_up, made_up):
    clock = SetClock()
    async with Runtime(database_url, workflows=[ping], clock=clock) as rt:
        clock.ahead_ms -= clock.now_ms() % 3_600_000 - 1_800_000  # half an hour to the next tick
        record = await rt.schedules.create(ping, Schedule.cron("0 * * * *", catch_up=catch_up), name="p")
        await rt.wait_idle()
        clock.ahead_ms += 60 * 3_600_000
        absent_until = to_datetime(clock.now_ms())
        while (await rt.schedules.get(record.id)).next_at < absent_until:  # noqa: ASYNC110 - it looks by itself
            await asyncio.sleep(0.02)
        found = await runs(rt, "sched-p-")
        assert made_up == len(found)
        newest = absent_until.replace(minute=0, second=0, microsecond=0)
        assert found[-1:] == ([f"sched-p-{newest:%Y-%m-%dT%H:%M:%SZ}"] if made_up else [])


async def test_a_start_that_fails_is_shown_and_the_schedule_goes_on(world, database_url):
    w = await world()
    record = await w.runtime.schedules.create(report, "@hourly", input={"customer": "Ada"}, name="r")
    await w.runtime.shutdown()

    async def other(client: str) -> None: ...

    async with World(
        database_url, workflows=[turbine.workflow(other, name="report", triggerable=True)], start=START
    ) as w:
        await w.advance(hours=2)
        failed = await w.runtime.schedules.get(record.id)
        assert "ValidationFailed" in (failed.last_error or "")
        assert (True, datetime(2026, 3, 27, 5, tzinfo=UTC), None) == (
            failed.enabled,
            failed.next_at,
            failed.last_workflow_id,
        )
        await w.runtime.schedules.update(record.id, input={"client": "Ada"})
        await w.advance(hours=1)
        mended = await w.runtime.schedules.get(record.id)
    assert (None, "sched-r-2026-03-27T05:00:00Z") == (mended.last_error, mended.last_workflow_id)


async def test_a_single_start_that_fails_is_kept_until_it_is_mended(world, database_url):
    w = await world()
    at = START + timedelta(minutes=10)
    record = await w.runtime.schedules.create(report, Schedule.once(at), input={"customer": "Ada"}, name="r")
    await w.runtime.shutdown()

    async def other(client: str) -> None: ...

    async with World(
        database_url, workflows=[turbine.workflow(other, name="report", triggerable=True)], start=START
    ) as w:
        await w.advance(minutes=20)
        failed = await w.runtime.schedules.get(record.id)
        assert ("once", at, None) == (failed.type, failed.scheduled_at, failed.last_workflow_id)
        assert "ValidationFailed" in (failed.last_error or "")
        await w.runtime.schedules.update(record.id, input={"client": "Ada"}, enabled=True)
        await w.advance(minutes=1)
        mended = await w.runtime.schedules.get(record.id)
    assert (None, "sched-r-2026-03-27T02:40:00Z") == (mended.last_error, mended.last_workflow_id)


async def test_a_run_of_another_workflow_under_the_id_of_a_tick_is_shown_as_the_error(world):
    w = await world()
    await w.runtime.run(ping.options(id="sched-nightly-2026-03-27T03:00:00Z"))

    await w.advance(hours=1)

    assert "WorkflowConflict" in ((await only(w.runtime)).last_error or "")


async def test_a_scheduled_workflow_with_a_queue_goes_through_it(database_url):
    queued = turbine.workflow(ping.fn, name="queued", triggerable=True, queue="line")
    w = World(database_url, workflows=[queued], start=START)
    w.runtime.queue("line")
    async with w:
        record = await w.runtime.schedules.create(queued, "@hourly")
        await w.advance(hours=1)
        (id_,) = await runs(w.runtime)
        assert ("line", "SUCCESS") == ((await w.runtime.status(id_)).queue_name, (await w.runtime.status(id_)).status)
        assert id_ == (await w.runtime.schedules.get(record.id)).last_workflow_id


async def test_run_now_starts_a_run_of_its_own_and_changes_nothing(world):
    w = await world()
    record = await w.runtime.schedules.create(report, "@hourly", input={"customer": "Ada"}, enabled=False)
    declared = await only(w.runtime)

    assert "Ada 1" == await w.runtime.retrieve(await w.runtime.schedules.run_now(record.id)).result()
    assert w.now.isoformat(timespec="seconds") == (
        await w.runtime.retrieve(await w.runtime.schedules.run_now(declared.id)).result()
    )
    assert (record, declared) == (await w.runtime.schedules.get(record.id), await w.runtime.schedules.get(declared.id))


async def test_a_backfill_starts_each_tick_of_the_past_once_and_none_of_the_future(world):
    w = await world()
    record = await w.runtime.schedules.create(tell, "0 * * * *", name="hours")
    await w.advance(hours=2)
    missed = {"start": START - timedelta(hours=3), "end": START + timedelta(days=1)}

    looked = await w.runtime.schedules.backfill(record.id, **missed, dry_run=True)
    there = await runs(w.runtime, "sched-hours")
    done = await w.runtime.schedules.backfill(record.id, **missed)
    again = await w.runtime.schedules.backfill(record.id, **missed)

    ids = [f"sched-hours-2026-03-27T0{hour}:00:00Z" for hour in range(5)]
    assert (5, ids[:3], ids[3:], {}) == (len(looked.ticks), looked.started, looked.existing, looked.failed)
    assert ids[3:] == there
    assert looked == done
    assert ([], ids) == (again.started, again.existing)
    assert "2026-03-27T01:00:00+00:00" == await w.runtime.retrieve(ids[1]).result()


async def test_a_backfill_is_of_a_bearable_span_and_tells_what_could_not_start(world):
    w = await world()
    record = await w.runtime.schedules.create(ping, "0 * * * *", name="hours")
    await w.runtime.run(private.options(id="sched-hours-2026-03-27T01:00:00Z"))

    found = await w.runtime.schedules.backfill(record.id, START - timedelta(hours=2), START)
    with pytest.raises(ValidationFailed, match="1000 ticks"):
        await w.runtime.schedules.backfill(record.id, START - timedelta(days=60), START, dry_run=True)
    with pytest.raises(ValueError, match="zone"):
        await w.runtime.schedules.backfill(record.id, START.replace(tzinfo=None), START)
    with pytest.raises(NotFound):
        await w.runtime.schedules.backfill("none", START, START)

    assert ["sched-hours-2026-03-27T02:00:00Z"] == found.started
    assert ["sched-hours-2026-03-27T01:00:00Z"] == found.existing


async def test_a_tick_is_skipped_while_the_run_before_is_not_over(world):
    @turbine.workflow(triggerable=True)
    async def slow() -> None:
        await turbine.sleep(timedelta(minutes=90))

    w = await world(slow)
    record = await w.runtime.schedules.create(slow, Schedule.cron("0 * * * *", overlap="skip"), name="slow")

    await w.advance(hours=2)
    skipped = await w.runtime.schedules.get(record.id)
    await w.advance(hours=1)

    assert "skipped: the previous run, sched-slow-2026-03-27T03:00:00Z, had not ended" == skipped.last_error
    assert ["sched-slow-2026-03-27T03:00:00Z", "sched-slow-2026-03-27T05:00:00Z"] == await runs(w.runtime)
    changed = await w.runtime.schedules.update(record.id, overlap="start")
    assert ("start", None) == (changed.overlap, changed.last_error)
    with pytest.raises(ValidationFailed, match="overlap"):
        Schedule.cron("0 * * * *", overlap="kill")


async def test_a_schedule_remembers_why_it_was_disabled_until_it_goes_on(world):
    w = await world()
    record = await only(w.runtime)

    off = await w.runtime.schedules.disable(record.id, "the bank is closed")
    on = await w.runtime.schedules.enable(record.id)

    assert ("the bank is closed", None) == (off.reason, on.reason)


async def test_an_update_counts_from_now(world):
    w = await world()
    record = await w.runtime.schedules.create(tell, "@hourly", name="p")

    changed = await w.runtime.schedules.update(record.id, cron_expression="45 * * * *", name="q", jitter=0)
    await w.advance(minutes=40)

    assert (datetime(2026, 3, 27, 2, 45, tzinfo=UTC), "45 * * * *") == (changed.next_at, changed.cron_expression)
    assert changed.updated > record.updated
    assert ["sched-q-2026-03-27T02:45:00Z"] == [one for one in await runs(w.runtime) if "nightly" not in one]
    once = await w.runtime.schedules.update(record.id, schedule=Schedule.once(w.now + timedelta(hours=9)))
    assert ("once", None, None) == (once.type, once.cron_expression, once.timezone)
    moved = await w.runtime.schedules.update(record.id, workflow_fqn=f"{__name__}:report", input={"customer": "A"})
    assert ("report", {"customer": "A"}, once.next_at) == (moved.workflow, moved.input, moved.next_at)
    with pytest.raises(ValidationFailed):
        await w.runtime.schedules.update(record.id, input=7)


async def test_preview_tells_the_next_ticks_of_a_record_or_of_a_wish(world):
    w = await world()
    record = await w.runtime.schedules.create(tell, Schedule.cron("30 2 * * *", "Europe/Berlin"), enabled=False)

    expected = [datetime(2026, 3, day, hour, minute, tzinfo=UTC) for day, hour, minute in [(28, 1, 30), (29, 1, 0)]]
    assert [*expected, datetime(2026, 3, 30, 0, 30, tzinfo=UTC)] == await w.runtime.schedules.preview(record.id, 3)
    assert expected[:1] == await w.runtime.schedules.preview(
        Schedule.cron("30 1 * * *"), 1, after=expected[0] - timedelta(1)
    )
    assert [] == await w.runtime.schedules.preview(Schedule.once(START - timedelta(hours=1)))
    assert [START + timedelta(hours=1)] == await w.runtime.schedules.preview(Schedule.once(START + timedelta(hours=1)))
    assert 10 == len(await w.runtime.schedules.preview(Schedule.cron("@daily")))
    with pytest.raises(ValueError, match="time zone"):
        await w.runtime.schedules.preview(record.id, after=START.replace(tzinfo=None))


async def test_an_unknown_id_is_not_found(world):
    w = await world()
    schedules = w.runtime.schedules

    for ask in (schedules.get, schedules.delete, schedules.enable, schedules.disable, schedules.run_now):
        with pytest.raises(NotFound) as caught:
            await ask("nobody")
        assert ("schedule", "nobody") == (caught.value.kind, caught.value.id)
    with pytest.raises(NotFound):
        await schedules.preview("nobody")


async def test_schedules_are_listed_by_pages_and_filters(world):
    w = await world()
    made = [await w.runtime.schedules.create(ping, "@daily", name=f"p{n}", enabled=n != 1) for n in range(3)]
    await w.runtime.schedules.create(tell, Schedule.once(START + timedelta(days=1)))

    first = await w.runtime.schedules.list("ping", limit=2)
    rest = await w.runtime.schedules.list("ping", limit=2, cursor=first.next_cursor)

    assert [made[2], made[1], made[0]] == [*first.items, *rest.items]
    assert rest.next_cursor is None
    assert [made[1]] == (await w.runtime.schedules.list(enabled=False)).items
    assert {"once": 1, "compile": 1, "cron": 3} == {
        kind: len((await w.runtime.schedules.list(type=kind)).items) for kind in ("once", "compile", "cron")
    }


async def test_a_schedule_made_in_one_process_fires_in_the_one_that_has_the_code(launch):
    await launch(ping)
    here = await launch()

    await here.schedules.create("ping", Schedule.once(datetime.now(UTC)), name="p")
    while not (found := await runs(here)):  # noqa: ASYNC110 - another process acts, rows are the only witnesses
        await asyncio.sleep(0.01)

    assert "pong" == await here.retrieve(found[0]).result(timeout=120)


async def test_a_runtime_that_drains_fires_nothing(world):
    started, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        started.set()
        await release.wait()

    held = turbine.workflow(hold, name="hold")
    w = await world(ping, held, shutdown_timeout=20)
    await w.runtime.schedules.create(ping, Schedule.cron("@hourly", catch_up="none"), name="p")
    await w.runtime.run(held)
    await started.wait()
    stopping = asyncio.create_task(w.runtime.shutdown())
    await asyncio.sleep(0)

    w.clock.move_to(w.clock.now_ms() + 3_600_000)
    await asyncio.sleep(0.1)  # time to do what must not be done
    assert w.runtime.is_draining
    release.set()
    await stopping

    await w.restart()
    assert [] == await runs(w.runtime)


@pytest.mark.parametrize("text", ["every day", "61 * * * *", Schedule.once(START), 5])
def test_a_schedule_that_cannot_be_read_is_refused_at_its_declaration(text: Any):
    with pytest.raises(ValidationFailed):
        turbine.workflow(nightly.fn, name="other", schedule=text)


def test_a_scheduled_workflow_must_take_one_point_in_time():
    async def none() -> None: ...
    async def two(tick: datetime, more: int = 1) -> None: ...
    async def number(tick: int) -> None: ...
    async def untyped(tick) -> None: ...

    for fn in (none, two, number, untyped):
        with pytest.raises(TypeError, match="datetime"):
            Runtime("sqlite://:memory:", workflows=[turbine.workflow(fn, schedule="@daily")])


@pytest.mark.parametrize("wrong", [{"gc_schedule": "often"}, {"timezone": "Mars/Olympus"}], ids=str)
def test_settings_of_time_are_checked_at_construction(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Runtime("sqlite://:memory:", **wrong)


async def test_the_time_zone_of_the_runtime_is_that_of_schedules_without_one(world):
    w = await world(timezone="Asia/Tokyo")
    record = await only(w.runtime)

    assert ("Asia/Tokyo", datetime(2026, 3, 27, 18, tzinfo=UTC)) == (record.timezone, record.next_at)


async def test_garbage_is_collected_by_its_schedule_also_when_its_hour_was_missed(world):
    w = await world(ping, gc_retention=timedelta(hours=1), gc_schedule="0 4 * * *")
    await w.runtime.run(ping.options(id="first"))
    await w.advance(hours=1)
    assert 1 == len((await w.runtime.list()).items)
    await w.advance(hours=1)
    assert [] == (await w.runtime.list()).items
    await w.runtime.run(ping.options(id="second"))
    await w.settle()
    await w.crash()
    w.clock.move_to(w.clock.now_ms() + 30 * 3_600_000)

    await w.restart()
    await w.settle()

    assert [] == (await w.runtime.list()).items


async def test_without_retention_nothing_is_collected(world):
    w = await world(ping, gc_retention=None)
    await w.runtime.run(ping)

    await w.advance(days=30)

    assert 1 == len((await w.runtime.list()).items)


def test_blocking_code_schedules_too(database_url):
    with turbine.sync.Runtime(database_url, workflows=ALL) as rt:
        record = rt.schedules.create(ping, turbine.sync.Schedule.once(datetime.now(UTC)), name="p")
        assert record.id == rt.schedules.get(record.id).id
        assert "pong" == rt.retrieve(rt.schedules.run_now(record.id)).result()
        assert 2 == len(rt.schedules.list().items)
        assert 1 == len(rt.schedules.preview(Schedule.cron("@daily"), 1))
        daily = rt.schedules.create(ping, "@daily")
        assert rt.schedules.disable(daily.id).next_at is None
        assert rt.schedules.enable(daily.id).next_at is not None
        assert "0 0 * * 1" == rt.schedules.update(daily.id, cron_expression="0 0 * * 1").cron_expression
        rt.schedules.delete(daily.id)
