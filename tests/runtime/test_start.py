"""Starting a run: ids, options, and everything that is refused before a row is written."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

import turbine
from turbine import Deduplicated, NotRegistered, QueueNotFound, WorkflowConflict, WorkflowStatus, WorkflowTimeout

calls: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_called():
    calls.clear()


@turbine.workflow
async def greet(name: str, *, loud: bool = False) -> str:
    calls[name] += 1
    return name.upper() if loud else name


@turbine.workflow
async def dismiss(name: str) -> str:
    return f"bye {name}"


@turbine.workflow
async def wait_for_go() -> str:
    return await turbine.recv("go", type=str)


@turbine.workflow
async def wait_too() -> str:
    return await turbine.recv("go", type=str)


async def test_a_run_without_id_gets_a_fresh_uuid7(launch):
    rt = await launch(greet)

    first, second = await rt.run(greet, "Ada"), await rt.run(greet, "Ada")

    assert 7 == uuid.UUID(first.workflow_id).version
    assert first.workflow_id < second.workflow_id
    assert ["Ada", "Ada"] == [await first.result(), await second.result()]


async def test_positional_and_keyword_arguments_reach_the_body(launch):
    rt = await launch(greet)

    assert "ADA" == await (await rt.run(greet, name="Ada", loud=True)).result()


async def test_a_start_is_committed_when_run_returns(launch):
    here, there = await launch(wait_for_go), await launch()

    handle = await here.run(wait_for_go)

    assert WorkflowStatus.PENDING == (await there.retrieve(handle.workflow_id).status()).status


async def test_a_second_start_with_the_same_id_joins_the_first(launch):
    rt = await launch(greet)

    first = await rt.run(greet.options(id="one"), "Ada")
    assert "Ada" == await first.result()
    second = await rt.run(greet.options(id="one"), "Ada")

    assert ("one", "Ada") == (second.workflow_id, await second.result())
    assert {"Ada": 1} == calls
    assert 1 == (await second.status()).attempts


async def test_joining_a_run_changes_nothing_of_it(launch):
    here, there = await launch(wait_for_go), await launch(wait_for_go)
    handle = await here.run(wait_for_go.options(id="one"))
    await here.wait_idle()
    before = await handle.status()
    await asyncio.sleep(0.005)

    for rt in (there, here):
        await rt.run(wait_for_go.options(id="one"))

    assert before == await handle.status()


async def test_starts_with_one_id_at_the_same_time_make_one_run(launch):
    here, there = await launch(greet), await launch(greet)

    handles = await asyncio.gather(*(rt.run(greet.options(id="one"), "Ada") for rt in (here, there) for _ in range(10)))

    assert ["Ada"] * 20 == [await handle.result() for handle in handles]
    assert {"Ada": 1} == calls


async def test_another_input_under_the_same_id_is_ignored_with_a_warning(launch, caplog):
    rt = await launch(greet)
    await (await rt.run(greet.options(id="one"), "Ada")).result()

    with caplog.at_level(logging.WARNING, "turbine"):
        joined = await rt.run(greet.options(id="one"), "Grace")

    assert "Ada" == await joined.result()
    assert any("one" in record.getMessage() for record in caplog.records)


async def test_the_id_of_another_workflow_is_a_conflict(launch):
    rt = await launch(greet, dismiss)
    await rt.run(greet.options(id="one"), "Ada")

    with pytest.raises(WorkflowConflict) as raised:
        await rt.run(dismiss.options(id="one"), "Ada")

    assert ("one", 1) == (raised.value.workflow_id, raised.value.code)


async def test_options_leave_the_workflow_as_it_was(launch):
    rt = await launch(greet)
    urgent = greet.options(tags=["urgent"])

    tagged = await rt.run(urgent.options(id="one"), "Ada")
    plain = await rt.run(greet, "Ada")

    assert (["urgent"], []) == ((await tagged.status()).tags, (await plain.status()).tags)
    assert "one" != plain.workflow_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": -1},
        {"delay": -1},
        {"delay": timedelta(seconds=-1)},
        {"timeout": -0.5},
        {"timeout": float("nan")},
        {"deadline": datetime(2030, 1, 1)},  # noqa: DTZ001 - whose midnight is that?
        {"id": ""},
        {"id": "a\0b"},
        {"id": "\ud800"},
        {"tags": "urgent"},
        {"deduplication_id": "a\0b"},
    ],
    ids=str,
)
def test_options_that_can_never_be_right_are_a_value_error(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("_", ".").replace("id", "(id|text)")):
        greet.options(**wrong)


async def test_options_that_exclude_each_other_are_refused_and_leave_no_row(launch):
    rt = await launch(greet)

    with pytest.raises(ValueError, match="queue"):
        await rt.run(greet.options(partition_key="berlin"), "Ada")
    with pytest.raises(ValueError, match="partition_key"):
        await rt.run(greet.options(partition_key="berlin", deduplication_id="one"), "Ada")
    with pytest.raises(QueueNotFound):
        await rt.run(greet.options(queue="nobody knows"), "Ada")

    assert [] == (await rt.list()).items


async def test_arguments_that_do_not_fit_are_a_type_error_and_leave_no_row(launch):
    rt = await launch(greet)

    for args, kwargs in [((), {}), (("Ada", "Grace"), {}), (("Ada",), {"name": "Grace"}), (("Ada",), {"quiet": True})]:
        with pytest.raises(TypeError, match="greet"):
            await rt.run(greet, *args, **kwargs)

    assert [] == (await rt.list()).items


async def test_a_workflow_that_is_not_registered_is_refused(launch):
    rt = await launch(greet)

    with pytest.raises(NotRegistered, match="dismiss"):
        await rt.run(dismiss, "Ada")

    assert [] == (await rt.list()).items


async def test_a_deadline_in_the_past_cancels_without_running(launch):
    rt = await launch(greet)

    handle = await rt.run(greet.options(deadline=datetime.now(UTC) - timedelta(seconds=1)), "Ada")

    with pytest.raises(WorkflowTimeout):
        await handle.result()
    status = await handle.status()
    assert (WorkflowStatus.CANCELLED, "timeout") == (status.status, status.reason)
    assert {} == calls


async def test_a_delayed_run_starts_later_and_needs_no_queue(launch):
    rt = await launch(greet)

    handle = await rt.run(greet.options(delay=0.1), "Ada")
    before = await handle.status()

    assert (WorkflowStatus.ENQUEUED, None, 0) == (before.status, before.started_at, before.attempts)
    assert "Ada" == await handle.result()
    after = await handle.status()
    assert after.started_at - after.created_at >= timedelta(seconds=0.1)
    assert 1 == after.attempts


async def test_a_deduplication_id_admits_one_unfinished_run(launch):
    rt = await launch(wait_for_go, wait_too)
    holder = await rt.run(wait_for_go.options(deduplication_id="nightly"))

    with pytest.raises(Deduplicated) as raised:
        await rt.run(wait_for_go.options(deduplication_id="nightly"))
    assert (holder.workflow_id, "nightly", 14) == (
        raised.value.workflow_id,
        raised.value.deduplication_id,
        raised.value.code,
    )
    # Without a queue the scope is the workflow's name.
    await rt.run(wait_too.options(deduplication_id="nightly"))
    assert 2 == len((await rt.list()).items)

    await rt.send(holder.workflow_id, "done", "go")
    await holder.result()
    successor = await rt.run(wait_for_go.options(deduplication_id="nightly"))
    await rt.cancel(successor.workflow_id)
    assert await rt.run(wait_for_go.options(deduplication_id="nightly"))


async def test_a_run_whose_starter_went_away_is_carried_out(launch):
    rt = await launch(greet)

    starting = asyncio.ensure_future(rt.run(greet.options(id="left alone"), "Ada"))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    while not (await rt.list()).items:  # noqa: ASYNC110 - rows are the only witness
        await asyncio.sleep(0.002)

    assert "Ada" == await rt.retrieve("left alone").result(timeout=120)
    assert {"Ada": 1} == calls


async def test_the_holder_of_a_deduplication_id_is_joined_by_its_own_id(launch):
    rt = await launch(wait_for_go)
    same = wait_for_go.options(id="one", deduplication_id="nightly")

    assert (await rt.run(same)).workflow_id == (await rt.run(same)).workflow_id


async def test_a_version_given_to_a_run_is_a_label(launch):
    rt = await launch(greet, application_version="v2")

    handles = [await rt.run(greet, "Ada"), await rt.run(greet.options(application_version="v1"), "Ada")]

    assert ["v2", "v1"] == [(await handle.status()).application_version for handle in handles]
    assert ["Ada", "Ada"] == [await handle.result() for handle in handles]
