"""Steps in threads that bodies make themselves: nothing is recorded there, and nothing of that is silent."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import NotInWorkflow, TurbineWarning, WorkflowFailed

outside = ThreadPoolExecutor(1)
"""A pool that no body made; its one thread works for anybody."""
gates: dict[str, threading.Event] = {}


@turbine.step
def square(n: int) -> int:
    return n * n


@turbine.step
async def square_async(n: int) -> int:
    return n * n


@contextmanager
def told() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def in_thread(call: Callable[[], Any]) -> Any:
    future: Future[Any] = Future()

    def carry() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - for the caller
            future.set_exception(error)

    thread = threading.Thread(target=carry)
    thread.start()
    thread.join()
    return future.result()


@turbine.sync.workflow
def by_pool() -> list[int]:
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(square, [1, 2, 3]))


@turbine.sync.workflow
def by_thread() -> int:
    return in_thread(lambda: square(4))


@turbine.sync.workflow
def by_thread_of_thread() -> int:
    return in_thread(lambda: in_thread(lambda: outside.submit(square, 4).result()))


@turbine.sync.workflow
def by_loop_in_thread() -> int:
    return in_thread(lambda: asyncio.run(square_async(4)))


@turbine.sync.workflow
def by_pool_of_others() -> int:
    return outside.submit(square, 4).result()


@turbine.workflow
async def by_default_executor() -> int:
    return await asyncio.get_running_loop().run_in_executor(None, square, 4)


@turbine.workflow
async def by_pool_async() -> int:
    return await asyncio.get_running_loop().run_in_executor(outside, square, 4)


@turbine.workflow
async def by_thread_async() -> int:
    return in_thread(lambda: square(4))


WAYS = [
    by_pool,
    by_thread,
    by_thread_of_thread,
    by_loop_in_thread,
    by_pool_of_others,
    by_default_executor,
    by_pool_async,
    by_thread_async,
]


@pytest.mark.parametrize("workflow", WAYS, ids=lambda workflow: workflow.name)
async def test_a_step_in_a_thread_that_its_body_made_warns_once_for_each_place(launch, workflow):
    rt = await launch(workflow)
    with told() as caught:
        handles = [await rt.run(workflow) for _ in range(2)]
        assert {"16" if workflow is not by_pool else "[1, 4, 9]"} == {str(await one.result()) for one in handles}
    assert [TurbineWarning] == [one.category for one in caught]
    assert __file__ == caught[0].filename
    assert "square" in str(caught[0].message)
    assert workflow.name in str(caught[0].message)
    assert ("turbine.do(square" in str(caught[0].message)) == isinstance(workflow, turbine.Workflow)
    assert [] == await handles[0].steps()


@pytest.mark.parametrize("workflow", WAYS, ids=lambda workflow: workflow.name)
async def test_a_strict_runtime_refuses_a_step_in_a_thread_that_its_body_made(launch, workflow):
    rt = await launch(workflow, strict=True)
    with pytest.raises(WorkflowFailed) as failed, told() as caught:
        await (await rt.run(workflow)).result()
    assert "turbine.errors.NotInWorkflow" == failed.value.type_name
    assert [] == caught


@turbine.sync.workflow
def fills_pool_and_waits() -> int:
    value = outside.submit(square, 2).result()
    gates["reached"].set()
    gates["go"].wait(120)
    return value


async def test_a_step_in_a_thread_that_no_body_made_is_just_its_function(launch):
    gates.update(reached=threading.Event(), go=threading.Event())
    rt = await launch(fills_pool_and_waits)
    with told() as caught:
        handle = await rt.run(fills_pool_and_waits)
        await asyncio.to_thread(gates["reached"].wait, 120)
        assert [TurbineWarning] == [one.category for one in caught]
        caught.clear()
        # While a body runs, and in a worker that has worked for it.
        assert 9 == in_thread(lambda: square(3))
        assert 9 == outside.submit(square, 3).result()
        assert 9 == await asyncio.to_thread(square, 3)
        assert 9 == await square_async(3)
        assert 9 == square(3)
    gates["go"].set()
    assert [] == caught
    assert 4 == await handle.result()


@turbine.step
def splits(n: int) -> list[int]:
    with ThreadPoolExecutor(2) as pool:
        return [*pool.map(square, range(n)), in_thread(lambda: square(n))]


@turbine.workflow
async def uses_split() -> list[int]:
    return await turbine.do(splits, 3)


async def test_what_a_step_does_in_threads_of_its_own_is_part_of_the_step(launch):
    rt = await launch(uses_split, strict=True)
    with told() as caught:
        handle = await rt.run(uses_split)
        assert [0, 1, 4, 9] == await handle.result()
    assert [] == caught
    assert ["splits"] == [step.function_name for step in await handle.steps()]


@turbine.workflow
async def child() -> None: ...


@turbine.sync.workflow
def words_in_thread() -> list[str]:
    def attempt(act: Callable[[], Any]) -> str:
        try:
            act()
        except NotInWorkflow as error:
            return str(error)
        return "nothing"

    return in_thread(lambda: [attempt(lambda: turbine.sync.sleep(0)), attempt(child), attempt(turbine.sync.now)])


async def test_a_word_or_workflow_in_a_thread_that_a_body_made_says_so(launch):
    rt = await launch(words_in_thread, child)
    told = await (await rt.run(words_in_thread)).result()
    assert [True] * 3 == ["started or used by the body" in text and "words_in_thread" in text for text in told]


@turbine.workflow
async def with_context(kind: str) -> Any:
    match kind:
        case "blocking step":
            return await asyncio.to_thread(square, 4)
        case "async step":
            return await asyncio.to_thread(lambda: asyncio.run(_twice()))
        case "created":
            return await asyncio.to_thread(square_async, 4)
        case _:
            return await asyncio.to_thread(lambda: turbine.sleep(0))


async def _twice() -> int:
    return await square_async(4) + await square_async(4)


@pytest.mark.parametrize(
    ("kind", "cure"),
    [
        ("blocking step", "await turbine.do(square, ...)"),
        ("async step", "await square_async(...)"),
        ("created", "await square_async(...)"),
        ("word", "in the body itself"),
    ],
)
async def test_a_thread_that_has_the_context_of_an_async_body_is_told_where_it_is(launch, kind, cure):
    rt = await launch(with_context)
    handle = await rt.run(with_context, kind)
    with pytest.raises(WorkflowFailed, match="'with_context'") as failed:
        await handle.result()
    assert "turbine.errors.NotInWorkflow" == failed.value.type_name
    assert "asyncio.to_thread" in failed.value.message
    assert cure in failed.value.message
    assert [] == await handle.steps()


@turbine.sync.workflow
def runs_a_loop(kind: str) -> int:
    return asyncio.run(_twice() if kind == "in the loop" else square_async(4))


@pytest.mark.parametrize("kind", ["in the loop", "before it"])
async def test_an_async_step_under_asyncio_run_in_a_blocking_body_names_the_cure(launch, kind):
    rt = await launch(runs_a_loop)
    with pytest.raises(WorkflowFailed, match=r"turbine\.do\(square_async, \.\.\.\)") as failed:
        await (await rt.run(runs_a_loop, kind)).result()
    assert "builtins.TypeError" == failed.value.type_name
    assert ("asyncio.run" in failed.value.message) == (kind == "in the loop")
