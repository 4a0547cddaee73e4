"""Types change while runs are open: what was recorded with the old ones is never lost, and never an error of a step."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

import turbine
import turbine.sync
from turbine import Runtime, WorkflowFailed, WorkflowStatus
from turbine.testing import crash_everywhere, replay

handled: list[BaseException] = []


@pytest.fixture(autouse=True)
def nothing_handled() -> None:
    handled.clear()


class Order(BaseModel):
    name: str
    count: int = 1
    note: str = ""


class Renamed(BaseModel):
    title: str
    count: int = 1


class Less(BaseModel):
    name: str


class Tight(BaseModel):
    name: Annotated[str, Field(max_length=3)]
    count: int
    note: str


class More(BaseModel):
    name: str
    count: int
    note: str
    extra: int | None = None


AN_ORDER = Order(name="a long name", count=7, note="keep me")

# Where a body gets something of a type. Each asks for it, is parked, and tells what it has.


def of_step(kind: Any) -> list[Any]:
    @turbine.step
    async def make() -> kind:
        return kind(**AN_ORDER.model_dump())

    @turbine.workflow(name="flow")
    async def flow() -> str:
        return await parked_with(make())

    return [flow]


def of_arguments(kind: Any) -> list[Any]:
    @turbine.workflow(name="flow")
    async def flow(order: kind) -> str:
        async def has() -> Any:
            return order

        return await parked_with(has())

    return [flow]


def of_message(kind: Any) -> list[Any]:
    @turbine.workflow(name="flow")
    async def flow() -> str:
        await turbine.send(turbine.current().workflow_id, AN_ORDER, "orders")
        return await parked_with(turbine.recv("orders", type=kind))

    return [flow]


def of_value(kind: Any) -> list[Any]:
    @turbine.workflow(name="flow")
    async def flow() -> str:
        await turbine.set_value("order", AN_ORDER)
        return await parked_with(turbine.get_value(turbine.current().workflow_id, "order", type=kind))

    return [flow]


def of_store(kind: Any) -> list[Any]:
    @turbine.workflow(name="flow")
    async def flow() -> str:
        await turbine.kv.set("order", AN_ORDER)
        return await parked_with(turbine.kv.get("order", type=kind))

    return [flow]


def of_form(kind: Any) -> list[Any]:
    @turbine.workflow(name="flow")
    async def flow() -> str:
        async def decided() -> Any:
            return (await turbine.wait_for_approval("Ship it?", form=kind)).data

        return await parked_with(decided())

    return [flow]


def of_child(kind: Any) -> list[Any]:
    @turbine.workflow(name="child")
    async def child() -> kind:
        return kind(**AN_ORDER.model_dump())

    @turbine.workflow(name="flow")
    async def flow() -> str:
        return await parked_with(child())

    return [flow, child]


def of_handle(kind: Any) -> list[Any]:
    @turbine.workflow(name="child")
    async def child() -> kind:
        return kind(**AN_ORDER.model_dump())

    @turbine.workflow(name="flow")
    async def flow() -> str:
        handle = await turbine.run(child)
        return await parked_with(handle.result())

    return [flow, child]


def of_blocking_step(kind: Any) -> list[Any]:
    @turbine.sync.step
    def make() -> kind:
        return kind(**AN_ORDER.model_dump())

    @turbine.sync.workflow(name="flow")
    def flow() -> str:
        try:
            order = make()
            turbine.sync.recv("go", timeout=600)
            return show(order)
        except Exception as error:
            handled.append(error)
            raise

    return [flow]


async def parked_with(call: Any) -> str:
    try:
        order = await call
        await turbine.recv("go", timeout=600)
        return show(order)
    except Exception as error:  # noqa: BLE001 - so does a body that mends failures of its steps
        handled.append(error)
        return "a failure was mended"


def show(order: Any) -> str:
    return order.model_dump_json()


PLACES = [
    of_step,
    of_arguments,
    of_message,
    of_value,
    of_store,
    of_form,
    of_child,
    of_handle,
    of_blocking_step,
]


async def begin(rt: Runtime, flow: Any) -> str:
    """A run that waits for `go`, with an order in its hands."""
    handle = await rt.run(flow.options(id="it"), *([AN_ORDER] if flow.definition.signature.parameters else []))
    await rt.wait_idle()
    if (await handle.status()).status == WorkflowStatus.WAITING_FOR_APPROVAL:
        await rt.approve("it", data=AN_ORDER.model_dump())
        await rt.wait_idle()
    assert WorkflowStatus.PENDING == (await handle.status()).status
    return handle.workflow_id


async def attention(rt: Runtime, workflow_id: str) -> str:
    while (status := await rt.status(workflow_id)).attention is None:  # noqa: ASYNC110 - its row is the only witness
        await asyncio.sleep(0.01)
    assert WorkflowStatus.PENDING == status.status
    return status.attention


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("now", "fields"), [(Renamed, ["title"]), (Less, ["count", "note"]), (Tight, ["name"])])
async def test_a_run_is_set_aside_where_a_type_does_not_take_what_was_recorded_and_goes_on_with_the_old_one(
    launch: Any, place: Any, now: Any, fields: list[str]
) -> None:
    flows = place(Order)
    old = await launch(*flows)
    workflow_id = await begin(old, flows[0])
    await old.shutdown()

    new = await launch(*place(now))
    await new.send(workflow_id, None, "go")
    text = await attention(new, workflow_id)
    for words in ("'flow'", now.__name__, *fields):
        assert words in text
    assert "set-aside" == (await new.explain(workflow_id)).reason
    assert [] == handled
    await new.shutdown()

    again = await launch(*place(Order))
    assert AN_ORDER == Order.model_validate_json(await again.retrieve(workflow_id).result(timeout=120))
    assert None is (await again.status(workflow_id)).attention
    assert [] == handled


@pytest.mark.parametrize("place", PLACES)
async def test_a_type_that_has_another_optional_field_takes_what_was_recorded(launch: Any, place: Any) -> None:
    flows = place(Order)
    old = await launch(*flows)
    workflow_id = await begin(old, flows[0])
    await old.shutdown()

    new = await launch(*place(More))
    await new.send(workflow_id, None, "go")

    result = await new.retrieve(workflow_id).result(timeout=120)
    assert More(**AN_ORDER.model_dump()) == More.model_validate_json(result)
    assert [] == handled


async def test_a_run_that_was_set_aside_is_tried_again_when_it_is_resumed_and_when_its_code_is_replaced(
    launch: Any,
) -> None:
    flows = of_step(Order)
    old = await launch(*flows)
    workflow_id = await begin(old, flows[0])
    await old.shutdown()
    rt = await launch(*of_step(Less))
    await rt.send(workflow_id, None, "go")
    await attention(rt, workflow_id)

    await rt.resume(workflow_id)
    assert "count, note" in await attention(rt, workflow_id)
    await rt.replace(flows[0])

    assert AN_ORDER == Order.model_validate_json(await rt.retrieve(workflow_id).result(timeout=120))


async def test_a_body_that_swallows_everything_does_not_hide_a_misfit_and_leaves_memory(launch: Any) -> None:
    def flows(kind: Any) -> Any:
        @turbine.step
        async def make() -> kind:
            return kind(**AN_ORDER.model_dump())

        async def in_background() -> None:
            try:
                await make()
            except BaseException:  # noqa: BLE001 - that is the point
                handled.append(ValueError())

        @turbine.workflow(name="flow")
        async def flow() -> str:
            task = asyncio.create_task(in_background())
            await turbine.recv("go", timeout=600)
            await task
            return "all is well"

        return flow

    old_flow = flows(Order)
    old = await launch(old_flow)
    handle = await old.run(old_flow)
    await old.wait_idle()
    await old.shutdown()

    rt = await launch(flows(Renamed))
    await rt.resume(handle.workflow_id)
    await rt.send(handle.workflow_id, None, "wake up")
    await rt.send(handle.workflow_id, None, "go")
    assert "title" in await attention(rt, handle.workflow_id)
    await rt.wait_idle()


async def test_an_annotation_that_cannot_be_resolved_any_more_sets_the_run_aside(launch: Any) -> None:
    flows = of_step(Order)
    old = await launch(*flows)
    workflow_id = await begin(old, flows[0])
    await old.shutdown()

    @turbine.step
    async def make() -> Nowhere:  # noqa: F821
        raise AssertionError

    @turbine.workflow(name="flow")
    async def flow() -> str:
        return await parked_with(make())

    rt = await launch(flow)
    await rt.send(workflow_id, None, "go")
    assert "step 'make', 'Nowhere', cannot be resolved" in await attention(rt, workflow_id)
    await rt.replace(flows[0])
    assert AN_ORDER == Order.model_validate_json(await rt.retrieve(workflow_id).result(timeout=120))
    assert [] == handled


@turbine.step
async def die_once(folder: str) -> None:
    if is_first(Path(folder, "died")):
        os.kill(os.getpid(), signal.SIGKILL)


def is_first(marker: Path) -> bool:
    if marker.exists():
        return False
    marker.touch()
    return True


def dies(kind: Any) -> Any:
    @turbine.step
    async def make() -> kind:
        return kind(**AN_ORDER.model_dump())

    @turbine.workflow(name="flow")
    async def flow(order: kind, folder: str) -> str:
        made = await make()
        await die_once(folder)
        assert order == made
        return show(made)

    return flow


async def start_and_die(database: str, folder: str) -> None:
    flow = dies(Order)
    async with Runtime(database, workflows=[flow]) as rt:
        await (await rt.run(flow.options(id="it"), AN_ORDER, folder)).result()


async def test_a_run_whose_process_was_killed_is_taken_up_by_the_code_that_fits_it(
    launch: Any, in_another_process: Any, tmp_path: Path
) -> None:
    assert -signal.SIGKILL == in_another_process(start_and_die, str(tmp_path))

    new = await launch(dies(Less))
    assert "'order' of workflow 'flow' does not fit Less" in await attention(new, "it")
    await new.shutdown()
    old = await launch(dies(Order))

    assert AN_ORDER == Order.model_validate_json(await old.retrieve("it").result(timeout=120))


# Runs that were started by others


def take(kind: Any) -> Any:
    @turbine.workflow(name="take", queue="q", triggerable=True)
    async def flow(order: kind) -> str:
        await turbine.recv("go", timeout=600)
        return show(order)

    return flow


def runtime(url: str, *workflows: Any, listens: bool = True) -> Runtime:
    rt = Runtime(url, workflows=workflows, shutdown_timeout=0)
    rt.queue("q", worker_concurrency=1, release_while_waiting=True)
    if not listens:
        rt.listen()
    return rt


@pytest.mark.parametrize("now", [Renamed, Less, Tight])
async def test_a_queued_run_whose_input_does_not_fit_is_set_aside_and_does_not_stop_its_queue(
    database_url: str, now: Any
) -> None:
    old, new = take(Order), take(now)

    @turbine.workflow(queue="q")
    async def another() -> str:
        return "done"

    async with runtime(database_url, old, listens=False) as rt:
        await rt.run(old.options(id="it"), AN_ORDER)
    async with runtime(database_url, new, another) as rt:
        assert now.__name__ in await attention(rt, "it")
        assert "done" == await (await rt.run(another)).result(timeout=120)
    async with runtime(database_url, old) as rt:
        await rt.send("it", None, "go")
        assert AN_ORDER == Order.model_validate_json(await rt.retrieve("it").result(timeout=120))
        assert None is (await rt.status("it")).attention


async def test_a_queued_run_whose_workflow_takes_other_arguments_now_is_set_aside(database_url: str) -> None:
    @turbine.workflow(name="take", queue="q")
    async def changed(order: Order, currency: str) -> str:
        return currency

    old = take(Order)
    async with runtime(database_url, old, listens=False) as rt:
        await rt.run(old.options(id="it"), AN_ORDER)
    async with runtime(database_url, changed) as rt:
        assert "currency" in await attention(rt, "it")


async def test_input_from_where_the_code_is_not_may_have_more_than_the_workflow_reads(database_url: str) -> None:
    remote = turbine.remote("take", result_type=str)
    more = {"name": "x", "unknown": 1}
    async with runtime(database_url, take(Less)) as worker, runtime(database_url, listens=False) as starter:
        started = await starter.run(remote.options(queue="q"), more)
        triggered = await starter.trigger("take", more)
        for workflow_id in (started.workflow_id, triggered):
            await worker.wait_idle()
            assert {"args": [more], "kwargs": {}} == (await worker.status(started.workflow_id)).input
            await worker.send(workflow_id, None, "go")
            assert Less(name="x") == Less.model_validate_json(await worker.retrieve(workflow_id).result(timeout=120))
        history = await worker.export(started.workflow_id)
        assert (await replay(type(history).from_json(history.to_json()), take(Less))).ok


async def test_a_result_that_a_child_left_while_its_parent_was_away_is_not_lost(database_url: str) -> None:
    def flows(kind: Any) -> tuple[Any, Any]:
        @turbine.workflow(name="child", queue="q")
        async def child() -> kind:
            return kind(**AN_ORDER.model_dump())

        @turbine.workflow(name="flow")
        async def flow() -> str:
            return await parked_with(child())

        return flow, child

    old, new = flows(Order), flows(Less)
    async with runtime(database_url, *old, listens=False) as rt:
        await rt.run(old[0].options(id="it"))
        await rt.wait_idle()
    async with runtime(database_url, old[1]) as rt:
        while (await rt.status("it-0")).status != WorkflowStatus.SUCCESS:  # noqa: ASYNC110 - its row is the only witness
            await asyncio.sleep(0.01)
    async with runtime(database_url, *new) as rt:
        assert "the result of run it-0 does not fit Less" in await attention(rt, "it")
    async with runtime(database_url, *old) as rt:
        await rt.send("it", None, "go")
        assert AN_ORDER == Order.model_validate_json(await rt.retrieve("it").result(timeout=120))
    assert [] == handled


async def test_a_body_may_read_a_part_of_the_result_of_another_run_or_find_it_to_be_of_another_type(
    database_url: str, replay: Any
) -> None:
    @turbine.workflow(name="other", queue="q")
    async def other() -> Order:
        return AN_ORDER

    @turbine.workflow
    async def flow() -> list[str]:
        got = [(await turbine.remote("other", result_type=Less).options(id="o", queue="q")()).name]
        rt = turbine.current().runtime
        got.append((await rt.retrieve("o", Less).result()).name)
        try:
            got.append(await rt.retrieve("o", int).result())
        except turbine.ValidationFailed:
            got.append("no number")
        await turbine.recv("again")
        return got

    rt = runtime(database_url, other, flow)
    async with rt:
        handle = await rt.run(flow)
        await replay(rt, handle)
        assert ["a long name", "a long name", "no number"] == await handle.result(timeout=120)


# Types that read a part by design


@turbine.workflow
async def reads_a_part() -> list[str]:
    own = turbine.current().workflow_id
    await turbine.send(own, AN_ORDER, "orders")
    await turbine.set_value("order", AN_ORDER)
    names = [
        (await turbine.recv("orders", type=Less)).name,
        (await turbine.get_value(own, "order", type=Less)).name,
    ]
    await turbine.sleep(3600)
    return names


async def test_a_type_that_reads_a_part_of_what_others_wrote_goes_on_doing_so_whenever_the_process_dies() -> None:
    report = await crash_everywhere(reads_a_part)

    assert report.crash_points > 5


async def test_a_fork_goes_on_reading_a_part(launch: Any) -> None:
    def flow(kind: Any) -> Any:
        @turbine.workflow(name="flow")
        async def flow() -> str:
            order = await turbine.recv("orders", type=kind)
            await turbine.recv("go", timeout=600)
            return show(order)

        return flow

    first = flow(Less)
    rt = await launch(first)
    handle = await rt.run(first)
    await rt.send(handle.workflow_id, AN_ORDER, "orders")
    await rt.wait_idle()

    forked = await rt.fork(handle.workflow_id, 1)
    await rt.send(forked.workflow_id, None, "go")

    assert Less(name="a long name") == Less.model_validate_json(await forked.result(timeout=120))


@turbine.workflow
async def takes_a_number() -> str:
    try:
        return str(await turbine.recv("number", type=int))
    except turbine.ValidationFailed:
        await turbine.recv("again")
        return "no number"


@turbine.workflow
async def looks_for_numbers() -> list[str]:
    got: list[str] = []
    await turbine.set_value("number", "seven")
    await turbine.kv.set("number", "seven")
    for look in (
        lambda: turbine.get_value(turbine.current().workflow_id, "number", type=int),
        lambda: turbine.kv.get("number", type=int),
    ):
        try:
            got.append(str(await look()))
        except turbine.ValidationFailed as error:
            got.append(type(error).__name__)
    await turbine.recv("again")
    return got


async def test_what_was_of_another_type_when_it_came_is_that_in_every_replay(launch: Any, replay: Any) -> None:
    rt = await launch(takes_a_number, looks_for_numbers)
    first, second = await rt.run(takes_a_number), await rt.run(looks_for_numbers)
    await rt.send(first.workflow_id, "seven", "number")

    await replay(rt, first)
    await rt.send(second.workflow_id, None, "again")

    assert "no number" == await first.result(timeout=120)
    assert ["ValidationFailed"] * 2 == await second.result(timeout=120)


async def test_a_message_that_did_not_fit_is_read_again_when_its_run_is_resumed_with_a_type_that_takes_it(
    launch: Any,
) -> None:
    def flow(kind: Any) -> Any:
        @turbine.workflow(name="flow")
        async def flow() -> str:
            return str(await turbine.recv("number", type=kind))

        return flow

    strict = flow(int)
    rt = await launch(strict)
    handle = await rt.run(strict)
    await rt.send(handle.workflow_id, "seven", "number")
    with pytest.raises(WorkflowFailed, match="ValidationFailed"):
        await handle.result(timeout=120)

    await rt.replace(flow(int | str))
    await rt.resume(handle.workflow_id)

    assert "seven" == await handle.result(timeout=120)


# Errors have types too


class Declined(Exception):
    pass


@turbine.step
async def decline() -> None:
    raise Declined("no money")


@turbine.workflow
async def goes_on_after_a_decline() -> str:
    try:
        await decline()
    except Declined:
        await turbine.recv("go", timeout=600)
        return "declined"
    return "?"


async def test_an_error_whose_type_is_gone_sets_the_run_aside(launch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rt = await launch(goes_on_after_a_decline)
    handle = await rt.run(goes_on_after_a_decline)
    await rt.wait_idle()
    await rt.shutdown()

    with monkeypatch.context() as patch:
        patch.delitem(globals(), "Declined")
        without = await launch(goes_on_after_a_decline)
        await without.send(handle.workflow_id, None, "go")
        text = await attention(without, handle.workflow_id)
        assert "Declined" in text
        assert "'decline' at position 0" in text
        await without.shutdown()

    later = await launch(goes_on_after_a_decline)
    assert "declined" == await later.retrieve(handle.workflow_id).result(timeout=120)


class Lock:
    """A codec of payloads whose key can be lost."""

    key = "key"

    def encode(self, text: str) -> str:
        return f"{self.key}:{text}"

    def decode(self, text: str) -> str:
        key, _, rest = text.partition(":")
        if key != self.key:
            raise PermissionError(f"the key {key!r} is not here")
        return rest


async def test_a_payload_that_the_codec_cannot_open_sets_the_run_aside(launch: Any) -> None:
    flows = of_arguments(Order)
    rt = await launch(*flows, codec=Lock())
    workflow_id = await begin(rt, flows[0])
    await rt.shutdown()
    other = Lock()
    other.key = "another"

    without = await launch(*of_arguments(Order), codec=other)
    await without.send(workflow_id, None, "go")
    while (text := (await _attention_of(without, workflow_id))) is None:  # noqa: ASYNC110 - its row is the only witness
        await asyncio.sleep(0.01)
    assert "the key 'key' is not here" in text
    await without.shutdown()


async def _attention_of(rt: Runtime, workflow_id: str) -> str | None:
    page = await rt.list(ids=workflow_id)
    return page.items[0].attention


def test_blocking_code_is_set_aside_and_goes_on_too(database_url: str) -> None:
    with turbine.sync.Runtime(database_url, workflows=of_blocking_step(Order), shutdown_timeout=0) as rt:
        flow = of_blocking_step(Order)[0]
        rt.replace(flow)
        rt.run(flow.options(id="it"))
        rt.wait_idle()
    with turbine.sync.Runtime(database_url, workflows=of_blocking_step(Less), shutdown_timeout=0) as rt:
        rt.send("it", None, "go")
        while (status := rt.status("it")).attention is None:
            threading.Event().wait(0.01)
        assert "count, note" in status.attention
        rt.replace(of_blocking_step(Order)[0])
        assert AN_ORDER == Order.model_validate_json(rt.retrieve("it").result(timeout=120))
    assert [] == handled


# Dataclasses and TypedDicts are types too; a step may be typed by one.


@dataclass
class WorkflowScope:
    street: str
    town: str = ""


@dataclass
class PlaceWithoutTown:
    street: str


async def test_a_dataclass_that_lost_a_field_sets_the_run_aside(launch: Any) -> None:
    def flow(kind: Any) -> Any:
        @turbine.step
        async def where() -> list[kind]:
            return [kind("Main Street", "Springfield")]

        @turbine.workflow(name="flow")
        async def flow() -> str:
            places = await where()
            await turbine.recv("go", timeout=600)
            return str(places)

        return flow

    whole = flow(WorkflowScope)
    rt = await launch(whole)
    handle = await rt.run(whole)
    await rt.wait_idle()

    await rt.replace(flow(PlaceWithoutTown))
    await rt.shutdown()
    await rt.launch()
    await rt.send(handle.workflow_id, None, "go")
    assert "0.town" in await attention(rt, handle.workflow_id)

    await rt.replace(whole)
    assert "Springfield" in await handle.result(timeout=120)
