"""Product senders: the user's code that sends products, called once for each attempt with the bytes opened anew.

A sender may get the same product twice, because the process may die after it has returned and before that is written
down.
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
    """Sends products to their destination: `async def send`, or `def send`, which is called in a thread.

    It succeeds when it returns, and fails when it raises; then it is called again later, up to
    `Config.delivery_attempts` times. `data` is at its start at each call, can be read in pieces, and is closed
    afterwards. The same product may come twice, with the same `id`.
    """

    def send(self, product: ProductRecord, data: BinaryIO) -> Awaitable[None] | None:
        """Send one product."""
        ...


class ProductTransport:
    """Gives products to the sender."""

    def __init__(
        self,
        store: Store,
        storages: ProductStorages,
        open: Callable[[str], str],
        sender: ProductSender,
        threads: Threads,
    ) -> None:
        """`open` reverses the payload codec; `threads` are for senders that block."""
        self._store = store
        self._storages = storages
        self._open = open
        self._sender = sender
        self._threads = threads

    async def deliver(self, held: ClaimedDelivery) -> AttemptResult:
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
        """Call the sender; returns the text of an exception that would end the thread or the process."""
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
    except StopIteration as error:  # a future cannot hold it
        raise RuntimeError(f"the sender raised StopIteration: {error}") from error


class WorkflowSender:
    """A sender that starts a run for each product: `rt.set_product_sender(WorkflowSender(rt, archive))`.

    The workflow takes one parameter, the product: a `ProductRecord` or a dict, as annotated. The id of the run is
    derived from that of the product, so there is exactly one run for each product, however often it is sent.
    """

    def __init__(self, rt: Any, workflow: WorkflowBase[..., Any]) -> None:
        """`rt` is a runtime of `turbine` or of `turbine.sync` that has the workflow registered."""
        if not isinstance(workflow, WorkflowBase):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{workflow!r} is not a workflow; decorate the function with @turbine.workflow")
        self._runtime: Any = getattr(rt, "inner", rt)
        self._workflow = workflow

    async def send(self, product: ProductRecord, data: BinaryIO) -> None:
        """Start the run of a product, or join it. The bytes stay in their storage: `rt.products.open(id)`."""
        await self._runtime.run(self._workflow.options(id=f"product-{product.id}"), self._argument(product))

    def _argument(self, product: ProductRecord) -> ProductRecord | dict[str, Any]:
        definition = self._workflow.definition
        if definition.fn is not None:
            try:
                definition.signature.encode((product,), {})
            except SerializationError:  # annotated as a dict or the like
                return {**asdict(product), "status": str(product.status), "created": product.created.isoformat()}
        return product
