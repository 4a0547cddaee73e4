"""A runtime's own life: settings, registration, launch, and what it refuses before and after."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

import turbine
import turbine.sync
from turbine import AlreadyLaunched, Config, NotInWorkflow, RegistrationConflict, Runtime, ShuttingDown, WorkflowStatus


@turbine.workflow(tags=["letters"], triggerable=True)
async def greet(name: str) -> str:
    return f"hello {name}"


@turbine.workflow(name="greet")
async def greet_again(name: str) -> str:
    return f"hello again {name}"


@turbine.workflow
async def wait_for_go() -> str:
    return await turbine.recv("go", type=str)


async def test_a_runtime_serves_inside_its_block_and_only_there(database_url):
    rt = Runtime(database_url, workflows=[greet])
    assert (False, False) == (rt.is_launched, rt.is_draining)

    async with rt as entered:
        assert rt is entered
        assert (True, False) == (rt.is_launched, rt.is_draining)
        assert "hello Ada" == await (await rt.run(greet, "Ada")).result()

    assert (False, True) == (rt.is_launched, rt.is_draining)
    with pytest.raises(ShuttingDown):
        await rt.run(greet, "Ada")


async def test_shutdown_may_be_called_at_any_time_any_number_of_times(database_url):
    rt = Runtime(database_url, workflows=[greet])

    await rt.shutdown()
    await rt.launch()
    await rt.shutdown()
    await rt.shutdown()

    assert not rt.is_launched


async def test_a_runtime_may_be_launched_again_after_shutdown(database_url):
    rt = Runtime(database_url, workflows=[greet])

    for name in ("Ada", "Grace"):
        async with rt:
            assert f"hello {name}" == await (await rt.run(greet, name)).result()
            assert not rt.is_draining


async def test_a_second_launch_is_refused(launch):
    rt = await launch(greet)

    with pytest.raises(AlreadyLaunched):
        await rt.launch()

    assert "hello Ada" == await (await rt.run(greet, "Ada")).result()


async def test_registration_belongs_before_launch(launch):
    rt = await launch(greet)

    with pytest.raises(AlreadyLaunched):
        rt.register(wait_for_go)
    with pytest.raises(AlreadyLaunched):

        @rt.workflow
        async def too_late() -> None: ...

    assert ["greet"] == [one.name for one in rt.registered_workflows()]


def test_a_name_is_registered_once(database_url):
    rt = Runtime(database_url, workflows=[greet])

    with pytest.raises(RegistrationConflict, match="greet"):
        rt.register(greet)
    with pytest.raises(RegistrationConflict, match="greet"):
        rt.register(greet_again)
    with pytest.raises(RegistrationConflict, match="greet"):
        Runtime(database_url, workflows=[greet, greet_again])

    assert ["greet"] == [one.name for one in rt.registered_workflows()]


async def test_overrides_of_a_registration_are_those_of_the_decorator(sqlite_url):
    rt = Runtime(sqlite_url)
    patient = rt.register(greet, timeout=timedelta(hours=1), tags=["patient"])
    for wrong, error in ({"tags": "text"}, ValueError), ({"max_recoveries": -1}, ValueError), ({"size": 1}, TypeError):
        with pytest.raises(error):
            rt.register(greet_again, **wrong)

    async with rt:
        status = await (await rt.run(patient, "Ada")).status()

    assert (timedelta(hours=1), ["patient"]) == (status.timeout, status.tags)
    assert (None, ("letters",)) == (greet.definition.timeout, greet.definition.tags)


async def test_a_workflow_may_be_registered_under_another_name(database_url):
    rt = Runtime(database_url, workflows=[greet])
    rt.register(greet_again, name="again")

    @rt.workflow(tags=["local"])
    async def local(name: str) -> str:
        return name

    known = {one.name: one for one in rt.registered_workflows()}
    assert {"greet", "again", "local"} == set(known)
    assert ["letters"] == list(known["greet"].tags)
    assert (True, f"{__name__}:greet") == (known["greet"].triggerable, known["greet"].fqn)
    async with rt:
        assert "Ada" == await (await rt.run(local, "Ada")).result()


def test_what_is_no_function_of_its_own_cannot_be_a_workflow():
    async def numbers():
        yield 1

    for wrong in (numbers, lambda: None, 7, greet):
        with pytest.raises(TypeError):
            turbine.workflow(wrong)


def test_a_workflow_is_not_called_outside_of_a_workflow_but_its_function_is():
    with pytest.raises(NotInWorkflow, match="greet"):
        greet("Ada")

    with pytest.raises(StopIteration) as stopped:
        greet.fn("Ada").send(None)
    assert "hello Ada" == stopped.value.value


async def test_a_runtime_says_who_it_is(launch):
    first = await launch(greet, application_id="shop", application_version="v7", executor_id="till-1")
    second = await launch(greet)
    third = await launch(greet)

    assert ("shop", "v7", "till-1", None) == (
        first.application_id,
        first.application_version,
        first.executor_id,
        first.app,
    )
    assert "turbine" == second.application_id
    # The version is a hash over the code, the executor fresh for each.
    assert second.application_version == third.application_version != ""
    assert 3 == len({first.executor_id, second.executor_id, third.executor_id})


async def test_two_runtimes_in_one_process_are_two_executors(launch):
    here, there = await launch(greet), await launch(greet)

    handles = [await here.run(greet, "Ada"), await there.run(greet, "Grace")]

    assert [here.executor_id, there.executor_id] == [(await handle.status()).executor_id for handle in handles]
    assert "hello Ada" == await there.retrieve(handles[0].workflow_id, str).result()


async def test_each_memory_database_is_its_own():
    async with Runtime("sqlite://:memory:", workflows=[greet]) as first, Runtime("sqlite://:memory:") as second:
        handle = await first.run(greet, "Ada")

        assert "hello Ada" == await handle.result()
        assert [WorkflowStatus.SUCCESS] == [run.status for run in (await first.list()).items]
        assert [] == (await second.list()).items


def test_settings_are_keywords_then_config_then_environment(monkeypatch):
    monkeypatch.setenv("TURBINE_SHUTDOWN_TIMEOUT", "PT1M30S")
    monkeypatch.setenv("TURBINE_MAX_THREADS", "3")

    assert (timedelta(seconds=90), 3) == (Config.load().shutdown_timeout, Config.load().max_threads)
    assert 5 == Config.load(max_threads=5).max_threads
    assert 64 == Config.load(Config()).max_threads


@pytest.mark.parametrize(
    "wrong", [{"max_threads": 0}, {"lease": 0.1}, {"park_after": -1}, {"payload_max": 10}, {"shutdown_timeout": -1}]
)
def test_settings_that_can_never_be_right_are_a_value_error(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Runtime("sqlite://:memory:", **wrong)


def test_a_setting_that_nobody_knows_is_a_type_error():
    with pytest.raises(TypeError, match="max_treads"):
        Runtime("sqlite://:memory:", max_treads=3)


async def test_the_database_comes_from_the_environment(database_url, monkeypatch):
    monkeypatch.setenv("TURBINE_DATABASE_URL", database_url)

    async with Runtime(workflows=[greet]) as rt:
        handle = await rt.run(greet, "Ada")
        await handle.result()

    async with Runtime(database_url) as other:
        assert [handle.workflow_id] == [run.workflow_id for run in (await other.list()).items]


async def test_of_two_launches_at_once_one_is_refused_and_the_other_holds(sqlite_url):
    rt = Runtime(sqlite_url, workflows=[greet])

    first, second = await asyncio.gather(rt.launch(), rt.launch(), return_exceptions=True)

    assert (None, AlreadyLaunched) == (first, type(second))
    assert "hello Ada" == await (await rt.run(greet, "Ada")).result()
    await rt.shutdown()


async def test_events_are_told_from_the_call_on(database_url):
    async with Runtime(database_url, workflows=[greet]) as rt:
        events = rt.events()
        handle = await rt.run(greet, "Ada")
        await handle.result()

        told = [await anext(events) for _ in range(2)]
        assert [("workflow.PENDING", handle.workflow_id), ("workflow.SUCCESS", handle.workflow_id)] == [
            (event.kind, event.workflow_id) for event in told
        ]
        listeners = rt._probe.listeners
        assert 1 == len(listeners)
        del events
        assert [] == listeners

    with turbine.sync.Runtime(database_url, workflows=[greet]) as blocking:
        events = blocking.events()
        blocking.run(greet, "Ada").result()
        assert "workflow.PENDING" == next(events).kind


async def test_the_lease_is_renewed_again_after_an_error_of_any_kind(sqlite_url, monkeypatch):
    async with Runtime(sqlite_url, lease=1) as rt:
        lease, renewed = rt._live.lease, asyncio.Event()
        process_metrics, loop, errors = lease._process_metrics, asyncio.get_running_loop(), [OSError("no /proc")]

        def measure():
            if errors:
                raise errors.pop()
            loop.call_soon_threadsafe(renewed.set)
            return process_metrics()

        monkeypatch.setattr(lease, "_process_metrics", measure)
        async with asyncio.timeout(120):
            await renewed.wait()

    assert not errors
