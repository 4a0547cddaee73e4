"""The graph of real runs, over HTTP: who came after whom, and how each one stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

import turbine
import turbine.sync

MOMENT = 0.01


@turbine.step
async def quick(name: str) -> str:
    return name


@turbine.step
async def slow(name: str) -> str:
    await asyncio.sleep(MOMENT)
    return name


@turbine.workflow
async def one_after_another() -> None:
    for name in "abcde":
        await quick(name)


@turbine.workflow
async def groups(is_quick: bool) -> None:
    step = quick if is_quick else slow
    await asyncio.gather(step("a"), step("b"))
    await asyncio.gather(step("c"), step("d"))
    await step("e")


@turbine.sync.workflow
def groups_of_tasks(is_quick: bool) -> None:
    step = quick if is_quick else slow
    for names in ("ab", "cd", "e"):
        for task in [turbine.sync.do_async(step, name) for name in names]:
            task.result()


@turbine.sync.workflow
def asks_late() -> None:
    first = turbine.sync.do_async(quick, "a")
    while not first.done():
        time.sleep(MOMENT)
    turbine.sync.do_async(quick, "b").result()
    first.result()
    turbine.sync.do(quick, "c")


@turbine.workflow
async def one_beside_a_line() -> None:
    may_end = asyncio.Event()

    async def wait() -> str:
        await may_end.wait()
        return "long"

    long = turbine.do_async(wait)
    for name in "abc":
        await quick(name)
    await asyncio.sleep(MOMENT)  # rows tell times to the millisecond
    may_end.set()
    await long
    await quick("last")


@turbine.workflow
async def waits() -> None:
    await quick("a")
    await one_after_another()
    await turbine.recv("go")


async def graph(site: Any, workflow_id: str) -> tuple[set[tuple[str, str]], dict[str, tuple[str, str]]]:
    """Edges, and type and status of each node."""
    viewer = await site.holder("viewer")
    answer = await viewer.get(f"workflows/{workflow_id}/steps-tree")
    assert 200 == answer.status_code, answer.text
    edges = [(edge["source"], edge["target"]) for edge in answer.json()["edges"]]
    assert len(edges) == len(set(edges))
    return set(edges), {node["id"]: (node["type"], node["status"]) for node in answer.json()["nodes"]}


async def test_quick_steps_one_after_another_are_a_chain(open_site) -> None:
    site = await open_site(one_after_another)
    await (await site.rt.run(one_after_another.options(id="r"))).result()

    edges, nodes = await graph(site, "r")

    assert {("0", "1"), ("1", "2"), ("2", "3"), ("3", "4"), ("4", "result")} == edges
    assert ("workflow-result", "success") == nodes["result"]


@pytest.mark.parametrize("workflow", [groups, groups_of_tasks], ids=lambda one: one.name)
@pytest.mark.parametrize("is_quick", [True, False])
async def test_groups_side_by_side_follow_each_other_as_groups(open_site, workflow: Any, is_quick: bool) -> None:
    """Also when all of it happens within a millisecond."""
    site = await open_site(workflow)
    await (await site.rt.run(workflow.options(id="r"), is_quick)).result()

    edges, _ = await graph(site, "r")

    first = {("0", "2"), ("0", "3"), ("1", "2"), ("1", "3")}
    assert first | {("2", "4"), ("3", "4"), ("4", "result")} == edges


async def test_a_step_does_not_follow_a_task_that_nobody_has_asked_for_its_outcome(open_site) -> None:
    """Though it was over: else the graph would show how threads take turns, and not the program."""
    site = await open_site(asks_late)
    await (await site.rt.run(asks_late.options(id="r"))).result()

    edges, _ = await graph(site, "r")

    assert {("0", "2"), ("1", "2"), ("2", "result")} == edges


async def test_a_task_follows_what_the_body_had_when_it_asked_however_late_its_thread_comes(open_site) -> None:
    site = await open_site(groups_of_tasks)
    threads = site.rt._app().threads
    submit, count = threads.submit, 0

    def come_late(call: Callable[[], None]) -> None:
        nonlocal count
        count += 1
        submit(lambda late=count * 10 * MOMENT: (time.sleep(late), call()))

    threads.submit = come_late
    await (await site.rt.run(groups_of_tasks.options(id="r"), True)).result()

    edges, _ = await graph(site, "r")

    assert {("0", "2"), ("0", "3"), ("1", "2"), ("1", "3"), ("2", "4"), ("3", "4"), ("4", "result")} == edges


async def test_a_long_step_stands_beside_the_line_that_goes_on_meanwhile(open_site) -> None:
    site = await open_site(one_beside_a_line)
    await (await site.rt.run(one_beside_a_line.options(id="r"))).result()
    names = {str(step.function_id): step.output for step in await site.rt.steps("r")}

    edges, _ = await graph(site, "r")

    line = {("a", "b"), ("b", "c"), ("c", "last"), ("long", "last"), ("last", "result")}
    assert line == {(names[source], names.get(target, target)) for source, target in edges}


async def test_a_fork_shows_what_it_has_copied_as_it_was(open_site) -> None:
    site = await open_site(groups)
    await (await site.rt.run(groups.options(id="r"), True)).result()
    await (await site.rt.fork("r", 4, new_id="f")).result()

    assert await graph(site, "r") == await graph(site, "f")


async def test_a_run_that_was_cancelled_is_shown_as_cancelled(open_site) -> None:
    site = await open_site(waits, one_after_another)
    await site.rt.run(waits.options(id="r"))
    await site.rt.wait_idle()
    edges, nodes = await graph(site, "r")
    kinds = [("step", "success"), ("child-workflow", "success"), ("step", "waiting"), ("workflow-result", "running")]
    assert kinds == list(nodes.values())
    assert {("0", "1"), ("1", "2"), ("2", "result")} == edges

    await site.rt.cancel("r")

    _, nodes = await graph(site, "r")
    assert [("step", "cancelled"), ("workflow-result", "cancelled")] == list(nodes.values())[-2:]
