"""Products: a file that a step made is kept once, whole, and in little memory, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import resource
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

import turbine
import turbine.sync
from turbine import Conflict, NotFound, NotInStep, ProductRecord, ProductStatus, Runtime, SerializationError
from turbine.model.products import BLOCK
from turbine.store import Statement
from turbine.tables import products

LARGE = bytes(range(256)) * (BLOCK // 64) + b"end"
"""A little more than four blocks."""


def rows(rt: Runtime, sql: str) -> list[Any]:
    live = rt._live
    assert live is not None
    return live.store.read_blocking(lambda tx: tx.rows(Statement.of(sql)))


async def content(rt: Runtime, id: str) -> bytes:
    async with rt.products.open(id) as file:
        return await file.read()


def files_of(rt: Runtime) -> list[str]:
    """What is kept anywhere: files beside the database, and uploads in it."""
    folder = Path(rt.database.removeprefix("sqlite:///") + "-products")
    files = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(files + [row[0] for row in rows(rt, "select distinct upload from pt_product_chunks")])


class Box:
    """Carries data into steps: what a test wants sent, by name."""

    data: ClassVar[dict[str, Any]] = {}


@turbine.step
async def make(name: str, key: str, metadata: Any = None) -> ProductRecord:
    return await turbine.send_product(name, Box.data[key], metadata)


@turbine.workflow
async def one(name: str, key: str = "x", metadata: Any = None) -> ProductRecord:
    return await make(name, key, metadata)


@turbine.sync.step
def make_blocking(name: str, key: str) -> ProductRecord:
    return turbine.sync.send_product(name, Box.data[key], {"by": "a thread"})


@turbine.sync.workflow
def one_blocking(name: str, key: str) -> ProductRecord:
    return make_blocking(name, key)


@turbine.workflow
async def one_in_thread(name: str, key: str) -> ProductRecord:
    return await turbine.do(make_blocking, name, key)


async def sent(rt: Runtime, data: Any, name: str = "file.bin", metadata: Any = None) -> ProductRecord:
    Box.data["x"] = data
    return await (await rt.run(one, name, "x", metadata)).result()


async def in_pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        await asyncio.sleep(0)
        yield data[start : start + size]


def pieces(data: bytes, size: int = 700_001) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


class AsyncFile:
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int) -> bytes:
        return self._file.read(size)


async def test_a_product_is_kept_with_all_that_is_known_of_it(launch) -> None:
    rt = await launch(one)
    Box.data["x"] = b"hello"
    handle = await rt.run(one.options(id="w-1"), "report.txt", "x", {"pages": 3})
    record = await handle.result()
    (step,) = await handle.steps()
    assert record == await rt.products.get(record.id)
    assert ("w-1", step.function_id, "make") == (record.workflow_id, record.function_id, record.function_name)
    assert ("report.txt", 5, {"pages": 3}) == (record.file_name, record.size, record.metadata)
    assert hashlib.sha256(b"hello").hexdigest() == record.sha256
    assert (ProductStatus.STORED, None) == (record.status, record.error)
    assert isinstance(record.created, datetime)
    assert b"hello" == await content(rt, record.id)


@pytest.mark.parametrize(
    "kind",
    ["bytes", "bytearray", "memoryview", "strided", "path", "file", "async file", "iterator", "list", "async iterator"],
)
async def test_bytes_come_from_any_source_and_come_back_as_they_were(launch, tmp_path, kind: str) -> None:
    rt = await launch(one)
    (tmp_path / "large").write_bytes(LARGE)
    data = {
        "bytes": lambda: LARGE,
        "bytearray": lambda: bytearray(LARGE),
        "memoryview": lambda: memoryview(LARGE),
        "strided": lambda: memoryview(LARGE[::-1])[::-1],
        "path": lambda: tmp_path / "large",
        "file": lambda: io.BytesIO(LARGE),
        "async file": lambda: AsyncFile(LARGE),
        "iterator": lambda: pieces(LARGE),
        "list": lambda: [LARGE[:3], LARGE[3:]],
        "async iterator": lambda: in_pieces(LARGE),
    }[kind]()
    record = await sent(rt, data)
    assert (len(LARGE), hashlib.sha256(LARGE).hexdigest()) == (record.size, record.sha256)
    assert LARGE == await content(rt, record.id)
    assert [] == rows(rt, "select * from pt_product_uploads")


@pytest.mark.parametrize("workflow", [one_blocking, one_in_thread], ids=["blocking", "blocking step of an async run"])
@pytest.mark.parametrize("kind", ["bytes", "iterator", "async iterator"])
async def test_blocking_steps_send_products_too(launch, workflow, kind: str) -> None:
    rt = await launch(workflow)
    Box.data["y"] = {"bytes": LARGE, "iterator": pieces(LARGE), "async iterator": in_pieces(LARGE)}[kind]
    record = await (await rt.run(workflow, "large", "y")).result()
    assert {"by": "a thread"} == record.metadata
    assert LARGE == await content(rt, record.id)


async def test_a_blocking_step_reads_its_data_in_its_own_thread(launch) -> None:
    seen: list[int] = []

    def source() -> Iterator[bytes]:
        seen.append(threading.get_ident())
        yield b"x"

    @turbine.sync.step
    def send() -> None:
        seen.append(threading.get_ident())
        turbine.sync.send_product("x", source())

    @turbine.sync.workflow
    def body() -> None:
        send()

    rt = await launch(body)
    await (await rt.run(body)).result()
    assert [seen[0]] * 2 == seen


async def test_an_empty_file_is_a_product(launch) -> None:
    rt = await launch(one)
    for data in (b"", [], io.BytesIO(), in_pieces(b"")):
        record = await sent(rt, data)
        assert (0, hashlib.sha256().hexdigest()) == (record.size, record.sha256)
        assert b"" == await content(rt, record.id)


async def test_a_product_is_read_in_pieces_and_from_any_place(launch) -> None:
    rt = await launch(one)
    record = await sent(rt, LARGE)
    async with rt.products.open(record.id) as file:
        assert LARGE[:10] == await file.read(10)
        assert LARGE[10:20] == await file.read(10)
        assert 2 * BLOCK - 5 == await file.seek(2 * BLOCK - 5)
        assert LARGE[2 * BLOCK - 5 : 2 * BLOCK + 5] == await file.read(10)
        await file.seek(-3, os.SEEK_END)
        assert (b"end", b"") == (await file.read(), await file.read(1))
    with pytest.raises(ValueError, match="not open"):
        await file.read()


async def test_blocking_code_lists_and_reads_products(database_url) -> None:
    Box.data["x"] = LARGE

    def use() -> None:
        with turbine.sync.Runtime(database_url, workflows=[one]) as rt:
            record = rt.run(one, "a.bin", "x").result()
            assert [record] == rt.products.list(search="A.B").items
            assert record == rt.products.get(record.id)
            with rt.products.open(record.id) as file:
                assert (LARGE[:7], LARGE[7:]) == (file.read(7), file.read())
            with pytest.raises(NotFound):
                rt.products.open("unknown")
            with pytest.raises(Conflict):
                rt.products.resend(record.id)

    await asyncio.to_thread(use)


# Once for each step and name


async def test_a_second_product_of_the_same_name_is_the_first_one_and_is_not_read(launch) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("read")
        yield b""

    @turbine.step
    async def twice() -> list[ProductRecord]:
        return [
            await turbine.send_product("a", b"1"),
            await turbine.send_product("a", never()),
            await turbine.send_product("b", b"2"),
        ]

    @turbine.workflow
    async def body() -> list[ProductRecord]:
        return [*await twice(), *await twice()]

    rt = await launch(body)
    a, again, b, *later = await (await rt.run(body)).result()
    assert a == again
    assert 4 == len({a.id, b.id, later[0].id, later[2].id})
    assert 4 == len(files_of(rt))


async def test_two_at_once_of_the_same_name_become_one(launch) -> None:
    @turbine.step
    async def twice() -> list[ProductRecord]:
        return await asyncio.gather(*(turbine.send_product("a", in_pieces(LARGE)) for _ in range(3)))

    @turbine.workflow
    async def body() -> list[ProductRecord]:
        return await twice()

    rt = await launch(body)
    records = await (await rt.run(body)).result()
    assert 1 == len({record.id for record in records})
    assert [records[0].id] == files_of(rt)
    assert [] == rows(rt, "select * from pt_product_uploads")


async def test_a_step_that_is_tried_again_finds_its_product(launch) -> None:
    reads: list[int] = []

    def source() -> Iterator[bytes]:
        reads.append(1)
        yield b"x"

    @turbine.step(retries=2, base_interval=0)
    async def flaky() -> str:
        record = await turbine.send_product("a", source())
        if turbine.current().attempt < 3:
            raise OSError("later")
        return record.id

    @turbine.workflow
    async def body() -> str:
        return await flaky()

    rt = await launch(body)
    id = await (await rt.run(body)).result()
    assert ([1], [id]) == (reads, [record.id for record in (await rt.products.list()).items])


# What is refused


async def test_outside_of_steps_it_says_where_it_belongs(launch) -> None:
    @turbine.workflow
    async def body() -> None:
        await turbine.send_product("a", b"")

    @turbine.sync.workflow
    def blocking_body() -> None:
        turbine.sync.send_product("a", b"")

    rt = await launch(body, blocking_body)
    for workflow in (body, blocking_body):
        with pytest.raises(turbine.WorkflowFailed, match=r"decorated with @turbine\.step") as failed:
            await (await rt.run(workflow)).result()
        assert "turbine.errors.NotInStep" == failed.value.type_name
    with pytest.raises(NotInStep, match="outside of a running workflow"):
        turbine.send_product("a", b"")
    with pytest.raises(NotInStep):
        turbine.sync.send_product("a", b"")
    assert [] == (await rt.products.list()).items


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/b\\c",
        "..",
        ".",
        "CON",
        "NUL",
        "aux.txt",
        "n" * 300,
        "日本 🎉.pdf",
        " ",
        "a\nb",
    ],
)
async def test_any_name_is_kept_as_it_is_and_becomes_no_path(launch, tmp_path, name: str) -> None:
    before = set(tmp_path.iterdir())
    rt = await launch(one, product_storage=str(tmp_path / "kept"))
    record = await sent(rt, b"x", name)
    assert (name, b"x") == (record.file_name, await content(rt, record.id))
    assert [record.id] == [path.name for path in (tmp_path / "kept").rglob("*")]
    made = {path.name for path in set(tmp_path.iterdir()) - before if not path.name.startswith("turbine.db")}
    assert {"kept"} == made


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
async def test_what_can_be_no_name_is_refused(launch, name: str) -> None:
    @turbine.step
    async def send() -> None:
        await turbine.send_product(Box.data["name"], b"")

    @turbine.workflow
    async def body() -> None:
        await send()

    Box.data["name"] = name
    rt = await launch(body)
    with pytest.raises(turbine.WorkflowFailed, match="file name is 1 to") as failed:
        await (await rt.run(body)).result()
    assert "builtins.ValueError" == failed.value.type_name


@pytest.mark.parametrize(
    "metadata", [[1], "text", 3, {"x": object()}, {1: 2}], ids=["list", "text", "number", "object", "number as key"]
)
async def test_metadata_is_a_json_object(launch, metadata: Any) -> None:
    @turbine.step
    async def send() -> None:
        with pytest.raises(SerializationError, match="metadata of product 'a'"):
            await turbine.send_product("a", b"", metadata)

    @turbine.workflow
    async def body() -> None:
        await send()

    rt = await launch(body)
    await (await rt.run(body)).result()
    assert [] == (await rt.products.list()).items


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (lambda: "text", "pathlib.Path"),
        (lambda: io.StringIO("text"), "gave str"),
        (io.StringIO, "gave str"),
        (lambda: [b"x", 1], "gave int"),
        (lambda: 3, "not int"),
        (dict, "not dict"),
    ],
)
async def test_what_is_not_bytes_is_refused_and_leaves_nothing(launch, data: Any, told: str) -> None:
    rt = await launch(one)
    with pytest.raises(turbine.WorkflowFailed, match=told) as failed:
        await sent(rt, data())
    assert "builtins.TypeError" == failed.value.type_name
    assert ([], []) == (files_of(rt), rows(rt, "select * from pt_product_uploads"))


async def test_a_source_that_fails_in_the_middle_leaves_nothing(launch, tmp_path) -> None:
    rt = await launch(one)

    def broken() -> Iterator[bytes]:
        yield LARGE
        raise OSError("the source is gone")

    with pytest.raises(turbine.WorkflowFailed, match="the source is gone"):
        await sent(rt, broken())
    with pytest.raises(turbine.WorkflowFailed, match="No such file"):
        await sent(rt, tmp_path / "missing")
    assert ([], [], []) == (
        files_of(rt), rows(rt, "select * from pt_product_uploads"), (await rt.products.list()).items
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_a_cancelled_run_keeps_nothing_of_its_upload(launch, kind: str) -> None:
    rt = await launch(one)
    started, go_on = threading.Event(), threading.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield LARGE
        started.set()
        await asyncio.Event().wait()

    def slow_blocking() -> Iterator[bytes]:
        yield LARGE
        started.set()
        go_on.wait(120)
        yield LARGE

    Box.data["x"] = slow() if kind == "async" else slow_blocking()
    handle = await rt.run(one, "a", "x")
    await asyncio.to_thread(started.wait)
    assert await rt.cancel(handle.workflow_id)
    with pytest.raises(turbine.AwaitedCancelled):
        await handle.result()
    go_on.set()
    await rt.wait_idle()
    while rows(rt, "select * from pt_product_uploads"):  # noqa: ASYNC110 - the row is the only witness
        await asyncio.sleep(0.002)
    assert ([], []) == (files_of(rt), (await rt.products.list()).items)


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_an_upload_that_a_shutdown_interrupts_is_made_anew(launch, kind: str) -> None:
    rt = await launch(one, one_blocking)
    started, held = threading.Event(), threading.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield LARGE
        started.set()
        await asyncio.Event().wait()

    def slow_blocking() -> Iterator[bytes]:
        yield LARGE
        started.set()
        held.wait(0.2)
        yield LARGE

    Box.data["x"] = slow() if kind == "async" else slow_blocking()
    handle = await rt.run(one if kind == "async" else one_blocking, "a", "x")
    await asyncio.to_thread(started.wait)
    await rt.shutdown()
    Box.data["x"] = b"whole"
    await rt.launch()
    record = await rt.retrieve(handle.workflow_id, ProductRecord).result()
    assert b"whole" == await content(rt, record.id)
    await rt.garbage_collect(timedelta(hours=1))
    assert ([record.id], []) == (files_of(rt), rows(rt, "select * from pt_product_uploads"))


# Lists


async def test_a_list_is_filtered_and_paged_newest_first(launch) -> None:
    rt = await launch(one)
    made = [await sent(rt, b"x", name) for name in ("Report 1.pdf", "100%.txt", "report_2.pdf", "1000.txt")]
    made.reverse()
    assert made == (await rt.products.list()).items
    assert [made[0]] == (await rt.products.list(made[0].workflow_id)).items
    assert [made[1], made[3]] == (await rt.products.list(search="REPORT")).items
    assert [made[2]] == (await rt.products.list(search="0%")).items
    assert made == (await rt.products.list(status=["stored", "sent"])).items
    assert [] == (await rt.products.list(status="failed")).items
    page = await rt.products.list(limit=3)
    rest = await rt.products.list(limit=3, cursor=page.next_cursor)
    assert (made[:3], made[3:], None) == (page.items, rest.items, rest.next_cursor)


async def test_what_can_never_be_listed_is_refused(launch) -> None:
    rt = await launch(one)
    for wrong in ({"limit": 0}, {"cursor": "x"}, {"status": "gone"}):
        with pytest.raises(ValueError, match=r"must be between|not a cursor|not a valid"):
            await rt.products.list(**wrong)
    for act in (rt.products.get, rt.products.resend, lambda id: content(rt, id)):
        with pytest.raises(NotFound) as missing:
            await act("unknown")
        assert ("product", "unknown") == (missing.value.kind, missing.value.id)


# Storages


async def test_products_outlive_a_change_of_their_storage(launch, tmp_path) -> None:
    places = [
        None,
        "database",
        tmp_path / "folder",
        f"file://{tmp_path}/other%20one",
        "memory://turbine-test",
        "memory://",
    ]
    made: list[ProductRecord] = []
    for place in places:
        rt = await launch(one, product_storage=place)
        made.append(await sent(rt, LARGE))
        for record in made:
            assert LARGE == await content(rt, record.id)
        if place != places[-1]:
            await rt.shutdown()
    assert [made[2].id] == [path.name for path in (tmp_path / "folder").iterdir()]
    assert [made[3].id] == [path.name for path in (tmp_path / "other one").iterdir()]
    assert len(made) == await rt.delete(*(record.workflow_id for record in made))
    assert [] == [path for name in ("folder", "other one") for path in (tmp_path / name).iterdir()]
    assert [] == files_of(rt)


async def test_a_storage_in_memory_keeps_products_too() -> None:
    async with Runtime("sqlite://:memory:", workflows=[one]) as rt:
        record = await sent(rt, LARGE)
        assert LARGE == await content(rt, record.id)


@pytest.mark.parametrize(
    ("place", "told"),
    [("s3://bucket/x", "s3fs"), ("nosuch://x", "not known"), ("file://elsewhere/x", "no folder of this machine")],
)
async def test_a_storage_that_cannot_be_used_is_refused_at_launch(sqlite_url, place: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        await Runtime(sqlite_url, product_storage=place).launch()


async def test_a_storage_without_fsspec_says_what_to_install(sqlite_url, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ValueError, match=r"turbine-workflows\[storage\]"):
        await Runtime(sqlite_url, product_storage="memory://x").launch()


async def test_bytes_that_are_gone_are_missed_by_name(launch, tmp_path) -> None:
    rt = await launch(one, product_storage=str(tmp_path / "kept"))
    record = await sent(rt, b"x")
    (tmp_path / "kept" / record.id).unlink()
    with pytest.raises(NotFound, match="not where they were put"):
        await content(rt, record.id)


async def test_metadata_goes_through_the_users_codec(launch) -> None:
    class Reversed:
        def encode(self, payload: str) -> str:
            return payload[::-1]

        def decode(self, payload: str) -> str:
            return payload[::-1]

    rt = await launch(one, codec=Reversed())
    record = await sent(rt, b"x", metadata={"secret": "word"})
    assert {"secret": "word"} == record.metadata == (await rt.products.get(record.id)).metadata
    ((stored,),) = rows(rt, "select metadata from pt_products")
    assert "word" not in stored


# Death and garbage


@pytest.mark.parametrize("place", ["default", "database"])
async def test_deleting_a_run_removes_its_products_with_their_bytes(launch, place: str) -> None:
    rt = await launch(one, product_storage=None if place == "default" else place)
    gone, kept = await sent(rt, LARGE), await sent(rt, LARGE)
    assert 1 == await rt.delete(gone.workflow_id)
    assert [kept] == (await rt.products.list()).items
    assert [kept.id] == files_of(rt)
    assert 1 == await rt.garbage_collect(timedelta(0))
    assert ([], [], []) == (
        (await rt.products.list()).items, files_of(rt), rows(rt, "select * from pt_product_uploads")
    )  # fmt: skip


async def test_bytes_that_could_not_be_removed_are_removed_later(launch, tmp_path, caplog) -> None:
    folder = tmp_path / "kept"
    rt = await launch(one, product_storage=str(folder))
    record = await sent(rt, b"x")
    (folder / record.id).unlink()
    (folder / record.id).mkdir()  # what is no file cannot be unlinked
    assert 1 == await rt.delete(record.workflow_id)
    assert [(record.id,)] == rows(rt, "select upload from pt_product_uploads")
    assert "removed later" in caplog.text
    (folder / record.id).rmdir()
    await rt.garbage_collect(timedelta(0))
    assert [] == rows(rt, "select upload from pt_product_uploads")


async def test_garbage_collection_leaves_uploads_alone_that_are_under_way(launch) -> None:
    rt = await launch(one)
    other = await launch(one)
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield LARGE
        started.set()
        await go_on.wait()
        yield b"more"

    Box.data["x"] = slow()
    handle = await rt.run(one, "a", "x")
    await started.wait()
    for runtime in (rt, other):
        await runtime.garbage_collect(timedelta(0))
    go_on.set()
    assert LARGE + b"more" == await content(rt, (await handle.result()).id)


@turbine.step
async def make_counted(path: str) -> str:
    def source() -> Iterator[bytes]:
        with Path(path).open("a") as file:
            file.write("read\n")
        yield LARGE
        if Box.data.get("dies in the middle"):
            os.kill(os.getpid(), signal.SIGKILL)

    return (await turbine.send_product("large", source())).id


@turbine.workflow
async def counted(path: str) -> str:
    return await make_counted(path)


class Killer:
    """Kills its own process at the commit that makes the upload a product."""

    def __init__(self, moment: str) -> None:
        self.moment = moment

    def before(self, jobs: Any) -> None:
        self._look("before", jobs)

    def after(self, jobs: Any) -> None:
        self._look("after", jobs)

    def _look(self, moment: str, jobs: Any) -> None:
        if moment == self.moment and any(job.function is products.add for job in jobs):
            os.kill(os.getpid(), signal.SIGKILL)


async def die_while_sending(database_url: str, path: str, moment: str) -> None:
    rt = Runtime(database_url, workflows=[counted])
    await rt.launch()
    assert rt._live is not None
    rt._live.store.writer.crash_point = Killer(moment)
    Box.data["dies in the middle"] = moment == "middle"
    await (await rt.run(counted.options(id="w"), path)).result()


@pytest.mark.crash
@pytest.mark.parametrize(("moment", "reads"), [("middle", 2), ("before", 2), ("after", 1)])
async def test_a_process_that_dies_while_it_sends_leaves_one_product_and_no_other_bytes(
    launch, in_another_process, tmp_path, moment: str, reads: int
) -> None:
    path = tmp_path / "reads"
    assert -signal.SIGKILL == in_another_process(die_while_sending, str(path), moment)
    rt = await launch(counted)
    id = await rt.retrieve("w", str).result()
    assert LARGE == await content(rt, id)
    assert (reads, [id]) == (len(path.read_text().split()), [one.id for one in (await rt.products.list()).items])
    assert reads == len(files_of(rt))
    await rt.garbage_collect(timedelta(hours=1))
    assert ([id], []) == (files_of(rt), rows(rt, "select * from pt_product_uploads"))


@turbine.step
async def make_huge(megabytes: int) -> str:
    block = b"\x07" * 300_000

    def source() -> Iterator[bytes]:
        for _ in range(megabytes * 1_000_000 // len(block)):
            yield block

    return (await turbine.send_product("huge", source())).id


@turbine.workflow
async def huge(megabytes: int) -> str:
    return await make_huge(megabytes)


async def send_and_read_huge(database_url: str, limit: str) -> None:
    """Fails when the process grows by more MiB for the large product than it did for a small one."""
    async with Runtime(database_url, workflows=[huge]) as rt:
        growth: list[int] = []
        for megabytes in (30, 300):
            id = await (await rt.run(huge, megabytes)).result()
            async with rt.products.open(id) as file:
                read = 0
                while piece := await file.read(BLOCK):
                    read += len(piece)
            assert megabytes * 1_000_000 == read
            growth.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    grown = (growth[1] - growth[0]) // 1024
    if grown > int(limit):
        sys.exit(f"the process grew by {grown} MiB")


async def test_a_product_of_300_megabytes_takes_little_memory(in_another_process) -> None:
    assert 0 == in_another_process(send_and_read_huge, "16")
