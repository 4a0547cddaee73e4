"""Products: files that steps made. Their bytes are durable before their row is written, and go after it.

An upload is a row too, from before the first byte until the product's row takes its place. So bytes that nobody owns
(a process died, a run was deleted) are always named by a row, and swept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.codec import plain
from turbine.errors import Conflict, NotFound
from turbine.model.products import ProductRecord, ProductStatus
from turbine.store import Statement, Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import deliveries
from turbine.tables.deliveries import NewDelivery
from turbine.tables.ownership import Answer, lock, refusals
from turbine.tables.search import within

SQL = Statements(Path(__file__))

COLUMNS = """
    product, id, workflow_id, function_id, function_name, file_name, size, sha256, metadata, status, error,
    storage, created_ms
"""
NEWEST = (1 << 63) - 1
"""A key above every key."""


class Stored(NamedTuple):
    """A product's row; `metadata` as it is stored."""

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
        """The row as people see it; `open` undoes the payload codec."""
        return ProductRecord(
            id=self.id,
            workflow_id=self.workflow_id,
            function_id=self.function_id,
            function_name=self.function_name,
            file_name=self.file_name,
            size=self.size,
            sha256=self.sha256,
            metadata=None if self.metadata is None else plain(open(self.metadata)),
            status=ProductStatus(self.status),
            error=self.error,
            created=to_datetime(self.created_ms),
        )


class NewProduct(NamedTuple):
    """What `keep` writes; `id` is that of its upload."""

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


class Wanted(NamedTuple):
    """What a list asks for; every field that is given must hold."""

    workflow_id: str | None = None
    status: Sequence[str] | None = None
    search: str | None = None


def find(tx: Tx, *, run: int, position: str, file_name: str) -> Stored | None:
    """The product that a step made under this name."""
    row = tx.row(SQL.find, run=run, position=position, file_name=file_name)
    return None if row is None else Stored(*row)


def begin(tx: Tx, *, upload: str, storage: str, now_ms: int) -> None:
    """Note that bytes are about to be written."""
    tx.run(SQL.begin, upload=upload, storage=storage, executor=tx.executor, now=now_ms)


def add_chunk(tx: Tx, *, upload: str, number: int, block: bytes) -> None:
    """Keep a block of an upload in the database."""
    tx.run(SQL.add_chunk, upload=upload, number=number, bytes=block)


def keep(tx: Tx, *, product: NewProduct, delivery: NewDelivery | None) -> Stored | Answer:
    """Make an upload a product, and leave its delivery, while its run is still owned and not over.

    Answers with the first product of this step and name; is it another one, the upload stays and is to be discarded.
    """
    lock(tx, [product.run])  # two of one name take turns
    answer = refusals(tx, [(product.run, product.fence)])[product.run, product.fence]
    if answer is not Answer.DONE:
        return answer
    known = find(tx, run=product.run, position=product.position, file_name=product.file_name)
    if known is not None:
        return known
    if not tx.run(SQL.take_upload, upload=product.id, executor=tx.executor):
        return Answer.LOST
    facts = product._asdict()
    del facts["fence"]
    tx.run(SQL.add, **facts, now=facts.pop("now_ms"))
    if delivery is not None:
        deliveries.add(tx, [delivery])
    return _stored(tx, product.id)


def _stored(tx: Tx, product_id: str) -> Stored:
    found = one(tx, product_id=product_id)
    assert found is not None
    return found


def release(tx: Tx, *, upload: str) -> bool:
    """Give an upload up for removal; False when it became a product, or is gone."""
    return tx.run(SQL.release, upload=upload) > 0


def dead_uploads(tx: Tx, *, executor: str, after: str, limit: int) -> list[tuple[str, str]]:
    """The (upload, storage) of bytes that nobody works on any more, and of all that `executor` has begun."""
    rows = tx.rows(SQL.dead_uploads, executor=executor, after=after, limit=limit)
    return [(upload, storage) for upload, storage in rows]


def deregister(tx: Tx, *, upload: str) -> None:
    """Note that the bytes of an upload are removed."""
    tx.run(SQL.deregister, upload=upload)


def chunk(tx: Tx, *, upload: str, number: int) -> bytes | None:
    """A block that is kept in the database."""
    row = tx.row(SQL.chunk, upload=upload, number=number)
    return None if row is None else bytes(row[0])


def remove_chunks(tx: Tx, *, upload: str, limit: int) -> int:
    """Remove some blocks of an upload; how many there were."""
    return tx.run(SQL.remove_chunks, upload=upload, limit=limit)


def one(tx: Tx, *, product_id: str) -> Stored | None:
    """The product of an id."""
    row = tx.row(SQL.one, id=product_id)
    return None if row is None else Stored(*row)


def page(tx: Tx, *, wanted: Wanted, before: int | None, limit: int) -> list[Stored]:
    """The products that a filter lets through, newest first, from below a key."""
    clauses = ["product < :before"]
    parameters: dict[str, Any] = {"before": NEWEST if before is None else before, "limit": limit}
    if wanted.workflow_id is not None:
        clauses.append("workflow_id = :workflow_id")
        parameters["workflow_id"] = wanted.workflow_id
    if wanted.status is not None:
        marks = ", ".join(f":status{index}" for index in range(len(wanted.status)))
        clauses.append(f"status in ({marks})" if marks else "false")
        parameters.update({f"status{index}": status for index, status in enumerate(wanted.status)})
    if wanted.search:
        # Only where the text has other letters than ASCII's are those of the name worth their many times longer way.
        name = 'file_name collate "C"' if tx.dialect == "postgres" and wanted.search.isascii() else "file_name"
        # `coalesce`: Postgres takes it for likely, and goes through the newest instead of putting all in order.
        clauses.append(f"coalesce(lower({name}) like :search escape '!', false)")
        parameters["search"] = within(wanted.search.lower())
    where = "\nand ".join(clauses)
    text = f"select {COLUMNS} from pt_products where {where} order by product desc limit :limit"  # noqa: S608 - ours
    return [Stored(*row) for row in tx.rows(Statement.of(text), **parameters)]


def delivered(tx: Tx, *, product_id: str, error: str | None, now_ms: int) -> None:
    """Note what became of a product's delivery, in the transaction that settles it: `error` when it is dead."""
    if error is None:
        tx.run(SQL.deliver, id=product_id, now=now_ms)
    else:
        tx.run(SQL.fail, id=product_id, error=error, now=now_ms)


def reopen(tx: Tx, *, product_id: str, now_ms: int) -> NotFound | Conflict | None:
    """Make a product that failed one that is still to be sent, for whoever makes a delivery due in this transaction."""
    if tx.run(SQL.reopen, id=product_id, now=now_ms):
        return None
    known = one(tx, product_id=product_id)
    if known is None:
        return NotFound(kind="product", id=product_id)
    return Conflict(
        f"The product {known.file_name!r} ({product_id}) is {known.status}, not failed; only a failed product can"
        " be sent again"
    )


def resend(tx: Tx, *, product_id: str, delivery_id: str, now_ms: int) -> Stored | NotFound | Conflict:
    """Leave another delivery of a product that failed."""
    refusal = reopen(tx, product_id=product_id, now_ms=now_ms)
    if refusal is not None:
        return refusal
    run, workflow_id, name = tx.row(SQL.owner, id=product_id) or (None, None, None)
    deliveries.add(tx, [NewDelivery(delivery_id, "product", product_id, None, run, workflow_id, name, None, now_ms)])
    return _stored(tx, product_id)


def forget(tx: Tx, *, runs: Sequence[int]) -> int:
    """Remove the products of deleted runs, and leave their bytes to be swept. Returns how many."""
    text = rows_json([[run] for run in runs])
    count = tx.run(SQL.leave_bytes, rows=text)
    if count:
        tx.run(SQL.forget, rows=text)
    return count
