"""Products: what `send_product` does inside a step.

The bytes are durable first; then one transaction checks that the run is still ours, writes the product's row and its
delivery, and ends the upload. A step may run again after any of this: a product that it has made under this name is
found before a byte is read. No more than a few blocks are in memory at once.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from turbine.codec import PayloadType, payload_type
from turbine.engine.branches import StepScope
from turbine.engine.execution import Execution
from turbine.errors import Cancelled, NotInStep, SerializationError, StoreUnavailable
from turbine.ids import check_name, new_id
from turbine.model.products import BLOCK, ProductRecord, ProductUpload
from turbine.registry import current_scope
from turbine.tables import products
from turbine.tables.deliveries import NewDelivery
from turbine.tables.ownership import Answer
from turbine.tables.products import NewProduct, StoredProduct

log = logging.getLogger("turbine")

T = TypeVar("T")
UNTYPED: PayloadType[Any] = payload_type(Any)
METADATA: PayloadType[Any] = payload_type(dict[str, Any])


def frame_of_step() -> StepScope:
    """The step whose body runs here. Raises NotInStep, saying why, elsewhere."""
    here = current_scope.get()
    if type(here) is StepScope:
        return here
    if here is not None:
        raise NotInStep(
            "turbine.send_product was used in the body of a workflow; what makes a file may fail and be tried again, so"
            " move it, and the call, into a function decorated with @turbine.step"
        )
    raise NotInStep(
        "turbine.send_product was used outside of a running workflow; call it inside a step that a workflow runs"
    )


async def store_product(
    frame: StepScope, file_name: str, data: Any, metadata: Any, *, in_thread: bool
) -> ProductRecord:
    """Keep a file that the step of this frame made, once for its name; durable when it returns.

    With `in_thread` it blocks instead of suspending, and reads `data` in the calling thread.
    """
    return await _Sending(frame, file_name, metadata, in_thread=in_thread).product(data)


class _Sending:
    """One call of `send_product`."""

    def __init__(self, frame: StepScope, file_name: str, metadata: Any, *, in_thread: bool) -> None:
        execution = frame.execution
        execution.check()
        self.frame = frame
        self.execution = execution
        self.file_name = check_name(file_name, "file name")
        self.metadata = _sealed(execution, metadata, self.file_name)
        self.id = new_id()
        self._in_thread = in_thread

    async def product(self, data: Any) -> ProductRecord:
        try:
            stored = await self._known() or await self._store(_source_of(data))
        except StoreUnavailable as error:
            if not self.execution.is_ours(error):  # the user's iterator has a runtime of its own
                raise
            raise self.execution.away(error) from error
        except Cancelled as error:  # which a thread that copies is told; the step may be in the event loop
            if self.execution.signal is None:
                raise
            raise self.execution.ending() from error
        return stored.record(self.execution.app.payloads.open)

    async def _known(self) -> StoredProduct | None:
        run, position, store = self.execution.run, self.frame.position, self.execution.app.store
        if self._in_thread:
            return store.read_blocking(products.find, run=run, position=position, file_name=self.file_name)
        return await store.read(products.find, run=run, position=position, file_name=self.file_name)

    async def _store(self, source: Iterator[Any] | AsyncIterator[Any]) -> StoredProduct:
        app = self.execution.app
        chunk_buffer = ChunkBuffer(partial(app.storages.create, self.id))
        app.storages.active.add(self.id)
        try:
            await self._write(
                products.begin_upload, upload=self.id, storage=app.storages.place, now_ms=app.clock.now_ms()
            )
            await self._copy(source, chunk_buffer)
            await self._block(chunk_buffer.finish)
            self.execution.check()
            kept = await self._keep(chunk_buffer)
            if kept.id != self.id:  # another call of this step was quicker
                await self._discard()
            return kept
        except BaseException:
            await self._block(chunk_buffer.abandon)
            await self._discard()
            raise
        finally:
            app.storages.active.discard(self.id)

    async def _copy(self, source: Iterator[Any] | AsyncIterator[Any], chunk_buffer: ChunkBuffer) -> None:
        if isinstance(source, AsyncIterator):
            if self._in_thread:  # it belongs to the loop, whoever reads it
                copying = _copy_async(source, chunk_buffer, self.execution)
                self.execution.app.block_on(copying)
            else:
                await _copy_async(source, chunk_buffer, self.execution)
        elif self._in_thread:
            _copy(source, chunk_buffer, self.execution)
        else:  # what it reads is the user's code, and may take its time
            await self.execution.app.threads.run(_copy, source, chunk_buffer, self.execution)

    async def _keep(self, chunk_buffer: ChunkBuffer) -> StoredProduct:
        execution, frame = self.execution, self.frame
        now_ms = execution.app.clock.now_ms()
        product = NewProduct(
            id=self.id,
            run=execution.run,
            fence=execution.fence,
            workflow_id=execution.id,
            position=frame.position,
            function_id=frame.function_id,
            function_name=frame.name,
            file_name=self.file_name,
            size=chunk_buffer.size,
            sha256=chunk_buffer.sha256,
            metadata=self.metadata,
            storage=execution.app.storages.place,
            now_ms=now_ms,
        )
        delivery = None
        if execution.app.runtime.product_sender is not None:
            delivery = NewDelivery(
                delivery_id(), "product", self.id, None, execution.run, execution.id, execution.definition.name, None,
                now_ms,
            )  # fmt: skip
        kept = await self._write(products.add, product=product, delivery=delivery)
        if isinstance(kept, Answer):
            raise execution.refuse(kept)
        return kept

    async def _discard(self) -> None:
        """Remove what was written, unless it became a product: the row decides, also when this task was cancelled."""
        app = self.execution.app
        try:
            if await self._write(products.abandon_upload, upload=self.id):
                await self._block(app.storages.remove, app.storages.place, self.id)
                await self._write(products.forget_upload, upload=self.id)
        except Exception as error:  # noqa: BLE001 - what it was discarded for counts; garbage collection tries again
            log.warning("An unfinished upload of %r is removed later: %r", self.file_name, error)

    async def _write(self, function: Any, **arguments: Any) -> Any:
        store = self.execution.app.store
        if self._in_thread:
            return store.write_blocking(function, **arguments)
        return await store.write(function, **arguments)

    async def _block(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call what blocks: here in a thread, else in one."""
        if self._in_thread:
            return call(*arguments)
        return await self.execution.app.io.run(call, *arguments)


def delivery_id() -> str:
    """A fresh id of a delivery."""
    return f"msg_{new_id().replace('-', '')}"


def _sealed(execution: Execution, metadata: Any, file_name: str) -> str | None:
    if metadata is None:
        return None
    what = f"The metadata of product {file_name!r}"
    kind = METADATA if isinstance(metadata, dict) else UNTYPED
    text = kind.encode(metadata, what)
    if not text.startswith("{"):
        name = type(cast("Any", metadata)).__name__
        raise SerializationError(f"{what} is {name}, not a JSON object; pass a dict, or none")
    return execution.app.payloads.seal(text, what)


class ChunkBuffer:
    """Takes pieces of any size, and hands them on, counted and hashed, as blocks of one size."""

    def __init__(self, create: Callable[[], ProductUpload]) -> None:
        self._create = create
        self._upload: ProductUpload | None = None
        self._buffer = bytearray()
        self._hash = hashlib.sha256()
        self._turn = threading.Lock()
        self._is_open = True
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def fits(self, piece: Any) -> bool:
        """Whether taking this piece writes nothing, so that it needs no thread."""
        return isinstance(piece, bytes) and len(self._buffer) + len(piece) < BLOCK

    def take(self, piece: Any) -> None:
        """Take a piece. Raises TypeError for what is not bytes."""
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"a product is made of bytes, and its data gave {type(piece).__name__}; encode texts, open files in"
                " binary mode"
            )
        view = memoryview(cast("bytes", piece))
        view = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
        with self._turn:
            self._check()
            while len(view):
                room = BLOCK - len(self._buffer)
                self._buffer += view[:room]
                view = view[room:]
                if len(self._buffer) == BLOCK:
                    self._flush()

    def _flush(self) -> None:
        block = bytes(self._buffer)
        self._buffer.clear()
        self._hash.update(block)
        self._begun().write(block)
        self.size += len(block)

    def _begun(self) -> ProductUpload:
        # Made under the lock, so that an upload that was given up is never begun behind its back.
        if self._upload is None:
            self._upload = self._create()
        return self._upload

    def finish(self) -> None:
        """Write the rest; the bytes are durable when this returns."""
        with self._turn:
            self._check()
            if self._buffer:
                self._flush()
            self._begun().finish()
            self._is_open = False

    def abandon(self) -> None:
        """Let go of what is open. A thread that still copies, because nobody can stop it, is refused from now on."""
        with self._turn:
            if self._is_open:
                self._is_open = False
                if self._upload is not None:
                    self._upload.abandon()

    def _check(self) -> None:
        if not self._is_open:
            raise RuntimeError("this upload was given up")


def _copy(source: Iterator[Any], chunk_buffer: ChunkBuffer, execution: Execution) -> None:
    for piece in source:
        execution.check()
        chunk_buffer.take(piece)


async def _copy_async(source: AsyncIterator[Any], chunk_buffer: ChunkBuffer, execution: Execution) -> None:
    async for piece in source:
        execution.check()
        if chunk_buffer.fits(piece):
            chunk_buffer.take(piece)
        else:
            await execution.app.io.run(chunk_buffer.take, piece)


def _source_of(data: Any) -> Iterator[Any] | AsyncIterator[Any]:
    """The pieces of what a user gave; nothing is read yet. Raises TypeError for what is no data."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return iter((cast("Any", data),))
    if isinstance(data, os.PathLike):
        return _of_path(Path(cast("os.PathLike[str]", data)))
    if isinstance(data, str):
        raise TypeError(
            "the data of a product is text; encode it (`text.encode()`), or pass pathlib.Path(...) if it names a file"
        )
    read = getattr(data, "read", None)
    if callable(read):
        return _of_async_file(read) if inspect.iscoroutinefunction(read) else _of_file(read)
    if isinstance(data, AsyncIterable):
        return aiter(cast("AsyncIterable[Any]", data))
    if isinstance(data, Iterable) and not isinstance(data, Mapping):
        return iter(cast("Iterable[Any]", data))
    raise TypeError(
        f"the data of a product is bytes, a pathlib.Path, a binary file or an iterator of bytes, not"
        f" {type(cast('Any', data)).__name__}"
    )


def _of_path(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _of_file(file.read)


def _of_file(read: Callable[[int], Any]) -> Iterator[Any]:
    piece = None
    while piece is None or len(piece):
        piece = read(BLOCK)
        yield piece  # the empty last one too: whoever takes it tells bytes from text


async def _of_async_file(read: Callable[[int], Any]) -> AsyncIterator[Any]:
    piece = None
    while piece is None or len(piece):
        piece = await read(BLOCK)
        yield piece
