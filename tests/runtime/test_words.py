"""What the words of bodies record is listed under the word, as it stands in the code."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from datetime import UTC, datetime

import turbine
import turbine.sync

PAST = datetime(2020, 1, 1, tzinfo=UTC)
EACH = [
    "sleep",
    "sleep",
    "sleep_until",
    "set_value",
    "get_value",
    "send",
    "recv",
    "recv",
    "now",
    "uuid4",
    "random",
    "kv.set",
    "kv.get",
    "kv.delete",
    "kv.list",
    "send_notification",
    "wait_for_approval",
    "result",
    "patched",
]


@turbine.workflow
async def child() -> None: ...


@turbine.workflow
async def uses_each() -> None:
    me = turbine.current().workflow_id
    await turbine.sleep(0)
    await turbine.pause(0)
    await turbine.sleep_until(PAST)
    await turbine.set_value("key", 1)
    await turbine.get_value(me, "key")
    await turbine.send(me, "x")
    await turbine.recv()
    await turbine.recv(timeout=0, default=None)
    await turbine.now()
    await turbine.uuid4()
    await turbine.random()
    await turbine.kv.set("key", 1)
    await turbine.kv.get("key")
    await turbine.kv.delete("key")
    await turbine.kv.list()
    await turbine.set_app_status("busy", "blue")
    with contextlib.suppress(turbine.NotFound):
        await turbine.send_notification("nobody", "x")
    with contextlib.suppress(turbine.ApprovalTimeout):
        await turbine.wait_for_approval(timeout=0)
    await (await turbine.run(child)).result()
    await turbine.patched("change")


@turbine.sync.workflow
def uses_each_blocking() -> None:
    me = turbine.sync.current().workflow_id
    turbine.sync.sleep(0)
    turbine.sync.pause(0)
    turbine.sync.sleep_until(PAST)
    turbine.sync.set_value("key", 1)
    turbine.sync.get_value(me, "key")
    turbine.sync.send(me, "x")
    turbine.sync.recv()
    turbine.sync.recv(timeout=0, default=None)
    turbine.sync.now()
    turbine.sync.uuid4()
    turbine.sync.random()
    turbine.sync.kv.set("key", 1)
    turbine.sync.kv.get("key")
    turbine.sync.kv.delete("key")
    turbine.sync.kv.list()
    turbine.sync.set_app_status("busy", "blue")
    with contextlib.suppress(turbine.NotFound):
        turbine.sync.send_notification("nobody", "x")
    with contextlib.suppress(turbine.ApprovalTimeout):
        turbine.sync.wait_for_approval(timeout=0)
    turbine.sync.run(child).result()
    turbine.sync.patched("change")


async def test_what_a_word_records_is_listed_under_the_word(launch):
    rt = await launch(uses_each, uses_each_blocking, child)
    for workflow in (uses_each, uses_each_blocking):
        handle = await rt.run(workflow)
        await handle.result()
        names = [step.function_name for step in await handle.steps() if step.function_name != "child"]
        assert [f"turbine.{word}" for word in EACH] == names


def _no_step() -> None:
    raise AssertionError("nothing is to run")


BLOCKING: dict[str, Callable[[], object]] = {
    "do": lambda: turbine.sync.do(_no_step),
    "do_async": lambda: turbine.sync.do_async(_no_step),
    "gather": lambda: turbine.sync.gather(_no_step),
    "run": lambda: turbine.sync.run(child),
    "send": lambda: turbine.sync.send("x", 1),
    "recv": lambda: turbine.sync.recv(timeout=0, default=1),
    "set_value": lambda: turbine.sync.set_value("key", 1),
    "get_value": lambda: turbine.sync.get_value("x", "key", timeout=0, default=1),
    "sleep": lambda: turbine.sync.sleep(0),
    "pause": lambda: turbine.sync.pause(0),
    "sleep_until": lambda: turbine.sync.sleep_until(PAST),
    "wait_for_approval": lambda: turbine.sync.wait_for_approval(timeout=0),
    "send_notification": lambda: turbine.sync.send_notification("nobody", "x", wait=False),
    "set_app_status": lambda: turbine.sync.set_app_status("busy", "blue"),
    "send_product": lambda: turbine.sync.send_product("a.txt", b"a"),
    "now": turbine.sync.now,
    "uuid4": turbine.sync.uuid4,
    "random": turbine.sync.random,
    "patched": lambda: turbine.sync.patched("change"),
    "kv.get": lambda: turbine.sync.kv.get("key"),
    "kv.set": lambda: turbine.sync.kv.set("key", 1),
    "kv.delete": lambda: turbine.sync.kv.delete("key"),
    "kv.list": turbine.sync.kv.list,
}


NOT_BLOCKING = {"check_cancelled", "current", "logger", "remote", "step", "workflow"}


def test_every_blocking_function_is_among_those_that_are_tried_in_async_code() -> None:
    functions = {name for name in turbine.sync.__all__ if inspect.isfunction(getattr(turbine.sync, name))}
    methods = {f"kv.{name}" for name in dir(turbine.sync.kv) if not name.startswith("_")}
    assert set(BLOCKING) == functions - NOT_BLOCKING | methods


def _refused(word: str) -> str:
    try:
        BLOCKING[word]()
    except TypeError as error:
        return str(error)
    return "it was let through"


@turbine.step
async def refuses_in_step() -> dict[str, str]:
    return {word: _refused(word) for word in BLOCKING}


@turbine.workflow
async def refuses() -> list[dict[str, str]]:
    in_body = {word: _refused(word) for word in BLOCKING if word != "send_product"}
    beside = await asyncio.to_thread(lambda: {word: _refused(word) for word in in_body})
    return [in_body, beside, await refuses_in_step()]


@turbine.sync.workflow
def refuses_in_async_step() -> list[dict[str, str]]:
    return [turbine.sync.do(refuses_in_step)]


async def test_a_blocking_word_in_async_code_names_the_word_that_is_right_there(launch):
    rt = await launch(refuses, refuses_in_async_step)
    for workflow in (refuses, refuses_in_async_step):
        handle = await rt.run(workflow)
        for told in await handle.result():
            for word, text in told.items():
                name = "sleep" if word == "pause" else word  # one function with two names
                assert f"await turbine.{name}(...)" in text, (word, text)
        assert ["refuses_in_step"] == [step.function_name for step in await handle.steps()]


@turbine.step
async def uses_words_in_a_thread() -> list[object]:
    def in_thread() -> list[object]:
        turbine.sync.kv.set("key", 1)
        turbine.sync.set_app_status("busy", "blue")
        return [turbine.sync.kv.get("key"), asyncio.run(in_a_loop_of_its_own())]

    return await asyncio.to_thread(in_thread)


async def in_a_loop_of_its_own() -> object:
    return turbine.sync.kv.get("key")


@turbine.workflow
async def uses_a_thread() -> list[object]:
    return await uses_words_in_a_thread()


async def test_a_blocking_word_works_in_any_thread_of_an_async_step(launch):
    rt = await launch(uses_a_thread)
    assert [1, 1] == await (await rt.run(uses_a_thread)).result()


@turbine.step
async def uses_blocking_runtime() -> str:
    runtime = blocking[0]
    try:
        runtime.kv.get("key")
    except TypeError as error:
        return str(error)
    return "it was let through"


@turbine.workflow
async def asks_blocking_runtime() -> str:
    return await uses_blocking_runtime()


blocking: list[turbine.sync.Runtime] = []


def test_a_blocking_runtime_refuses_its_own_event_loop(database_url):
    with turbine.sync.Runtime(database_url, workflows=[asks_blocking_runtime]) as rt:
        blocking[:] = [rt]
        told = rt.run(asks_blocking_runtime).result(timeout=120)
    assert "Kv.get" in told
    assert "turbine.current().runtime" in told


@turbine.step
async def uses_the_runtime_of_another_loop(id: str) -> list[str]:
    texts: list[str] = []
    for use in (
        lambda: blocking[0].kv.get("key"),
        lambda: blocking[0].status(id),
        lambda: blocking[0].retrieve(id).result(),
        lambda: blocking[0].retrieve(id).status(),
        lambda: blocking[0].retrieve(id).steps(),
    ):
        try:
            use()
        except TypeError as error:
            texts.append(str(error))
    return texts


@turbine.workflow
async def asks_the_runtime_of_another_loop() -> list[str]:
    me = turbine.current().workflow_id
    return await uses_the_runtime_of_another_loop(me)


async def test_an_async_step_may_not_wait_for_a_blocking_runtime_of_another_loop(launch, database_url):
    rt = await launch(asks_the_runtime_of_another_loop)
    other = turbine.sync.Runtime(database_url, shutdown_timeout=0)
    await asyncio.to_thread(other.launch)
    try:
        blocking[:] = [other]
        texts = await (await rt.run(asks_the_runtime_of_another_loop)).result()
    finally:
        await asyncio.to_thread(other.shutdown)
    assert 5 == len(texts)
    assert all("would block the event loop" in text for text in texts)


@turbine.sync.workflow
def starts_a_child_for_others() -> str:
    handles[:] = [turbine.sync.run(child)]
    handles[0].result()
    return turbine.sync.do(uses_a_handle)


async def uses_a_handle() -> str:
    texts: list[str] = []
    for method in ("status", "steps", "result"):
        try:
            getattr(handles[0], method)()
        except TypeError as error:
            texts.append(str(error))
    return " ".join(texts)


handles: list[turbine.sync.Handle[None]] = []


async def test_a_handle_of_blocking_code_is_refused_in_an_async_step(launch):
    rt = await launch(starts_a_child_for_others, child)
    text = await (await rt.run(starts_a_child_for_others)).result()
    for method in ("status", "steps", "result"):
        assert f"`await handle.{method}(...)`" in text
