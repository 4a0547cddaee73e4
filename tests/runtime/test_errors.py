"""Bad input: each gets the error that the contract names, says what to do, and leaves no row behind."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import turbine
from turbine import (
    Runtime,
    SerializationError,
    StoreInvalid,
    StoreUnavailable,
    TurbineError,
    WorkflowFailed,
    WorkflowStatus,
)


@turbine.workflow
async def echo(value: Any) -> Any:
    return await turbine.do(give, value)


async def give(value: Any) -> Any:
    return value


@turbine.workflow
async def make_large(kind: str, size: int) -> Any:
    text = "x" * size
    match kind:
        case "step":
            await turbine.do(give, text)
        case "message":
            await turbine.send(turbine.current().workflow_id, text)
        case "value":
            await turbine.set_value("text", text)
        case "child":
            await echo(text)
        case _:
            return text
    return "small"


@turbine.workflow
async def collect(topic: str) -> Any:
    return await turbine.recv(topic)


def long_name(seed: str) -> str:
    """Ten thousand characters that no database can press together."""
    return "".join(sha256(f"{seed}{number}".encode()).hexdigest() for number in range(157))[:10_000]


@turbine.workflow
async def use_long_names() -> list[str]:
    me = turbine.current().workflow_id
    told: list[str] = []
    for act in (
        lambda: turbine.do(turbine.step(give, name=long_name("step")), 1),
        lambda: turbine.set_value(long_name("key"), 1),
        lambda: turbine.get_value(me, long_name("key"), timeout=0, default=None),
        lambda: turbine.send(me, 1, long_name("topic")),
        lambda: turbine.recv(long_name("topic"), timeout=0, default=None),
        lambda: turbine.patched(long_name("patch")),
    ):
        try:
            await act()
        except ValueError as error:
            told.append(str(error))
        else:
            told.append("kept")
    return told


async def test_payloads_of_some_megabytes_are_kept_with_a_warning(launch, caplog):
    rt = await launch(echo)
    large = "ä" * (5 * 1024 * 1024 // 2)

    assert large == await (await rt.run(echo, large)).result()

    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["the input of workflow 'echo' is", "the output of step 'give' is", "the result of workflow 'echo' is"] == [
        text.partition(" 5,")[0] for text in warnings
    ]


async def test_payloads_above_the_limit_are_refused_wherever_they_come_from(launch):
    rt = await launch(echo, make_large, collect)

    with pytest.raises(SerializationError, match=r"input of workflow 'echo'.*payload_max"):
        await rt.run(echo, "x" * (70 * 1024 * 1024))
    assert [] == (await rt.list()).items


async def test_a_run_that_makes_too_large_payloads_ends_in_error(launch):
    rt = await launch(echo, make_large, payload_max=10_000)

    for kind in ("step", "message", "value", "child", "result"):
        assert await (await rt.run(make_large, kind, 9_000)).result()
        handle = await rt.run(make_large, kind, 11_000)

        with pytest.raises(WorkflowFailed, match="payload_max") as raised:
            await handle.result()
        assert "turbine.errors.SerializationError" == raised.value.type_name
        assert WorkflowStatus.ERROR == (await handle.status()).status
    with pytest.raises(SerializationError, match="payload_max"):
        await rt.send(handle.workflow_id, "x" * 11_000)


async def test_an_id_may_hold_every_character_but_nul_and_lone_surrogates(launch):
    rt = await launch(echo, collect)
    every = [chr(number) for number in range(1, sys.maxunicode + 1) if not 0xD800 <= number <= 0xDFFF]
    # All of the beginning, where the odd ones are, and a sample of the rest.
    text = "".join([*every[:1000], *every[1000::397]])
    ids = [text[start : start + 250] for start in range(0, len(text), 250)]

    for workflow_id in ids:
        handle = await rt.run(collect.options(id=workflow_id, tags=[workflow_id]), workflow_id)
        await rt.send(workflow_id, workflow_id, workflow_id)
        assert workflow_id == handle.workflow_id == await handle.result()

    assert set(ids) == {run.workflow_id for run in (await rt.list(ids=ids)).items}
    assert set(ids) == {run.tags[0] for run in (await rt.list(tag=ids)).items}


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "a\udfffb", ""], ids=ascii)
def test_a_declaration_with_text_that_no_database_keeps_is_refused(bad):
    with pytest.raises(ValueError, match="NUL"):
        echo.options(id=bad)
    with pytest.raises(ValueError, match="NUL"):
        turbine.step(give, name=bad)
    with pytest.raises(ValueError, match="NUL"):
        turbine.workflow(name=bad)(give)
    with pytest.raises(ValueError, match="NUL"):
        turbine.workflow(tags=[bad])(give)


async def test_text_that_no_database_keeps_is_refused(launch):
    rt = await launch(echo)
    await (await rt.run(echo.options(id="one"), 1)).result()

    for bad in ("a\0b", "\ud800", "a\udfffb", ""):
        with pytest.raises(ValueError, match="NUL"):
            rt.retrieve(bad)
        for ask in (rt.cancel, rt.resume, rt.steps, rt.fork, rt.values, rt.explain):
            with pytest.raises(ValueError, match="NUL"):
                await ask(bad)
        with pytest.raises(ValueError, match="NUL"):
            await rt.send(bad, "message")
        with pytest.raises(ValueError, match="NUL"):
            await rt.get_value("one", bad, timeout=0)
        with pytest.raises(ValueError, match=r".+"):
            await rt.kv.set(bad, 1)
        if bad:
            with pytest.raises(ValueError, match="NUL"):
                await rt.send("one", "message", bad)
    assert ["one"] == [run.workflow_id for run in (await rt.list()).items]


async def test_lists_are_asked_with_any_text(launch):
    rt = await launch(echo)
    await (await rt.run(echo, 1)).result()

    for impossible in ("a\0b", "\ud800"):
        for word in ("search", "ids", "name", "tag", "executor_id", "parent_id", "queue", "version"):
            with pytest.raises(ValueError, match="NUL"):
                await rt.list(**{word: impossible})
    for odd in ("'; drop table pt_runs; --", "%", '"', "x" * 1000):
        assert [] == (await rt.list(search=odd if odd != '"' else "''")).items
        assert [] == (await rt.list(ids=odd, name=[odd], tag=odd, executor_id=odd, parent_id=odd)).items
    assert 1 == len((await rt.list()).items)


async def test_long_names_are_kept_whole_or_refused_in_words(launch):
    rt = await launch(collect)

    async def declare() -> None:
        name = long_name("workflow")
        known = await launch(turbine.workflow(name=name)(give))
        await (await known.run(turbine.workflow(name=name)(give), 1)).result()
        assert [name] == [run.name for run in (await known.list(name=name)).items]

    async def start() -> None:
        # Two thousand characters of four bytes.
        text = "".join(chr(0x10000 + 7919 * number % 0xFFFFF) for number in range(2000))
        await rt.run(collect.options(id=text, deduplication_id=text, tags=[text]), "topic")
        assert [text] == [run.workflow_id for run in (await rt.list(ids=text, tag=text)).items]

    async def talk() -> None:
        handle = await rt.run(collect, long_name("topic"))
        await rt.send(handle.workflow_id, 1, long_name("topic"))
        assert 1 == await handle.result()

    async def keep() -> None:
        await rt.kv.set(long_name("key"), 1)
        assert 1 == await rt.kv.get(long_name("key"))

    for act in (declare, start, talk, keep):
        try:
            await act()
        except ValueError as error:
            refusal = str(error)
            assert "characters" in refusal


async def test_names_inside_of_a_run_are_kept_whole_or_refused_in_words(launch):
    rt = await launch(use_long_names)

    handle = await rt.run(use_long_names)

    for told in await handle.result(timeout=120):
        assert told == "kept" or "characters" in told


async def test_none_where_a_value_is_needed_is_a_type_error(launch):
    rt = await launch(echo)

    for ask in (
        lambda: rt.run(None),
        lambda: rt.run(give, 1),
        lambda: rt.cancel(None),
        lambda: rt.resume(None),
        lambda: rt.send(None, 1),
        lambda: rt.steps(None),
        lambda: rt.fork(None),
        lambda: rt.get_value(None, "key"),
        lambda: rt.kv.get(None),
    ):
        with pytest.raises(TypeError):
            await ask()
    with pytest.raises(TypeError):
        rt.retrieve(None)
    with pytest.raises(TypeError):
        Runtime("sqlite://:memory:", workflows=[None])
    with pytest.raises(TypeError):
        Runtime("sqlite://:memory:", workflows=[give])
    assert [] == (await rt.list()).items


class Unexpected(BaseException):
    pass


@turbine.workflow
async def raise_in_the_body(name: str) -> None:
    error = {
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt("ctrl-C"),
        "unexpected": Unexpected("out of the blue"),
        "generator": GeneratorExit("leave"),
        "stop": StopAsyncIteration("stop"),
        "cancelled": asyncio.CancelledError("my own"),
    }[name]
    raise error


@turbine.workflow
def raise_in_a_thread(name: str) -> None:
    raise_in_the_body.fn(name).send(None)


async def test_whatever_a_body_raises_ends_the_run_and_nothing_else(launch):
    rt = await launch(raise_in_the_body, raise_in_a_thread, echo)

    for name in ("exit", "interrupt", "unexpected", "generator", "stop", "cancelled"):
        for workflow in (raise_in_the_body, raise_in_a_thread):
            handle = await rt.run(workflow, name)
            with pytest.raises(WorkflowFailed):
                await handle.result(timeout=120)
            assert WorkflowStatus.ERROR == (await handle.status()).status

    assert 1 == await (await rt.run(echo, 1)).result()


async def test_a_database_that_can_never_work_is_told_at_launch(tmp_path, launch, sqlite_url):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a text").write_text("This is no database, but it is long enough to be taken for one. " * 100)

    for url in (
        f"sqlite:///{tmp_path / 'a folder'}",
        f"sqlite:///{tmp_path / 'a text'}",
        f"sqlite:///{tmp_path / 'a text' / 'below.db'}",
        "mysql://localhost/shop",
        "shop.db",
        "sqlite:",
        "postgresql://[half/shop",
    ):
        with pytest.raises(StoreInvalid) as raised:
            await Runtime(url, workflows=[echo]).launch()
        assert str(raised.value)


async def test_a_postgres_that_is_not_there_is_told_at_launch(postgres_server):
    for url in (
        "postgresql://postgres@127.0.0.1:9/shop?connect_timeout=2",
        postgres_server.url("no such database"),
        postgres_server.url().replace("postgres@", "nobody-knows@"),
    ):
        rt = Runtime(url, workflows=[echo])
        with pytest.raises((StoreUnavailable, StoreInvalid)) as raised:
            await rt.launch()
        assert str(raised.value)
        assert not rt.is_launched
        with pytest.raises(TurbineError):
            await rt.run(echo, 1)


async def test_a_file_that_may_not_be_written_is_told_at_launch():
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/turbine.db"
        async with Runtime(url, workflows=[echo]) as rt:
            await (await rt.run(echo.options(id="one"), 1)).result()
        _forbid_writing(Path(folder))

        with AsNobody(), pytest.raises((StoreUnavailable, StoreInvalid), match="writ"):
            await Runtime(url, workflows=[echo]).launch()


def _forbid_writing(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


class AsNobody:
    """Root may write everything, so root has to be somebody else for a while."""

    def __enter__(self) -> None:
        self.user = os.geteuid()
        if self.user == 0:
            os.seteuid(65534)

    def __exit__(self, *_: object) -> None:
        if self.user == 0:
            os.seteuid(0)


async def test_a_launch_that_failed_may_be_tried_again(tmp_path):
    path = tmp_path / "later.db"
    path.mkdir()
    rt = Runtime(f"sqlite:///{path}", workflows=[echo])
    with pytest.raises(StoreInvalid):
        await rt.launch()

    path.rmdir()

    async with rt:
        assert 1 == await (await rt.run(echo, 1)).result()


@pytest.mark.parametrize("url", ["sqlite:///file.db", "sqlite://:memory:"])
async def test_before_launch_nothing_can_be_asked(url):
    rt = Runtime(url, workflows=[echo])

    for ask in (lambda: rt.run(echo, 1), rt.list, lambda: rt.cancel("one"), lambda: rt.kv.get("key"), rt.wait_idle):
        with pytest.raises(TurbineError, match="launch"):
            await ask()


class Speechless:
    """A payload codec that cannot write one word."""

    def encode(self, payload: str) -> str:
        if payload == '"unspeakable"':
            raise OSError("the key service is away")
        return payload

    def decode(self, payload: str) -> str:
        return payload


@turbine.workflow
async def say() -> str:
    return "unspeakable"


@turbine.workflow
def say_in_a_thread() -> str:
    return "unspeakable"


@turbine.workflow
async def promise_what_nobody_knows() -> Nothing:  # noqa: F821
    return None


@pytest.mark.parametrize("workflow", [say, say_in_a_thread], ids=str)
async def test_a_result_that_the_codec_cannot_write_ends_the_run_in_error(launch, workflow):
    rt = await launch(say, say_in_a_thread, codec=Speechless())

    handle = await rt.run(workflow)

    with pytest.raises(WorkflowFailed, match="the key service is away"):
        await handle.result(timeout=120)


async def test_a_result_annotation_that_cannot_be_read_is_told_before_the_start_and_leaves_no_run_behind(launch):
    rt = await launch(promise_what_nobody_knows, echo)

    with pytest.raises(TypeError, match="Nothing"):
        await rt.run(promise_what_nobody_knows)

    assert [] == (await rt.list()).items


@turbine.workflow
async def cancel_its_own_task() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "done"


async def test_a_body_that_cancels_its_own_task_and_returns_has_its_result(launch):
    rt = await launch(cancel_its_own_task)

    handle = await rt.run(cancel_its_own_task)

    assert "done" == await handle.result(timeout=120)
