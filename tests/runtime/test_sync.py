"""`turbine.sync`: the same words for blocking code, in threads."""

from __future__ import annotations

import contextvars
import functools
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import MaxStepRetriesExceeded, ResultTimeout, StepFailed, WorkflowFailed, WorkflowStatus

calls: Counter[str] = Counter()
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


@pytest.fixture(autouse=True)
def _nothing_called():
    calls.clear()


@pytest.fixture
def launch_sync(database_url):
    """Launches blocking runtimes on the test's database."""
    launched: list[turbine.sync.Runtime] = []

    def launch(*workflows: Any, **settings: Any) -> turbine.sync.Runtime:
        runtime = turbine.sync.Runtime(database_url, workflows=workflows, **{"shutdown_timeout": 0, **settings})
        runtime.launch()
        launched.append(runtime)
        return runtime

    yield launch
    for runtime in launched:
        runtime.shutdown()


@turbine.sync.step
def add(one: int, other: int = 1) -> int:
    calls["add"] += 1
    return one + other


@turbine.sync.step(retries=2, base_interval=0.001)
def fail(text: str) -> None:
    calls["fail"] += 1
    raise ValueError(text)


class Unmakeable(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


@turbine.sync.step
def fail_unmakeably() -> None:
    raise Unmakeable(code=7)


async def fetch(name: str) -> str:
    calls["fetch"] += 1
    return f"{name} in {threading.current_thread().name}"


@turbine.sync.workflow
def tour(start: int) -> dict[str, Any]:
    calls["tour"] += 1
    here = turbine.sync.current()
    told: dict[str, Any] = {"id": here.workflow_id, "first": add(start), "second": add(start, other=10)}
    try:
        fail("again")
    except MaxStepRetriesExceeded as error:
        told["causes"] = [str(cause) for cause in error.causes]
    try:
        fail_unmakeably()
    except StepFailed as error:
        told["step failed"] = error.message
    told["lambda"] = turbine.sync.do(lambda: 5)
    told["inline"] = turbine.sync.do(lambda: add(1))
    told["fetched"] = turbine.sync.do(fetch, "x").split(" in ")[0]
    task = turbine.sync.do_async(add, 100)
    told["task"] = task.result()
    turbine.sync.set_value("progress", 50)
    told["own value"] = turbine.sync.get_value(here.workflow_id, "progress", type=int)
    turbine.sync.sleep(timedelta(milliseconds=1))
    turbine.sync.pause(0)
    turbine.sync.sleep_until(datetime.now(UTC) - timedelta(days=1))
    turbine.sync.send(here.workflow_id, "to myself", "post")
    told["message"] = turbine.sync.recv("post", type=str, timeout=10)
    told["nothing"] = turbine.sync.recv("post", timeout=0, default="nothing")
    told["kinds"] = [type(one).__name__ for one in (turbine.sync.now(), turbine.sync.uuid4(), turbine.sync.random())]
    told["patched"] = turbine.sync.patched("change")
    turbine.sync.check_cancelled()
    turbine.sync.logger().info("on tour")
    return told


@pytest.mark.parametrize("park_after", [0, 30])
def test_blocking_code_has_the_same_words(launch_sync, park_after):
    rt = launch_sync(tour, park_after=park_after)

    handle = rt.run(tour.options(id="one"), 1)

    assert {
        "id": "one",
        "first": 2,
        "second": 11,
        "causes": ["again"] * 3,
        "step failed": "code 7",
        "lambda": 5,
        "inline": 2,
        "fetched": "x",
        "task": 101,
        "own value": 50,
        "message": "to myself",
        "nothing": "nothing",
        "kinds": ["datetime", "UUID", "float"],
        "patched": True,
    } == handle.result(timeout=120)
    assert {"progress": 50} == rt.values("one")
    assert {"add": 4, "fail": 3, "fetch": 1} == {name: count for name, count in calls.items() if name != "tour"}
    assert (WorkflowStatus.SUCCESS, 1) == (handle.status().status, handle.status().attempts)
    assert "0" == handle.steps()[0].position


@turbine.sync.workflow
def wait_for_go() -> str:
    return turbine.sync.recv("go", type=str)


def test_the_runtime_has_the_same_ways_in(database_url):
    with turbine.sync.Runtime(database_url, workflows=[wait_for_go], shutdown_timeout=0) as rt:
        handle = rt.run(wait_for_go.options(id="one"))
        with pytest.raises(ResultTimeout):
            handle.result(timeout=0.01)
        rt.wait_idle()
        rt.send("one", "gone", "go")
        assert "gone" == handle.result(timeout=120) == rt.retrieve("one", str).result()
        assert rt.is_launched

        second = rt.run(wait_for_go)
        rt.wait_idle()
        assert rt.cancel(second.workflow_id)
        with pytest.raises(turbine.AwaitedCancelled):
            second.result()
        assert second.workflow_id == rt.resume(second.workflow_id).workflow_id
        rt.send(second.workflow_id, "resumed", "go")
        assert "resumed" == rt.retrieve(second.workflow_id).result(timeout=120)
        forked = rt.fork("one", 1)
        assert "gone" == forked.result(timeout=120)
        assert 3 == len(rt.list().items)
        rt.kv.set("key", 1)
        assert 1 == rt.kv.get("key")
        assert [1] == [change.value for change in rt.kv.history("key")]
        assert [] == rt.failures.list().items
    assert not rt.is_launched


@turbine.sync.workflow
def fail_in_the_body() -> None:
    raise ValueError("no")


def test_the_error_of_a_blocking_run_is_raised_from_its_handle(launch_sync):
    rt = launch_sync(fail_in_the_body)

    with pytest.raises(WorkflowFailed, match="no") as raised:
        rt.run(fail_in_the_body).result(timeout=120)

    assert "fail_in_the_body" in raised.value.traceback


async def test_one_database_serves_async_and_blocking_code(launch, launch_sync):
    rt = await launch(tour, wait_for_go)

    handle = await rt.run(tour, 1)
    assert 2 == (await handle.result(timeout=120))["first"]
    waiting = await rt.run(wait_for_go)
    other = launch_sync()
    other.send(waiting.workflow_id, "gone", "go")
    assert "gone" == await waiting.result(timeout=120)


@turbine.sync.workflow
def tell_the_tenant() -> list[str]:
    return [tenant.get(), turbine.sync.do(tenant.get), turbine.sync.do_async(tenant.get).result()]


def test_context_variables_reach_threads(database_url):
    tenant.set("acme")
    with turbine.sync.Runtime(database_url, workflows=[tell_the_tenant], shutdown_timeout=0) as rt:
        assert ["acme"] * 3 == rt.run(tell_the_tenant).result(timeout=120)


running: set[int] = set()
most: list[int] = []


@turbine.sync.workflow
def occupy_a_thread(seconds: float) -> None:
    running.add(threading.get_ident())
    most.append(len(running))
    time.sleep(seconds)
    running.discard(threading.get_ident())


def test_no_more_threads_are_used_than_allowed(launch_sync):
    rt = launch_sync(occupy_a_thread, max_threads=3)
    most.clear()

    for handle in [rt.run(occupy_a_thread, 0.02) for _ in range(12)]:
        handle.result(timeout=120)

    assert 3 == max(most)


@turbine.sync.workflow
def use_own_threads() -> list[int]:
    results: list[int] = []
    here = contextvars.copy_context()

    def branch() -> None:
        results.append(add(1))

    thread = threading.Thread(target=here.run, args=[branch])
    thread.start()
    thread.join()
    return results


def test_words_work_in_threads_that_a_run_owns(launch_sync):
    rt = launch_sync(use_own_threads)

    handle = rt.run(use_own_threads)

    assert [2] == handle.result(timeout=120)
    assert ["add"] == [step.function_name for step in handle.steps()]


@turbine.sync.workflow
def start_many(count: int) -> list[int]:
    tasks = [turbine.sync.do_async(add, number) for number in range(count)]
    turbine.sync.sleep(0.001)
    return [task.result() for task in tasks]


@pytest.mark.parametrize("park_after", [0, 30])
def test_tasks_of_a_blocking_run_keep_their_positions(launch_sync, park_after):
    rt = launch_sync(start_many, park_after=park_after)

    handle = rt.run(start_many, 8)

    assert list(range(1, 9)) == handle.result(timeout=120)
    assert 8 == calls["add"]


def fail_at_once() -> None:
    raise ValueError("broken")


def stop_at_once() -> None:
    raise SystemExit("stopped")


def test_gather_outside_of_a_body_runs_its_branches_at_once():
    met = threading.Barrier(100)

    def meet(number: int) -> int:
        met.wait(120)
        return number

    branches = [functools.partial(meet, number) for number in range(100)]
    assert [*range(100), "a value"] == turbine.sync.gather(*branches, "a value")


def test_gather_outside_of_a_body_gives_errors_back_where_it_is_told_to():
    error, value = turbine.sync.gather(fail_at_once, lambda: 2, return_exceptions=True)
    assert ("broken", 2) == (str(error), value)
    with pytest.raises(ValueError, match="broken"):
        turbine.sync.gather(lambda: 1, fail_at_once)
    with pytest.raises(SystemExit):
        turbine.sync.gather(fail_at_once, stop_at_once, return_exceptions=True)


@turbine.sync.step
def gather_in_step() -> list[Any]:
    met = threading.Barrier(3)

    def meet() -> str | None:
        met.wait(120)
        return turbine.sync.current().step_id

    error, *ids = turbine.sync.gather(fail_at_once, meet, meet, meet, return_exceptions=True)
    return [str(error), *ids]


@turbine.sync.workflow
def gather_in_both() -> list[Any]:
    return [gather_in_step(), [str(one) for one in turbine.sync.gather(fail_at_once, add, return_exceptions=True)]]


def test_gather_in_a_step_runs_its_branches_at_once_in_the_context_of_the_step(launch_sync):
    rt = launch_sync(gather_in_both, max_threads=1)
    in_step, in_body = rt.run(gather_in_both).result(timeout=120)
    assert ["broken", "0", "0", "0"] == in_step
    assert "broken" == in_body[0]
