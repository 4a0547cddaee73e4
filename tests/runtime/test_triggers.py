"""Triggers: starting a workflow by name, with input that is checked before there is a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import NotRegistered, NotTriggerable, Runtime, ShuttingDown, ValidationFailed


@dataclass
class Order:
    order_id: str
    amount: int


@turbine.workflow(triggerable=True, tags=["orders"], summary=lambda order: f"Order {order.order_id}")
async def place(order: Order) -> int:
    """Place an order."""
    return order.amount


@turbine.workflow(triggerable=True)
async def add(left: int, right: int = 10) -> int:
    return left + right


@turbine.workflow(triggerable=True)
async def nothing() -> str:
    return "done"


@turbine.workflow
async def private() -> None: ...


@turbine.workflow(
    triggerable=True,
    input_schema={
        "fields": [
            {"name": "name", "type": "string", "required": True, "label": "Name"},
            {"name": "size", "type": "select", "options": ["S", {"value": "M", "label": "Medium"}], "default": "S"},
        ]
    },
)
async def greet(name: str, size: str = "S") -> str:
    return f"{name} {size}"


@turbine.workflow(
    triggerable=True,
    input_schema={"type": "object", "properties": {"amount": {"maximum": 100}}, "required": ["amount"]},
)
async def limited(order: Order) -> int:
    return order.amount


ALL = (place, add, nothing, private, greet, limited)


async def result(rt: Runtime, workflow_id: str) -> Any:
    return await rt.retrieve(workflow_id).result()


async def count(rt: Runtime) -> int:
    return len((await rt.list()).items)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("add", {"left": 1, "right": 2}, 3),
        ("add", {"left": 1}, 11),
        (f"{__name__}:add", {"left": 1}, 11),
        ("place", {"order": {"order_id": "1", "amount": 7}}, 7),
        ("place", {"order_id": "1", "amount": 7}, 7),
        ("place", Order("1", 8), 8),
        ("nothing", None, "done"),
        ("nothing", {}, "done"),
        ("greet", {"name": "Ada"}, "Ada S"),
        ("limited", {"order_id": "1", "amount": 99}, 99),
        ("limited", {"order": {"order_id": "1", "amount": 99}}, 99),
    ],
)
async def test_input_by_name_or_bare_starts_a_run(launch, name: str, given: Any, expected: Any):
    rt = await launch(*ALL)

    assert expected == await result(rt, await rt.trigger(name, given))


@pytest.mark.parametrize(
    ("name", "given", "paths"),
    [
        ("add", {"left": "1"}, [["left"]]),
        ("add", {"right": 1}, [["left"]]),
        ("add", {"left": 1, "middle": 2}, [["middle"]]),
        ("add", 3, [[]]),
        ("add", None, [[]]),
        ("nothing", {"x": 1}, [["x"]]),
        ("place", {"order": {"order_id": "1", "amount": "7"}}, [["order", "amount"]]),
        ("place", {"order": {"order_id": 1}}, [["order", "order_id"], ["order", "amount"]]),
        ("greet", {"name": "Ada", "size": "XXL"}, [["size"]]),
        ("greet", {"name": "Ada", "colour": "red"}, [[]]),
        ("limited", {"order_id": "1", "amount": 101}, [["amount"]]),
    ],
)
async def test_input_that_does_not_fit_is_refused_with_its_paths_and_leaves_no_row(launch, name, given, paths):
    rt = await launch(*ALL)

    with pytest.raises(ValidationFailed) as caught:
        await rt.trigger(name, given)

    assert paths == [error["path"] for error in caught.value.errors]
    assert 0 == await count(rt)


async def test_an_unknown_and_a_closed_workflow_are_refused(launch):
    rt = await launch(*ALL)

    with pytest.raises(NotRegistered):
        await rt.trigger("plaice", {})
    with pytest.raises(NotTriggerable):
        await rt.trigger("private", None)
    assert 0 == await count(rt)
    assert [True, False, False] == [rt.is_triggerable(name) for name in ("place", "private", "plaice")]


async def test_options_of_a_trigger_are_those_of_a_start(launch):
    rt = await launch(*ALL)

    assert "mine" == await rt.trigger("place", Order("5", 1), id="mine", tags=["hand"])
    assert "mine" == await rt.trigger("place", Order("5", 1), id="mine")
    await result(rt, "mine")
    status = await rt.status("mine")
    assert (["orders", "hand"], "Order 5") == (status.tags, status.summary)


async def test_a_runtime_that_shuts_down_takes_no_trigger(launch):
    rt = await launch(*ALL)
    await rt.shutdown()

    with pytest.raises(ShuttingDown):
        await rt.trigger("nothing")


async def test_a_workflow_of_another_process_is_checked_here_and_runs_there(launch):
    there = await launch(*ALL)
    here = await launch()
    assert there.application_version != here.application_version

    with pytest.raises(ValidationFailed):
        await here.trigger("add", {"left": "1"})
    with pytest.raises(NotTriggerable):
        await here.trigger("private")
    assert 0 == await count(here)
    assert 11 == await result(here, await here.trigger("add", {"left": 1}))
    assert 7 == await result(here, await here.trigger("place", {"order_id": "1", "amount": 7}))
    assert "done" == await result(here, await here.trigger("nothing"))
    assert {(there.executor_id, there.application_version)} == {
        (run.executor_id, run.application_version) for run in (await here.list()).items
    }


async def test_registered_workflows_tell_what_was_declared(launch):
    rt = await launch(*ALL)

    known = {one.name: one for one in rt.registered_workflows()}

    assert {workflow.name for workflow in ALL} == set(known)
    assert (f"{__name__}:place", True, None, ["orders"], "Place an order.") == (
        known["place"].fqn,
        known["place"].triggerable,
        known["place"].cron_schedule,
        known["place"].tags,
        known["place"].docstring,
    )
    assert ["order"] == list((known["place"].input_schema or {})["properties"])
    assert greet.definition.input_schema == known["greet"].input_schema
    assert sorted(known.values(), key=lambda one: one.name) == await rt.workflows_everywhere()


async def test_what_no_live_process_registers_any_more_is_forgotten(launch):
    first = await launch(place, add)
    await launch(add, nothing)
    assert ["add", "nothing", "place"] == [one.name for one in await first.workflows_everywhere()]
    await first.shutdown()

    last = await launch(nothing)

    assert [("add", False), ("nothing", True)] == [(one.name, one.here) for one in await last.workflows_everywhere()]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"fields": [{"type": "string"}]},
        {"fields": [{"name": "a", "type": "colour"}]},
        {"fields": [{"name": "a", "type": "select"}]},
        {"fields": [{"name": "a"}, {"name": "a"}]},
        {"default": timedelta(days=1)},
        "object",
    ],
)
def test_an_input_schema_that_is_none_is_refused_at_its_declaration(schema: Any):
    with pytest.raises(ValidationFailed):
        turbine.workflow(nothing.fn, name="other", input_schema=schema)


def test_blocking_code_triggers_too(database_url):
    with turbine.sync.Runtime(database_url, workflows=ALL) as rt:
        assert 3 == rt.retrieve(rt.trigger("add", {"left": 1, "right": 2})).result()
        assert 6 == len(rt.workflows_everywhere())
