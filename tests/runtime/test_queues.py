"""Queues: who starts when, and what the limits promise."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import RateLimit, Runtime
from turbine.clock import SystemClock
from turbine.tables import queues
from turbine.testing import World

going: list[str] = []
most: dict[str, int] = {}
started: list[tuple[str, float]] = []


@turbine.workflow
async def job(queue: str, number: int, seconds: float = 0.0) -> int:
    started.append((f"{queue}{number}", time.monotonic()))
    going.append(queue)
    most[queue] = max(most.get(queue, 0), going.count(queue))
    await asyncio.sleep(seconds)
    going.remove(queue)
    return number


@turbine.workflow
async def wait_for_go(number: int) -> int:
    await turbine.recv("go")
    return number


class RestlessClock(SystemClock):
    """A millisecond passes between any two looks at it."""

    def __init__(self) -> None:
        self.looks = count()

    def now_ms(self) -> int:
        return super().now_ms() + next(self.looks)


@pytest.fixture(autouse=True)
def forget() -> None:
    going.clear()
    most.clear()
    started.clear()


def runtime(url: str, **config: Any) -> Runtime:
    return Runtime(url, workflows=[job, wait_for_go], **config)


async def test_no_more_runs_hold_a_slot_than_the_queue_allows(database_url):
    rt = runtime(database_url)
    rt.queue("narrow", global_concurrency=2)
    async with rt:
        handles = [await rt.run(job.options(queue="narrow"), "narrow", n, 0.05) for n in range(8)]

        assert list(range(8)) == [await handle.result() for handle in handles]

    assert 2 == most["narrow"]


async def test_runs_of_a_queue_start_in_the_order_in_which_they_came(database_url):
    rt = runtime(database_url)
    rt.queue("line", global_concurrency=1)
    async with rt:
        handles = [await rt.run(job.options(queue="line"), "line", n) for n in range(6)]
        for handle in handles:
            await handle.result()

    assert [f"line{n}" for n in range(6)] == [name for name, _ in started]


async def test_smaller_priority_numbers_come_first(database_url):
    rt = runtime(database_url)
    rt.queue("urgent", priority=True, global_concurrency=1)
    async with rt:
        await rt.pause_queue("urgent")
        handles = [await rt.run(job.options(queue="urgent", priority=9 - n), "urgent", n) for n in range(5)]
        await rt.resume_queue("urgent")
        for handle in handles:
            await handle.result()

    assert ["urgent4", "urgent3", "urgent2", "urgent1", "urgent0"] == [name for name, _ in started]


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(database_url):
    rt = runtime(database_url)
    rt.queue("halted")
    async with rt:
        await rt.pause_queue("halted")
        handle = await rt.run(job.options(queue="halted"), "halted", 1)
        await rt.wait_idle()
        assert "ENQUEUED" == (await handle.status()).status

        await rt.resume_queue("halted")

        assert 1 == await handle.result(timeout=120)


async def test_a_partitioned_queue_carries_out_one_run_of_each_key_at_a_time(database_url):
    rt = runtime(database_url)
    rt.queue("keys", partitioned=True)
    async with rt:
        handles = [
            await rt.run(job.options(queue="keys", partition_key=f"{n % 2}"), f"key{n % 2}", n, 0.01) for n in range(8)
        ]
        for handle in handles:
            await handle.result()

    assert {"key0": 1, "key1": 1} == most


async def test_a_run_without_a_key_is_refused_by_a_partitioned_queue(database_url):
    rt = runtime(database_url)
    rt.queue("keys", partitioned=True)
    async with rt:
        with pytest.raises(ValueError, match="partition_key"):
            await rt.run(job.options(queue="keys"), "keys", 1)
        assert [] == (await rt.list()).items


async def test_no_window_holds_more_starts_than_the_rate_allows(database_url):
    rt = runtime(database_url)
    rt.queue("slow", rate_limit=RateLimit(5, per=timedelta(seconds=0.3)))
    async with rt:
        handles = [await rt.run(job.options(queue="slow"), "slow", n) for n in range(12)]
        for handle in handles:
            await handle.result(timeout=120)

        times = sorted([(await handle.status()).started_at for handle in handles])
    assert all(later - earlier >= timedelta(seconds=0.3) for earlier, later in zip(times, times[5:], strict=False))


async def claimed(rt: Runtime, now_ms: int, rate_ms: int | None = None) -> tuple[int, int | None]:
    """How many a claim gets, and after how long it comes again."""
    claim = await rt._app().store.write(queues.claim, name="slow", names=["job"], now_ms=now_ms, rate_ms=rate_ms)
    return len(claim.runs), None if claim.again_ms is None else claim.again_ms - now_ms


async def test_processes_whose_clocks_differ_keep_one_rate(database_url):
    hour_ms = 3_600_000
    rt = runtime(database_url)
    rt.queue("slow", rate_limit=RateLimit(2, per=timedelta(minutes=1)))
    rt.listen()
    async with rt:
        for n in range(5):
            await rt.run(job.options(queue="slow"), "slow", n)
        now_ms = time.time_ns() // 1_000_000
        first, _ = await claimed(rt, now_ms + hour_ms)
        later = [await claimed(rt, now_ms + shift) for shift in (2 * hour_ms, hour_ms, 30_000)]

    assert 2 == first
    assert [0, 0, 0] == [count for count, _ in later]
    assert all(again_ms is not None and 0 < again_ms <= 60_000 for _, again_ms in later)


async def test_after_a_clock_was_set_back_a_rate_waits_for_one_period_only(database_url):
    rt = runtime(database_url)
    rt.queue("slow", rate_limit=RateLimit(2, per=timedelta(seconds=1)))
    rt.listen()
    async with rt:
        for n in range(5):
            await rt.run(job.options(queue="slow"), "slow", n)
        now_ms = time.time_ns() // 1_000_000 + 1000
        taken = [await claimed(rt, now_ms, now_ms + shift) for shift in (9_000_000, 0, 999, 1000, 1999)]

    assert [2, 0, 0, 2, 0] == [count for count, _ in taken]


async def test_a_deduplication_id_belongs_to_one_unfinished_run_of_its_queue(database_url):
    rt = runtime(database_url)
    rt.queue("once")
    async with rt:
        first = await rt.run(wait_for_go.options(queue="once", deduplication_id="d"), 1)
        with pytest.raises(turbine.Deduplicated) as refused:
            await rt.run(wait_for_go.options(queue="once", deduplication_id="d"), 2)
        assert first.workflow_id == refused.value.workflow_id
        await rt.send(first.workflow_id, None, "go")
        await first.result()

        second = await rt.run(wait_for_go.options(queue="once", deduplication_id="d"), 2)

        await rt.send(second.workflow_id, None, "go")
        assert 2 == await second.result()


async def test_an_unknown_queue_is_refused_and_leaves_no_row(database_url):
    async with runtime(database_url) as rt:
        with pytest.raises(turbine.QueueNotFound):
            await rt.run(job.options(queue="nowhere"), "nowhere", 1)
        with pytest.raises(turbine.QueueNotFound):
            await rt.pause_queue("nowhere")
        assert [] == (await rt.list()).items


async def test_a_process_that_listens_to_no_queue_leaves_its_runs_to_others(database_url):
    deaf = runtime(database_url)
    deaf.queue("shared")
    deaf.listen()
    async with deaf:
        handle = await deaf.run(job.options(queue="shared"), "shared", 1)
        await deaf.wait_idle()
        assert "ENQUEUED" == (await handle.status()).status
        busy = runtime(database_url)
        busy.queue("shared")
        async with busy:
            assert 1 == await handle.result(timeout=120)


async def test_a_parked_run_keeps_its_slot_unless_the_queue_says_otherwise(database_url):
    rt = runtime(database_url, park_after=timedelta(0))
    rt.queue("keeps", global_concurrency=1)
    rt.queue("lends", global_concurrency=1, release_while_waiting=True)
    async with rt:
        keeping = await rt.run(wait_for_go.options(queue="keeps"), 1)
        behind = await rt.run(job.options(queue="keeps"), "keeps", 2)
        lending = await rt.run(wait_for_go.options(queue="lends"), 3)
        passing = await rt.run(job.options(queue="lends"), "lends", 4)

        assert 4 == await passing.result(timeout=120)
        assert "ENQUEUED" == (await behind.status()).status

        for handle in (keeping, lending):
            await rt.send(handle.workflow_id, None, "go")
        assert [1, 2, 3] == [await handle.result(timeout=120) for handle in (keeping, behind, lending)]


@turbine.workflow
async def wait_in_branches(number: int) -> int:
    await turbine.gather(turbine.recv("go"), turbine.recv("on"))
    return number


@turbine.sync.workflow
def wait_in_a_thread(number: int) -> int:
    turbine.sync.recv("go")
    return number


@turbine.sync.workflow
def wait_in_threads(number: int) -> int:
    turbine.sync.gather(lambda: turbine.sync.recv("go"), lambda: turbine.sync.recv("on"))
    return number


@pytest.mark.parametrize(
    "workflow", [wait_for_go, wait_in_branches, wait_in_a_thread, wait_in_threads], ids=lambda workflow: workflow.name
)
async def test_a_queue_that_releases_waiting_slots_does_so_as_soon_as_a_run_waits(database_url, workflow):
    world = World(database_url, workflows=[job, workflow])
    world.runtime.queue("lends", global_concurrency=1, release_while_waiting=True)
    async with world:
        lending = await world.runtime.run(workflow.options(queue="lends"), 1)
        passing = await world.runtime.run(job.options(queue="lends"), "lends", 2)
        await world.advance(seconds=1)
        assert "SUCCESS" == (await passing.status()).status

        for topic in ("go", "on"):
            await world.runtime.send(lending.workflow_id, None, topic)
        await world.settle()
        assert 1 == await lending.result(timeout=120)


@turbine.workflow
async def wait_for_a_moment(number: int) -> int:
    try:
        async with asyncio.timeout(0.2):
            await turbine.recv("never")
    except TimeoutError:
        return number
    return 0


@turbine.workflow
async def wait_beside_a_timer(number: int) -> int:
    waiting = asyncio.create_task(wait_in_a_task())
    await asyncio.sleep(0.2)
    waiting.cancel()
    return number


async def wait_in_a_task() -> None:
    await turbine.recv("never")


@pytest.mark.parametrize("workflow", [wait_for_a_moment, wait_beside_a_timer], ids=lambda workflow: workflow.name)
async def test_a_run_with_a_timer_of_asyncio_stays_in_memory_although_its_queue_releases_slots(database_url, workflow):
    rt = Runtime(database_url, workflows=[workflow])
    rt.queue("lends", release_while_waiting=True)
    async with rt:
        handle = await rt.run(workflow.options(queue="lends"), 1)
        assert 1 == await handle.result(timeout=120)


async def test_a_queue_releases_waiting_slots_at_once_when_it_is_told_to_while_it_runs(database_url):
    world = World(database_url, workflows=[job, wait_for_go])
    world.runtime.queue("lends", global_concurrency=1)
    async with world:
        await world.runtime.set_queue_limits("lends", release_while_waiting=True)
        await world.settle()
        await world.runtime.run(wait_for_go.options(queue="lends"), 1)
        passing = await world.runtime.run(job.options(queue="lends"), "lends", 2)
        await world.advance(seconds=1)
        assert "SUCCESS" == (await passing.status()).status


async def test_a_run_that_pauses_over_the_turn_of_a_millisecond_is_parked_all_the_same(database_url):
    rt = runtime(database_url, park_after=timedelta(0), clock=RestlessClock())
    rt.queue("lends", global_concurrency=1, release_while_waiting=True)
    async with rt:
        lending = await rt.run(wait_for_go.options(queue="lends"), 1)
        passing = await rt.run(job.options(queue="lends"), "lends", 2)
        assert 2 == await passing.result(timeout=120)
        await rt.send(lending.workflow_id, None, "go")
        assert 1 == await lending.result(timeout=120)


async def test_limits_that_were_changed_at_run_time_hold_at_once_and_last(database_url):
    rt = runtime(database_url)
    rt.queue("wide", global_concurrency=5)
    async with rt:
        changed = await rt.set_queue_limits("wide", global_concurrency=1)
        assert 1 == changed.global_concurrency
    again = runtime(database_url)
    again.queue("wide", global_concurrency=5)
    async with again:
        handles = [await again.run(job.options(queue="wide"), "wide", n, 0.01) for n in range(4)]
        for handle in handles:
            await handle.result()

    assert 1 == most["wide"]


async def test_limits_that_can_never_be_right_are_refused(database_url):
    rt = runtime(database_url)
    for limits in ({"global_concurrency": 0}, {"worker_concurrency": -1}, {"batch_max": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            rt.queue("wrong", **limits)
    with pytest.raises(ValueError, match="at least 1"):
        RateLimit(0, per=timedelta(seconds=1))
    rt.queue("right")
    with pytest.raises(turbine.RegistrationConflict):
        rt.queue("right")
    async with rt:
        with pytest.raises(turbine.AlreadyLaunched):
            rt.queue("late")
        with pytest.raises(ValueError, match="at least 1"):
            await rt.set_queue_limits("right", global_concurrency=0)


@turbine.workflow
async def put_children_into(queue: str, key: str | None) -> str:
    try:
        handle = await turbine.run(job.options(queue=queue, partition_key=key), queue, 1)
    except (turbine.QueueNotFound, ValueError) as error:
        return type(error).__name__
    return str(await handle.result())


async def test_a_child_is_put_into_a_queue_under_the_same_rules(database_url):
    rt = Runtime(database_url, workflows=[job, put_children_into])
    rt.queue("plain")
    rt.queue("keys", partitioned=True)
    async with rt:
        asked = [("plain", None), ("keys", "a"), ("keys", None), ("plain", "a"), ("nowhere", None)]
        answers = [await (await rt.run(put_children_into, *one)).result(timeout=120) for one in asked]

    assert ["1", "1", "ValueError", "ValueError", "QueueNotFound"] == answers


async def test_a_remote_workflow_runs_where_its_code_is(database_url):
    here = runtime(database_url)
    here.queue("far")
    async with here, Runtime(database_url) as there:
        remote = turbine.remote("job", result_type=int)

        handle = await there.run(remote.options(queue="far"), "far", 7)

        assert 7 == await handle.result(timeout=120)
        with pytest.raises(ValueError, match="queue"):
            await there.run(remote, "far", 7)
        with pytest.raises(turbine.QueueNotFound):
            await there.run(remote.options(queue="nowhere"), "far", 7)


async def test_explain_names_the_limit_and_who_holds_the_slots(database_url: str) -> None:
    @turbine.workflow
    async def holds() -> None:
        await turbine.recv("end")

    rt = Runtime(database_url, workflows=[holds], shutdown_timeout=0)
    rt.queue("narrow", global_concurrency=1)
    async with rt:
        first = await rt.run(holds.options(queue="narrow"))
        while "PENDING" != (await first.status()).status:  # noqa: ASYNC110 - rows are the only witness
            await asyncio.sleep(0.002)
        second = await rt.run(holds.options(queue="narrow"))
        told = await rt.explain(second.workflow_id)
        assert ("queue", [first.workflow_id]) == (told.reason, told.held_by)
        assert "limit of 1" in told.text
        await rt.pause_queue("narrow")
        assert "paused" in (await rt.explain(second.workflow_id)).text


async def test_explain_names_a_parent_that_waits_for_its_child_in_the_same_full_queue(database_url: str) -> None:
    @turbine.workflow
    async def child() -> None: ...

    @turbine.workflow
    async def parent() -> None:
        handle = await turbine.run(child.options(queue="narrow", id="the-child"))
        await handle.result()

    rt = Runtime(database_url, workflows=[parent, child], shutdown_timeout=0)
    rt.queue("narrow", global_concurrency=1)
    async with rt:
        handle = await rt.run(parent.options(queue="narrow"))
        while "result" != (await rt.explain(handle.workflow_id)).reason:  # noqa: ASYNC110 - rows are the only witness
            await asyncio.sleep(0.002)
        told = await rt.explain("the-child")
        assert [handle.workflow_id] == told.held_by
        assert "neither can go on" in told.text
        await rt.set_queue_limits("narrow", global_concurrency=2)
        await handle.result()


async def test_a_backlog_of_many_batches_starts_without_another_signal(database_url):
    rt = runtime(database_url)
    rt.queue("small", batch_max=3)
    async with rt:
        await rt.pause_queue("small")
        for n in range(10):
            await rt.run(wait_for_go.options(queue="small"), n)  # none of them ends
        await rt.resume_queue("small")

        while (await rt.list(status="ENQUEUED")).items:  # noqa: ASYNC110 - rows are the only witness
            await asyncio.sleep(0.005)
        assert 10 == len((await rt.list(status="PENDING")).items)


async def test_the_rate_counts_starts_whatever_becomes_of_the_runs(database_url):
    world = World(database_url, workflows=[wait_for_go])
    world.runtime.queue("slow", rate_limit=RateLimit(2, per=timedelta(minutes=10)))
    async with world:
        rt = world.runtime
        handles = [await rt.run(wait_for_go.options(id=f"{n}", queue="slow"), n) for n in range(4)]
        await world.settle()
        await rt.cancel("0")
        await world.advance(minutes=9, seconds=59)
        await rt.send("1", None, "go")
        await world.settle()
        assert ["CANCELLED", "SUCCESS", "ENQUEUED", "ENQUEUED"] == [(await one.status()).status for one in handles]

        await world.advance(seconds=1)

        assert ["PENDING", "PENDING"] == [(await one.status()).status for one in handles[2:]]


async def test_a_recovered_run_keeps_its_queue_its_priority_and_its_key(database_url):
    world = World(database_url, workflows=[wait_for_go])
    world.runtime.queue("keys", partitioned=True, priority=True)
    async with world:
        keyed = wait_for_go.options(queue="keys", partition_key="a")
        for n in range(3):
            await world.runtime.run(keyed.options(id=f"{n}", priority=n), n)
            await world.settle()
        for _ in range(2):
            await world.crash()
            await world.restart()
            await world.settle()

            found = [await world.runtime.status(f"{n}") for n in range(3)]
            assert [("keys", "a", n) for n in range(3)] == [
                (one.queue_name, one.queue_partition_key, one.priority) for one in found
            ]
            assert ["PENDING", "ENQUEUED", "ENQUEUED"] == [one.status for one in found]


async def test_a_version_given_to_a_queued_run_stays_when_it_is_claimed(database_url):
    rt = runtime(database_url, application_version="v2")
    rt.queue("line")
    async with rt:
        handle = await rt.run(job.options(queue="line", application_version="v1"), "line", 1)
        assert 1 == await handle.result()
        assert "v1" == (await handle.status()).application_version


@pytest.mark.parametrize("limit", [None, 1])
async def test_idle_is_who_has_carried_out_what_was_enqueued(database_url, limit):
    rt = Runtime(database_url, workflows=[job])
    rt.queue("q", worker_concurrency=limit)
    async with rt:
        for round_ in range(8):
            handles = [await rt.run(job.options(queue="q"), "q", 3 * round_ + number) for number in range(3)]
            await rt.wait_idle()
            assert ["SUCCESS"] * 3 == [(await handle.status()).status for handle in handles]


async def test_keys_that_have_no_slot_to_give_keep_no_other_key_waiting(database_url):
    rt = Runtime(database_url, workflows=[wait_for_go], shutdown_timeout=0)
    rt.queue("q", partitioned=True, batch_max=1)
    async with rt:
        for key in [f"taken {number}" for number in range(12)] * 2:
            await rt.run(wait_for_go.options(queue="q", partition_key=key), 1)

        handle = await rt.run(wait_for_go.options(queue="q", partition_key="free"), 2)
        await rt.send(handle.workflow_id, None, "go")

        assert 2 == await handle.result(timeout=120)
