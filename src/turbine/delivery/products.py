"""The way of products out of the process: the user's sender, once for each attempt, with the bytes opened anew.

A sender must be fit to be given the same product twice: the process may die between its return and the row.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, BinaryIO, Protocol

from turbine.errors import SerializationError
from turbine.model.deliveries import AttemptResult
from turbine.model.products import ProductRecord, ProductStorages
from turbine.registry import WorkflowBase
from turbine.store import Store
from turbine.tables import products
from turbine.tables.deliveries import ClaimedDelivery
from turbine.threads import Threads


class ProductSender(Protocol):
    """What brings products to where they belong: `async def send`, or `def send`, which is called in a thread.

    It is done when it returns, and has failed when it raises; then it is called again later, up to
    `Config.delivery_attempts` times. `data` is at its start at each call, can be read in pieces, and is closed
    afterwards. The same product may come twice: its `id` tells.
    """

    def send(self, product: ProductRecord, data: BinaryIO) -> Awaitable[None] | None:
        """Bring one product there."""
        ...


class ProductTransport:
    """How products leave the process."""

    def __init__(
        self,
        store: Store,
        storages: ProductStorages,
        open: Callable[[str], str],
        sender: ProductSender,
        threads: Threads,
    ) -> None:
        """`open` undoes the payload codec; `threads` are for senders that block."""
        self._store = store
        self._storages = storages
        self._open = open
        self._sender = sender
        self._threads = threads

    async def deliver(self, held: ClaimedDelivery) -> AttemptResult:
        """Give a product to the sender, once."""
        stored = await self._store.read(products.get, product_id=held.target)
        if stored is None:
            return AttemptResult("the product was deleted, together with its run", final=True)
        product = stored.record(self._open)
        try:
            data = await self._threads.run(self._storages.open, stored.storage, stored.id, stored.size)
        except FileNotFoundError as error:
            return AttemptResult(f"the bytes of the product are gone: {error}", final=True)
        with data:
            error = await self._send(product, data)
        return AttemptResult(error)

    async def _send(self, product: ProductRecord, data: BinaryIO) -> str | None:
        """What is wrong, if something that is no ordinary error is: what would end the thread or the process."""
        send = self._sender.send
        try:
            if inspect.iscoroutinefunction(send):
                await send(product, data)
            else:
                sent = await self._threads.run(_call, send, product, data)
                if inspect.isawaitable(sent):
                    await sent
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            return f"{type(error).__name__}: {error}"
        return None


def _call(send: Callable[[ProductRecord, BinaryIO], Any], product: ProductRecord, data: BinaryIO) -> Any:
    try:
        return send(product, data)
    except StopIteration as error:  # no future takes it
        raise RuntimeError(f"the sender raised StopIteration: {error}") from error


class WorkflowSender:
    """A sender that starts a run for each product: `rt.set_product_sender(WorkflowSender(rt, archive))`.

    The workflow takes one parameter, the product: a `ProductRecord`, or a dict, as it is annotated. The run's id is
    made of the product's, so there is exactly one run for each product, however often it is sent.
    """

    def __init__(self, rt: Any, workflow: WorkflowBase[..., Any]) -> None:
        """`rt` is any runtime, of this module or of `turbine.sync`, that knows the workflow."""
        if not isinstance(workflow, WorkflowBase):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{workflow!r} is no workflow; decorate the function with @turbine.workflow")
        self._runtime: Any = getattr(rt, "inner", rt)
        self._workflow = workflow

    async def send(self, product: ProductRecord, data: BinaryIO) -> None:
        """Start the run of a product, or find it started. The bytes stay where they are: `rt.products.open(id)`."""
        await self._runtime.run(self._workflow.options(id=f"product-{product.id}"), self._fitting(product))

    def _fitting(self, product: ProductRecord) -> ProductRecord | dict[str, Any]:
        definition = self._workflow.definition
        if definition.fn is not None:
            try:
                definition.signature.encode((product,), {})
            except SerializationError:  # annotated as a dict, or as something like it
                return {**asdict(product), "status": str(product.status), "created": product.created.isoformat()}
        return product
