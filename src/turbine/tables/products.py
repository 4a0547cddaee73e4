"""Products: files that steps make. Their bytes are stored before their row is written, and removed after it is deleted.

An upload has a row from before its first byte until the row of the product replaces it. So bytes without an owner (the
process died, the run was deleted) are always named by a row, and a sweep removes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.codec import json_value
from turbine.errors import Conflict, NotFound
from turbine.model.products import ProductRecord, ProductStatus
from turbine.store import Statement, Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import deliveries
from turbine.tables.clauses import in_list, within
from turbine.tables.deliveries import NewDelivery
from turbine.tables.ownership import Answer, lock, refusals

SQL = Statements(Path(__file__))

_COLUMNS = """
    product, id, workflow_id, function_id, function_name, file_name, size, sha256, metadata, status, error,
    storage, created_ms
"""
NEWEST = (1 << 63) - 1
"""A key above every key."""


class StoredProduct(NamedTuple):
    """A product; `metadata` is as it is stored."""

    product: int
    id: str
    workflow_id: str
    function_id: int
    function_name: str
    file_name: str
    size: int
    sha256: str
    metadata: str | None
    status: str
    error: str | None
    storage: str
    created_ms: int

    def record(self, open: Callable[[str], str]) -> ProductRecord:
        """The public record; `open` undoes the payload codec."""
        return ProductRecord(
            id=self.id,
            workflow_id=self.workflow_id,
            function_id=self.function_id,
            function_name=self.function_name,
            file_name=self.file_name,
            size=self.size,
            sha256=self.sha256,
            metadata=None if self.metadata is None else json_value(open(self.metadata)),
            status=ProductStatus(self.status),
            error=self.error,
            created=to_datetime(self.created_ms),
        )


class NewProduct(NamedTuple):
    """The argument of `add`; `id` is that of its upload."""

    id: str
    run: int
    fence: int
    workflow_id: str
    position: str
    function_id: int
    function_name: str
    file_name: str
    size: int
    sha256: str
    metadata: str | None
    storage: str
    now_ms: int


class ProductFilter(NamedTuple):
    """Conditions on products; all that are given must hold."""

    workflow_id: str | None = None
    status: Sequence[str] | None = None
    search: str | None = None


def find(tx: Tx, *, run: int, position: str, file_name: str) -> StoredProduct | None:
    """The product with this name made by a step."""
    row = tx.row(SQL.find, run=run, position=position, file_name=file_name)
    return None if row is None else StoredProduct(*row)


def begin_upload(tx: Tx, *, upload: str, storage: str, now_ms: int) -> None:
    """Record an upload before its first byte is written."""
    tx.run(SQL.begin_upload, upload=upload, storage=storage, executor=tx.executor, now=now_ms)


def add_chunk(tx: Tx, *, upload: str, number: int, block: bytes) -> None:
    """Store a block of an upload in the database."""
    tx.run(SQL.add_chunk, upload=upload, number=number, bytes=block)


def add(tx: Tx, *, product: NewProduct, delivery: NewDelivery | None) -> StoredProduct | Answer:
    """Turn an upload into a product, and add its delivery, if its run is open and owned by this executor.

    Answers the first product of this step and name. If that is another one, the caller discards the upload.
    """
    lock(tx, [product.run])  # excludes another product of the same step and name
    answer = refusals(tx, [(product.run, product.fence)])[product.run, product.fence]
    if answer is not Answer.DONE:
        return answer
    existing = find(tx, run=product.run, position=product.position, file_name=product.file_name)
    if existing is not None:
        return existing
    if not tx.run(SQL.take_upload, upload=product.id, executor=tx.executor):
        return Answer.LOST
    tx.run(SQL.add, **product._asdict())
    if delivery is not None:
        deliveries.add(tx, [delivery])
    return _stored(tx, product.id)


def _stored(tx: Tx, product_id: str) -> StoredProduct:
    product = get(tx, product_id=product_id)
    assert product is not None
    return product


def abandon_upload(tx: Tx, *, upload: str) -> bool:
    """Mark an upload for removal; False when it has become a product or is gone."""
    return tx.run(SQL.abandon_upload, upload=upload) > 0


def abandoned_uploads(tx: Tx, *, executor: str, after: str, limit: int) -> list[tuple[str, str]]:
    """Uploads, (upload, storage), that are abandoned or whose executor is gone, and all those of `executor`."""
    rows = tx.rows(SQL.abandoned_uploads, executor=executor, after=after, limit=limit)
    return [(upload, storage) for upload, storage in rows]


def forget_upload(tx: Tx, *, upload: str) -> None:
    """Delete the row of an upload after its bytes."""
    tx.run(SQL.forget_upload, upload=upload)


def chunk(tx: Tx, *, upload: str, number: int) -> bytes | None:
    """A block that is stored in the database."""
    row = tx.row(SQL.chunk, upload=upload, number=number)
    return None if row is None else bytes(row[0])


def remove_chunks(tx: Tx, *, upload: str, limit: int) -> int:
    """Delete some blocks of an upload. Returns how many."""
    return tx.run(SQL.remove_chunks, upload=upload, limit=limit)


def get(tx: Tx, *, product_id: str) -> StoredProduct | None:
    """A product by its id."""
    row = tx.row(SQL.get, id=product_id)
    return None if row is None else StoredProduct(*row)


def page(tx: Tx, *, filter: ProductFilter, before: int | None, limit: int) -> list[StoredProduct]:
    """The products that match a filter, newest first, below a key."""
    clauses = ["product < :before"]
    parameters: dict[str, Any] = {"before": NEWEST if before is None else before, "limit": limit}
    if filter.workflow_id is not None:
        clauses.append("workflow_id = :workflow_id")
        parameters["workflow_id"] = filter.workflow_id
    if filter.status is not None:
        clauses.append(in_list("status", "status", filter.status, parameters))
    if filter.search:
        # For an ASCII text the collation "C" is enough, and many times faster.
        name = 'file_name collate "C"' if tx.dialect == "postgres" and filter.search.isascii() else "file_name"
        # `coalesce` makes Postgres expect many matches and scan the newest products instead of sorting all of them.
        clauses.append(f"coalesce(lower({name}) like :search escape '!', false)")
        parameters["search"] = within(filter.search.lower())
    where = "\nand ".join(clauses)
    text = f"select {_COLUMNS} from pt_products where {where} order by product desc limit :limit"  # noqa: S608 - ours
    return [StoredProduct(*row) for row in tx.rows(Statement.of(text), **parameters)]


def note_delivery(tx: Tx, *, product_id: str, error: str | None, now_ms: int) -> None:
    """Record the result of a product's delivery; `error` when the delivery is dead."""
    if error is None:
        tx.run(SQL.mark_sent, id=product_id, now=now_ms)
    else:
        tx.run(SQL.mark_failed, id=product_id, error=error, now=now_ms)


def reopen(tx: Tx, *, product_id: str, now_ms: int) -> NotFound | Conflict | None:
    """Reset a failed product to stored, when a delivery of it becomes due in this transaction."""
    if tx.run(SQL.reopen, id=product_id, now=now_ms):
        return None
    product = get(tx, product_id=product_id)
    if product is None:
        return NotFound(kind="product", id=product_id)
    return Conflict(
        f"The product {product.file_name!r} ({product_id}) is {product.status}, not failed; only a failed product can"
        " be sent again"
    )


def resend(tx: Tx, *, product_id: str, delivery_id: str, now_ms: int) -> StoredProduct | NotFound | Conflict:
    """Add another delivery of a failed product."""
    refusal = reopen(tx, product_id=product_id, now_ms=now_ms)
    if refusal is not None:
        return refusal
    run, workflow_id, name = tx.row(SQL.owner, id=product_id) or (None, None, None)
    deliveries.add(tx, [NewDelivery(delivery_id, "product", product_id, None, run, workflow_id, name, None, now_ms)])
    return _stored(tx, product_id)


def delete(tx: Tx, *, runs: Sequence[int]) -> int:
    """Delete the products of deleted runs, and mark their bytes for removal. Returns how many."""
    text = rows_json([[run] for run in runs])
    count = tx.run(SQL.abandon_bytes, rows=text)
    if count:
        tx.run(SQL.delete, rows=text)
    return count
