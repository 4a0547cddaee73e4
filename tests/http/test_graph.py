"""The graph of real runs, over HTTP: who came after whom, and how each one stands."""

from __future__ import annotations

import asyncio
from typing import Any

import turbine

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
async def groups() -> None:
    await asyncio.gather(slow("a"), slow("b"))
    await asyncio.gather(slow("c"), slow("d"))
    await slow("e")


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


async def test_groups_side_by_side_follow_each_other_as_groups(open_site) -> None:
    site = await open_site(groups)
    await (await site.rt.run(groups.options(id="r"))).result()

    edges, _ = await graph(site, "r")

    first = {("0", "2"), ("0", "3"), ("1", "2"), ("1", "3")}
    assert first | {("2", "4"), ("3", "4"), ("4", "result")} == edges


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
