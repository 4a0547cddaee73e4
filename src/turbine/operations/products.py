"""Products: who may look at them, read them and send them again, and who removes what is left of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import BinaryIO, Self

from turbine.engine.app import App
from turbine.engine.ops.products import delivery_id
from turbine.errors import Conflict, NotFound
from turbine.ids import check_id, check_name
from turbine.masking import mask_url
from turbine.model.products import ProductRecord, ProductStatus
from turbine.model.workflows import Page
from turbine.operations.pages import after_key, check_limit
from turbine.operations.resources import Resource
from turbine.tables import products
from turbine.tables.products import ProductFilter, StoredProduct
from turbine.threads import in_thread

log = logging.getLogger("turbine")

SWEPT_AT_ONCE = 100


class Products(Resource):
    """The files that steps made: `rt.products`."""

    async def list(
        self,
        workflow_id: str | None = None,
        *,
        status: str | Sequence[str] | None = None,
        search: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ProductRecord]:
        """One page of products, newest first. `search` looks in the file name; all that is given must hold.

        Raises ValueError for a status, limit or cursor that can never be right.
        """
        check_limit(limit)
        before = after_key(cursor)
        statuses = [status] if isinstance(status, str) else status
        app = self._app()
        found = await app.store.read(
            products.page,
            filter=ProductFilter(
                workflow_id=None if workflow_id is None else check_id(workflow_id),
                status=None if statuses is None else [str(ProductStatus(one)) for one in statuses],
                search=check_name(search, "search text") if search else None,
            ),
            before=before,
            limit=limit + 1,
        )
        items = [stored.record(app.payloads.open) for stored in found[:limit]]
        return Page(items, str(found[limit - 1].product) if len(found) > limit else None)

    async def get(self, id: str) -> ProductRecord:
        """One product. Raises NotFound."""
        app = self._app()
        return (await _stored(app, id)).record(app.payloads.open)

    def open(self, id: str) -> ProductFile:
        """The bytes of a product: `async with rt.products.open(id) as file: await file.read()`.

        Entering raises NotFound for an unknown id, and when the bytes are gone.
        """
        return ProductFile(self._app, id)

    def open_blocking(self, stored: StoredProduct) -> BinaryIO:
        """The bytes of a product as a file for the calling thread."""
        try:
            return self._app().storages.open(stored.storage, stored.id, stored.size)
        except FileNotFoundError as error:
            raise NotFound(
                f"The bytes of product {stored.id} are not where they were put: {error}", kind="product", id=stored.id
            ) from error

    async def stored(self, id: str) -> StoredProduct:
        """The row of a product. Raises NotFound."""
        return await _stored(self._app(), id)

    async def resend(self, id: str) -> ProductRecord:
        """Send a product once more that has finally failed, in the background; its status is `stored` until then.

        Raises NotFound, and Conflict when it is not `failed` or this runtime has no sender.
        """
        app = self._app()
        stored = await _stored(app, id)
        if not app.has_product_sender():
            raise Conflict(
                f"The product {stored.file_name!r} was not sent: this runtime has no product sender; give it one with"
                " rt.set_product_sender(...)"
            )
        stored = await app.store.write(
            products.resend, product_id=id, delivery_id=delivery_id(), now_ms=app.clock.now_ms()
        )
        assert isinstance(stored, StoredProduct)  # the write raises what it refuses with
        return stored.record(app.payloads.open)


class ProductFile:
    """The bytes of a product, read in threads, so that no event loop waits for a disk."""

    def __init__(self, app: Callable[[], App], id: str) -> None:
        self._app = app
        self._id = id
        self._file: BinaryIO | None = None

    async def __aenter__(self) -> Self:
        products_ = Products(self._app)
        stored = await products_.stored(self._id)
        self._file = await in_thread(products_.open_blocking, stored)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        if file is not None:
            await in_thread(file.close)

    async def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that are left; `b""` at the end."""
        return await in_thread(self._open_file().read, size)

    async def seek(self, offset: int, whence: int = 0) -> int:
        """Go to another place, as in any file; where that is."""
        return await in_thread(self._open_file().seek, offset, whence)

    def _open_file(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("this product is not open; read it inside of `async with rt.products.open(id) as file`")
        return self._file


async def _stored(app: App, id: str) -> StoredProduct:
    found = await app.store.read(products.get, product_id=check_id(id, "product id"))
    if found is None:
        raise NotFound(kind="product", id=id)
    return found


async def sweep(app: App) -> int:
    """Remove bytes that nobody owns: of uploads that died, and of products whose run was deleted. Returns how many."""
    count, after = 0, ""
    while True:
        found = await app.store.read(
            products.abandoned_uploads, executor=app.executor_id, after=after, limit=SWEPT_AT_ONCE
        )
        for upload, place in found:
            if upload not in app.storages.active:
                count += await _remove(app, upload, place)
        if len(found) < SWEPT_AT_ONCE:
            return count
        after = found[-1][0]


async def _remove(app: App, upload: str, place: str) -> bool:
    """Remove the bytes of an upload and then its row; False, and the row stays, when that is not possible now."""
    if not await app.store.write(products.abandon_upload, upload=upload):
        return False
    try:
        await app.io.run(app.storages.remove, place, upload)
    except Exception as error:  # noqa: BLE001 - storages raise what they like; the next sweep tries again
        log.warning("The bytes of product %s in %s are removed later: %r", upload, mask_url(place), error)
        return False
    await app.store.write(products.forget_upload, upload=upload)
    return True
