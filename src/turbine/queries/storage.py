"""The space that the database takes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from turbine.clock import to_datetime
from turbine.engine.app import App
from turbine.model.storage import Growth, MeasuredSize, Size, StorageReport, TableRecord, growth_per_day
from turbine.store import Store, Tx
from turbine.tables import storage
from turbine.threads import in_thread


class _Measured(NamedTuple):
    size: int
    free: int | None
    tables: list[storage.TableSize]
    products: int
    sizes: list[Size]


async def storage_report(app: App) -> StorageReport:
    """The size of the database and its tables, its growth, and the space that is left."""
    measured = await app.store.read(_measure)
    disk_free = await in_thread(_disk_free, app.store)
    per_day = growth_per_day(measured.sizes)
    full_in = None
    if per_day is not None and per_day >= 1 and disk_free is not None:
        full_in = (disk_free + (measured.free or 0)) / per_day * 86_400
    return StorageReport(
        database_bytes=measured.size,
        free_bytes=measured.free,
        disk_free_bytes=disk_free,
        growth=Growth(
            sizes=[MeasuredSize(to_datetime(size.at_ms), size.bytes, size.used_bytes) for size in measured.sizes],
            per_day=None if per_day is None else round(per_day),
            full_in=full_in,
        ),
        tables=[TableRecord(*table) for table in measured.tables],
        products_bytes=measured.products,
    )


def _measure(tx: Tx) -> _Measured:
    return _Measured(
        storage.database_size(tx),
        storage.free_size(tx),
        storage.tables(tx),
        storage.products_size(tx),
        storage.sizes(tx),
    )


def _disk_free(store: Store) -> int | None:
    if store.dialect != "sqlite" or store.is_memory:
        return None
    return shutil.disk_usage(Path(store.path).parent).free
