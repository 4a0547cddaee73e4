"""Senders: a product is brought to where it belongs in the background, and its row tells how that went."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pytest

import turbine
import turbine.sync
from turbine import Conflict, ProductRecord, Runtime, WorkflowSender
from turbine.model.products import BLOCK
from turbine.testing import World

LARGE = bytes(range(256)) * (BLOCK // 128) + b"end"


@turbine.step
async def make(name: str) -> ProductRecord:
    return await turbine.send_product(name, LARGE, {"kind": "test"})


@turbine.workflow
async def one(name: str = "file.bin") -> ProductRecord:
    return await make(name)


@turbine.workflow
async def archive(product: ProductRecord) -> str:
    assert isinstance(product, ProductRecord)
    return f"{product.file_name} {product.size} {product.metadata}"


@turbine.workflow
async def archive_dict(product: dict[str, Any]) -> str:
    return f"{product['file_name']} {product['size']} {product['metadata']}"


@turbine.workflow
async def archive_any(product: Any) -> str:
    return f"{product['file_name']} {product['size']} {product['metadata']}"


@turbine.sync.workflow
def archive_blocking(product: ProductRecord) -> str:
    return f"{product.file_name} {product.size} {product.metadata}"


class Receiver:
    """Takes products, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.got: list[tuple[ProductRecord, bytes]] = []

    async def send(self, product: ProductRecord, data: BinaryIO) -> None:
        content = data.read()
        self.got.append((product, content))
        if len(self.got) <= self.failures:
            raise OSError(f"no room, time {len(self.got)}")


class BlockingReceiver:
    def __init__(self) -> None:
        self.threads: list[int] = []
        self.got: list[bytes] = []

    def send(self, product: ProductRecord, data: BinaryIO) -> None:
        self.threads.append(threading.get_ident())
        self.got.append(data.read(10) + data.read())


class Open(Protocol):
    async def __call__(self, *workflows: Any, **settings: Any) -> World: ...


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open(*workflows: Any, **settings: Any) -> World:
            return await stack.enter_async_context(World(database_url, workflows=workflows, **settings))

        yield open


async def made(world: World, name: str = "file.bin") -> ProductRecord:
    return await (await world.runtime.run(one, name)).result()


async def delivered(world: World, id: str) -> ProductRecord:
    """The product when its delivery is over, whatever pauses that takes."""
    while (product := await world.runtime.products.get(id)).status == "stored":
        await world.advance(seconds=60)
        await asyncio.sleep(0.002)
    return product


async def test_a_product_is_sent_with_its_bytes_and_then_is_sent(world) -> None:
    receiver = Receiver()
    here = await world(one, product_sender=receiver)
    record = await made(here)
    product = await delivered(here, record.id)
    assert ("sent", None) == (product.status, product.error)
    assert [(record, LARGE)] == receiver.got
    (delivery,) = (await here.runtime.deliveries.list(kind="product")).items
    assert ("delivered", record.id, record.workflow_id) == (delivery.status, delivery.target, delivery.workflow_id)


async def test_a_blocking_sender_is_called_in_a_thread(world) -> None:
    receiver = BlockingReceiver()
    here = await world(one, product_sender=receiver)
    assert "sent" == (await delivered(here, (await made(here)).id)).status
    assert [LARGE] == receiver.got
    assert threading.get_ident() not in receiver.threads


async def test_each_attempt_gets_the_bytes_anew(world) -> None:
    receiver = Receiver(failures=2)
    here = await world(one, product_sender=receiver)
    product = await delivered(here, (await made(here)).id)
    assert ("sent", None) == (product.status, product.error)
    assert [LARGE] * 3 == [content for _, content in receiver.got]
    (delivery,) = (await here.runtime.deliveries.list()).items
    assert ["OSError: no room, time 1", "OSError: no room, time 2", None] == [a.error for a in delivery.attempts]


async def test_a_product_that_finally_fails_can_be_sent_again(world) -> None:
    receiver = Receiver(failures=3)
    here = await world(one, product_sender=receiver)
    record = await made(here)
    product = await delivered(here, record.id)
    assert ("failed", "OSError: no room, time 3") == (product.status, product.error)
    again = await here.runtime.products.resend(record.id)
    assert ("stored", None) == (again.status, again.error)
    product = await delivered(here, record.id)
    assert ("sent", None, 4) == (product.status, product.error, len(receiver.got))
    deliveries = (await here.runtime.deliveries.list(target=record.id)).items
    assert ["delivered", "dead"] == [delivery.status for delivery in deliveries]
    assert {record.workflow_id} == {delivery.workflow_id for delivery in deliveries}


async def test_only_what_failed_is_sent_again_and_only_by_who_can(world) -> None:
    receiver = Receiver(failures=1)
    here = await world(one, product_sender=receiver, delivery_attempts=1)
    failed, stored = await delivered(here, (await made(here)).id), await made(here, "second")
    sent = await delivered(here, stored.id)
    with pytest.raises(Conflict, match="is sent, not failed"):
        await here.runtime.products.resend(sent.id)
    here.runtime.set_product_sender(None)
    with pytest.raises(Conflict, match="no product sender"):
        await here.runtime.products.resend(failed.id)
    assert failed == await here.runtime.products.get(failed.id)
    unsent = await made(here, "third")
    here.runtime.set_product_sender(receiver)
    with pytest.raises(Conflict, match="is stored, not failed"):
        await here.runtime.products.resend(unsent.id)


async def test_two_who_send_again_at_once_make_one_delivery(world) -> None:
    here = await world(one, product_sender=Receiver(failures=1), delivery_attempts=1)
    record = await delivered(here, (await made(here)).id)
    answers = await asyncio.gather(*(here.runtime.products.resend(record.id) for _ in range(3)), return_exceptions=True)
    assert 2 == len([answer for answer in answers if isinstance(answer, Conflict)])
    assert 2 == len((await here.runtime.deliveries.list(target=record.id)).items)


async def test_without_a_sender_products_stay_and_a_later_sender_gets_later_ones(world) -> None:
    here = await world(one)
    before = await made(here)
    await here.advance(seconds=60)
    receiver = Receiver()
    here.runtime.set_product_sender(receiver)
    after = await made(here)
    assert "sent" == (await delivered(here, after.id)).status
    assert "stored" == (await here.runtime.products.get(before.id)).status
    assert [after] == [product for product, _ in receiver.got]


async def test_what_one_process_cannot_send_is_left_to_another(database_url, world) -> None:
    here = await world(one, product_sender=Receiver(failures=100))
    record = await made(here)
    here.runtime.set_product_sender(None)
    receiver = Receiver()
    there = await world(product_sender=receiver)
    await there.advance(seconds=120)
    assert "sent" == (await delivered(there, record.id)).status
    assert [(record.id, LARGE)] == [(product.id, content) for product, content in receiver.got]


async def test_a_step_that_is_tried_again_sends_its_product_once(world) -> None:
    @turbine.step(retries=1, base_interval=0)
    async def flaky() -> str:
        record = await turbine.send_product("a", b"x")
        if turbine.current().attempt == 1:
            raise OSError("later")
        return record.id

    @turbine.workflow
    async def body() -> str:
        return await flaky()

    receiver = Receiver()
    here = await world(body, product_sender=receiver)
    id = await (await here.runtime.run(body)).result()
    await delivered(here, id)
    await here.advance(minutes=5)
    assert [id] == [product.id for product, _ in receiver.got]


async def test_a_product_whose_run_was_deleted_is_given_up(world) -> None:
    here = await world(one)
    record = await made(here)
    here.runtime.set_product_sender(Receiver(failures=1))
    failing = await made(here)
    while not (await here.runtime.deliveries.list()).items[0].attempts:  # noqa: ASYNC110 - the row is the only witness
        await asyncio.sleep(0.002)
    assert 2 == await here.runtime.delete(record.workflow_id, failing.workflow_id)
    await here.advance(seconds=60)
    (delivery,) = (await here.runtime.deliveries.list(status="dead")).items
    assert "was deleted" in delivery.attempts[-1].error


@pytest.mark.parametrize("error", [SystemExit("bye"), StopIteration(), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_no_error_of_a_sender_ends_anything_else(world, kind: str, error: BaseException) -> None:
    class Bad:
        async def send(self, product: ProductRecord, data: BinaryIO) -> None:
            raise error

    class BadBlocking:
        def send(self, product: ProductRecord, data: BinaryIO) -> None:
            raise error

    here = await world(one, product_sender=Bad() if kind == "async" else BadBlocking(), delivery_attempts=1)
    product = await delivered(here, (await made(here)).id)
    assert "failed" == product.status
    assert type(error).__name__ in (product.error or "")


async def test_what_cannot_send_is_no_sender(sqlite_url) -> None:
    with pytest.raises(TypeError, match="needs a method send"):
        Runtime(sqlite_url, product_sender=print)
    with pytest.raises(TypeError, match="needs a method send"):
        Runtime(sqlite_url).set_product_sender(object())  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="is not a workflow"):
        WorkflowSender(None, print)  # pyright: ignore[reportArgumentType]


# To a workflow


@pytest.mark.parametrize("target", [archive, archive_dict, archive_any, archive_blocking], ids=lambda one: one.name)
async def test_a_workflow_sender_starts_one_run_for_each_product(world, target) -> None:
    here = await world(one, target)
    rt = here.runtime
    rt.set_product_sender(WorkflowSender(rt, target))
    record = await made(here)
    assert "sent" == (await delivered(here, record.id)).status
    (run,) = (await rt.list(name=target.name)).items
    told = f"file.bin {len(LARGE)} {{'kind': 'test'}}"
    assert (f"product-{record.id}", told) == (run.workflow_id, await rt.retrieve(run.workflow_id).result())
    async with rt.products.open(record.id) as file:
        await WorkflowSender(rt, target).send(record, file)  # pyright: ignore[reportArgumentType] - it reads nothing
    assert 1 == len((await rt.list(name=target.name)).items)


async def test_a_workflow_sender_keeps_the_options_of_its_workflow(world) -> None:
    here = await world(one, archive)
    rt = here.runtime
    rt.set_product_sender(WorkflowSender(rt, archive.options(tags=["from a product"])))
    record = await made(here)
    await delivered(here, record.id)
    assert ["from a product"] == (await rt.status(f"product-{record.id}")).tags


async def test_a_workflow_that_is_not_known_makes_the_product_fail(world) -> None:
    here = await world(one)
    here.runtime.set_product_sender(WorkflowSender(here.runtime, archive))
    product = await delivered(here, (await made(here)).id)
    assert "failed" == product.status
    assert "NotRegistered" in (product.error or "")


async def test_a_blocking_runtime_sends_products_too(database_url) -> None:
    def use() -> tuple[str, str]:
        rt = turbine.sync.Runtime(database_url, workflows=[one, archive])
        rt.set_product_sender(turbine.sync.WorkflowSender(rt, archive))
        with rt:
            record = rt.run(one).result()
            while rt.products.get(record.id).status == "stored":
                threading.Event().wait(0.005)
            return rt.products.get(record.id).status, rt.retrieve(f"product-{record.id}").result()

    assert ("sent", f"file.bin {len(LARGE)} {{'kind': 'test'}}") == await asyncio.to_thread(use)


# Death


class Fatal:
    """Writes down what it took, and dies of the first product."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, product: ProductRecord, data: BinaryIO) -> None:
        (self.folder / product.id).write_bytes(data.read())
        os.kill(os.getpid(), signal.SIGKILL)


async def die_while_delivering(database_url: str, folder: str) -> None:
    async with Runtime(database_url, workflows=[one], product_sender=Fatal(Path(folder))) as rt:
        await (await rt.run(one.options(id="w"))).result()
        await asyncio.Event().wait()


@pytest.mark.crash
async def test_a_product_is_sent_again_when_the_process_dies_before_its_row(
    database_url: str, in_another_process: Callable[..., int], tmp_path: Path, launch: Callable[..., Awaitable[Runtime]]
) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    assert -signal.SIGKILL == in_another_process(die_while_delivering, str(folder))
    receiver = Receiver()
    rt = await launch(one, product_sender=receiver)
    (record,) = (await rt.products.list()).items
    while (await rt.products.get(record.id)).status == "stored":  # noqa: ASYNC110 - the row is the only witness
        await asyncio.sleep(0.005)
    assert [record.id] == [path.name for path in folder.iterdir()]
    assert [(record.id, LARGE)] == [(product.id, content) for product, content in receiver.got]
    assert LARGE == (folder / record.id).read_bytes()
