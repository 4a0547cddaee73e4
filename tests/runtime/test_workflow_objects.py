"""Which workflow an object in user code stands for: options, overrides, factories, and code that is run again."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import NotRegistered, RegistrationConflict, Runtime

CELL = """
import turbine

@turbine.step
async def {word}_first() -> str: return "{word} first"

@turbine.step
async def {word}_second() -> str: return "{word} second"

@turbine.workflow(name="child", triggerable=True)
async def child() -> str: return "{word} child"

@turbine.workflow(name="cell", triggerable=True, tags=["{word}"])
async def cell() -> list[str]:
    first = await {word}_first()
    await turbine.recv("go")
    return [first, await {word}_second(), await child()]
"""


def run_cell(word: str, module: str = "notebook") -> tuple[Any, Any]:
    """The workflows of a notebook cell, or of a module, that is run with other code each time."""
    names: dict[str, Any] = {"__name__": module}
    exec(compile(CELL.format(word=word), f"<{module}>", "exec"), names)
    return names["cell"], names["child"]


def load(source: str) -> Any:
    @turbine.workflow(name=f"load_{source}", triggerable=True)
    async def load() -> str:
        return source

    return load


FQN = f"{__name__}:load.<locals>.load"


async def runs(rt: Runtime) -> list[str]:
    return [run.name for run in (await rt.list()).items]


async def test_workflows_of_one_factory_are_told_apart_by_their_names(launch: Any) -> None:
    flows = [load("sales"), load("stock")]
    rt = await launch(*flows)

    assert ["sales", "stock"] == [await (await rt.run(flow)).result() for flow in flows]
    assert "stock" == await rt.retrieve(await rt.trigger("load_stock")).result()
    assert {FQN} == {known.fqn for known in rt.registered_workflows()}
    with pytest.raises(RegistrationConflict, match="load_sales"):
        Runtime("sqlite://:memory:", workflows=[*flows, load("sales")])


async def test_a_function_of_several_workflows_does_not_say_which_one_is_to_be_triggered(launch: Any) -> None:
    here = await launch(load("sales"), load("stock"))
    elsewhere = await launch()

    for rt in (here, elsewhere):
        with pytest.raises(NotRegistered, match=r"'load_sales', 'load_stock'"):
            await rt.trigger(FQN)
        with pytest.raises(NotRegistered, match=r"'load_sales', 'load_stock'"):
            await rt.schedules.create(FQN, "@hourly")
    assert not here.is_triggerable(FQN)
    assert [] == await runs(here)

    alone = await launch(load("alone"))
    assert alone.is_triggerable(FQN)
    assert "alone" == await alone.retrieve(await alone.trigger(FQN)).result()


async def test_code_that_was_run_again_is_refused_until_it_replaces_the_registered_one(launch: Any) -> None:
    (old, old_child), (new, new_child) = run_cell("old"), run_cell("new")
    rt = await launch(old, old_child)

    for start in (
        lambda: rt.run(new),
        lambda: rt.run(new.options(id="x", queue="q")),
        lambda: rt.trigger(new),
        lambda: rt.schedules.create(new, "@hourly"),
    ):
        with pytest.raises(NotRegistered, match=r"run again.*rt\.replace\(cell\)"):
            await start()
    assert [] == await runs(rt)
    assert [] == (await rt.schedules.list()).items

    assert new is await rt.replace(new)
    rt.replace(new_child)
    handle = await rt.run(new.options(tags=["more"]))
    await rt.send(handle.workflow_id, None, "go")
    assert ["new first", "new second", "new child"] == await handle.result(timeout=120)
    assert ["new", "more"] == (await handle.status()).tags
    assert [["new"]] == [list(known.tags) for known in rt.registered_workflows() if known.name == "cell"]
    with pytest.raises(NotRegistered, match="run again"):
        await rt.run(old)


async def test_an_execution_that_is_under_way_goes_on_with_the_code_it_began_with(launch: Any) -> None:
    (old, old_child), (new, new_child) = run_cell("old"), run_cell("new")
    rt = await launch(old, old_child)
    handle = await rt.run(old)
    await rt.wait_idle()

    await rt.replace(new)
    await rt.replace(new_child)
    await rt.send(handle.workflow_id, None, "go")

    # The child is a run of its own: it begins with the code that is registered then.
    assert ["old first", "old second", "new child"] == await handle.result(timeout=120)


async def test_a_run_that_was_parked_goes_on_with_the_newer_code(launch: Any) -> None:
    old, new = run_cell("old"), run_cell("new")
    rt = await launch(*old, park_after=0)
    handle = await rt.run(old[0])
    while (await handle.status()).executor_id is not None:  # noqa: ASYNC110 - its row is the only witness
        await asyncio.sleep(0.01)

    await rt.replace(new[0])
    await rt.send(handle.workflow_id, None, "go")
    while (status := await handle.status()).attention is None:  # noqa: ASYNC110 - its row is the only witness
        await asyncio.sleep(0.01)

    assert "'old_first'" in status.attention
    assert "'new_first'" in status.attention


async def test_a_replaced_workflow_is_known_to_other_processes_and_its_schedule_counts(launch: Any) -> None:
    @turbine.workflow(name="report", triggerable=True)
    async def without_schedule() -> str:
        return "old"

    @turbine.workflow(name="report", schedule="@daily", tags=["new"])
    async def with_schedule(tick: datetime) -> str:
        return "new"

    here, there = await launch(without_schedule), await launch()

    await here.replace(with_schedule)

    (known,) = await there.workflows_everywhere()
    assert (False, ["new"]) == (known.triggerable, known.tags)
    (schedule,) = (await there.schedules.list()).items
    assert ("report", "compile") == (schedule.workflow, schedule.type)


async def test_only_a_registered_name_can_be_replaced(launch: Any) -> None:
    old, new = load("sales"), load("sales")
    unlaunched = Runtime("sqlite://:memory:", workflows=[old])
    assert new is await unlaunched.replace(new)
    with pytest.raises(NotRegistered, match=r"'load_stock'.*'load_sales'"):
        unlaunched.replace(load("stock"))
    with pytest.raises(TypeError):
        unlaunched.replace(load)  # pyright: ignore[reportArgumentType]
    async with unlaunched as rt:
        assert "sales" == await (await rt.run(new)).result()


@turbine.workflow(tags=["declared"], triggerable=True)
async def greet(name: str) -> str:
    return f"hello {name}"


@turbine.workflow
async def greet_both() -> list[str]:
    handle = await turbine.run(greet.options(tags=["started"]), "Ada")
    await turbine.recv("again")
    return [await handle.result(), await greet("Bob")]


async def test_an_object_stands_for_what_was_registered_of_it(launch: Any, database_url: str, replay: Any) -> None:
    rt = Runtime(database_url, workflows=[greet_both], shutdown_timeout=0)
    registered = rt.register(greet, name="greeting", tags=["registered"], timeout=60)

    async with rt:
        for workflow in (greet, registered, greet.options(id="it")):
            handle = await rt.run(workflow, "Ada")
            assert "hello Ada" == await handle.result()
            status = await handle.status()
            assert ("greeting", ["registered"], 60) == (status.name, status.tags, status.timeout.total_seconds())
        triggered = await rt.trigger(greet, "Bob")
        assert ("greeting", "hello Bob") == ((await rt.status(triggered)).name, await rt.retrieve(triggered).result())
        assert "greeting" == (await rt.schedules.create(greet, "@daily", input="Cyd")).workflow
        parent = await rt.run(greet_both)
        await replay(rt, parent)
        assert ["hello Ada", "hello Bob"] == await parent.result(timeout=120)
        children = (await rt.list(parent_id=parent.workflow_id, ascending=True)).items
        assert [["registered", "started"], ["registered"]] == [child.tags for child in children]
        assert {"greeting"} == {child.name for child in children}


async def test_an_object_that_is_registered_under_several_names_stands_for_none_of_them() -> None:
    rt = Runtime("sqlite://:memory:")
    first = rt.register(greet, name="first")
    rt.register(greet, name="second")

    async with rt:
        with pytest.raises(NotRegistered, match="'first', 'second'"):
            await rt.run(greet, "Ada")
        assert "hello Ada" == await (await rt.run(first, "Ada")).result()


async def test_the_plain_registration_of_an_object_comes_before_others_of_it() -> None:
    rt = Runtime("sqlite://:memory:", workflows=[greet])
    rt.register(greet, name="another")

    async with rt:
        handle = await rt.run(greet, "Ada")
        assert "greet" == (await handle.status()).name


async def test_tags_of_a_start_come_on_top_of_those_of_the_workflow(launch: Any) -> None:
    rt = await launch(greet)

    tagged = [
        (await (await rt.run(greet.options(tags=tags), "Ada")).status()).tags
        for tags in (["rush"], ["rush", "declared"], [], None)
    ]

    assert [["declared", "rush"], ["declared", "rush"], ["declared"], ["declared"]] == tagged


async def test_one_function_that_is_made_a_workflow_twice_is_one_workflow(launch: Any) -> None:
    rt = await launch(greet)

    assert "hello Ada" == await (await rt.run(turbine.workflow(greet.fn, name="greet"), "Ada")).result()


async def test_a_module_that_was_loaded_twice_is_told(launch: Any) -> None:
    rt = await launch(*run_cell("same", "__main__"))

    with pytest.raises(NotRegistered, match=r"loaded twice, as the program \(__main__\) and by an import \(shop\)"):
        await rt.run(run_cell("same", "shop")[0])
    with pytest.raises(RegistrationConflict, match=r"loaded twice"):
        Runtime("sqlite://:memory:", workflows=[run_cell("same", "__main__")[0], run_cell("same", "shop")[0]])


async def test_a_body_calls_the_registered_child_or_is_told(launch: Any) -> None:
    (cell, _), (_, another_child) = run_cell("one"), run_cell("two")
    rt = await launch(cell, another_child)

    handle = await rt.run(cell)
    await rt.send(handle.workflow_id, None, "go")

    with pytest.raises(turbine.WorkflowFailed, match=r"NotRegistered.*'child'.*run again"):
        await handle.result(timeout=120)


def test_blocking_runtimes_replace_workflows_too(database_url: str) -> None:
    def make(word: str) -> Any:
        @turbine.sync.workflow(name="say")
        def say() -> str:
            return word

        return say

    old, new = make("old"), make("new")
    with turbine.sync.Runtime(database_url, workflows=[old]) as rt:
        assert "old" == rt.run(old).result()
        with pytest.raises(NotRegistered, match="replace"):
            rt.run(new)
        assert new is rt.replace(new)
        assert "new" == rt.run(new).result()
    unlaunched = turbine.sync.Runtime("sqlite://:memory:", workflows=[old])
    assert new is unlaunched.replace(new)


async def test_a_workflow_whose_types_cannot_be_resolved_stops_no_other_one(launch: Any) -> None:
    @turbine.workflow(name="unknown", triggerable=True)
    async def unknown(x: Nowhere) -> str:  # noqa: F821
        return "?"

    @turbine.workflow(name="scheduled", schedule="@yearly")
    async def scheduled(tick: Nowhere) -> None: ...  # noqa: F821

    rt = await launch(greet, unknown, scheduled)

    assert "hello Ada" == await (await rt.run(greet, "Ada")).result()
    assert None is next(known.parameters for known in rt.registered_workflows() if known.name == "unknown")
    for start in (lambda: rt.run(unknown, 1), lambda: rt.trigger("unknown", 1)):
        with pytest.raises(turbine.SerializationError, match="'x' of workflow 'unknown', 'Nowhere'"):
            await start()
    assert ["greet"] == await runs(rt)
    assert ["scheduled"] == [schedule.workflow for schedule in (await rt.schedules.list()).items]


@turbine.step
async def untold() -> Nowhere:  # noqa: F821
    raise AssertionError("the body of a step whose type is unknown ran")


@turbine.workflow
async def call_untold() -> None:
    await untold()


async def test_a_step_whose_result_cannot_be_resolved_fails_before_its_body_runs(launch: Any) -> None:
    rt = await launch(call_untold)

    with pytest.raises(turbine.WorkflowFailed, match="return annotation of step 'untold', 'Nowhere'"):
        await (await rt.run(call_untold)).result(timeout=120)
