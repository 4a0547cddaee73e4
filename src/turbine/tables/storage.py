"""The size of the database and of its tables."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from turbine.model.storage import Size
from turbine.store import Statement, Statements, Tx

SQL = Statements(Path(__file__))

COUNT_MAX = 10_000

WALK_MAX = 256 * 1024 * 1024
"""The largest SQLite file, in bytes, whose pages are counted by table, which reads all of them."""

SIZES_KEPT_MS = 90 * 24 * 3600 * 1000
HOURLY_KEPT_MS = 2 * 24 * 3600 * 1000
"""How long the size of each hour is kept; after that, one size a day."""

_SIZE = Statement(
    "database size",
    sqlite="select page_count * page_size from pragma_page_count(), pragma_page_size()",
    postgres="select pg_database_size(current_database())",
)
_NAMES = Statement(
    "names",
    sqlite="select name from sqlite_master where type = 'table' and name like 'pt!_%' escape '!' order by name",
    postgres=(
        "select tablename from pg_tables where schemaname = current_schema() and tablename like 'pt!_%%' escape '!'"
    ),
)
_TABLES = Statement(
    "tables",
    sqlite=(
        "select m.tbl_name, sum(d.pgsize), null from dbstat as d join sqlite_master as m on m.name = d.name"
        " where d.aggregate = 1 and m.tbl_name like 'pt!_%' escape '!' group by m.tbl_name"
    ),
    postgres=(
        "select c.relname, pg_total_relation_size(c.oid), c.reltuples::bigint from pg_class as c"
        " join pg_namespace as n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname = current_schema()"
        " and c.relname like 'pt!_%%' escape '!'"
    ),
)
_PRODUCTS = Statement.of("select coalesce(sum(size), 0) from pt_products")
_FREE = Statement(
    "free size",
    sqlite="select freelist_count * page_size from pragma_freelist_count(), pragma_page_size()",
    postgres="select 0",
)
_FREE_PAGES = Statement("free pages", sqlite="select freelist_count from pragma_freelist_count()", postgres="select 0")
_AUTO_VACUUM = Statement("auto vacuum", sqlite="select auto_vacuum from pragma_auto_vacuum()", postgres="select 0")
_TRUNCATE = Statement("truncate", sqlite="pragma incremental_vacuum(1)", postgres="select 0")
_HAS_DBSTAT = Statement.of("select count(*) from pragma_module_list where name = 'dbstat'")


class TableSize(NamedTuple):
    """The size of a table; None where it would be expensive to find out."""

    name: str
    rows: int | None
    """An estimate, from the statistics of the database."""
    size: int | None
    """In bytes, with its indexes."""


class CollectableRows(NamedTuple):
    """The rows that garbage collection would delete now beside runs, each counted up to `COUNT_MAX`."""

    deliveries: int
    logs: int


def collectable(tx: Tx, *, before_ms: int | None, logs_before_ms: int) -> CollectableRows:
    """Count old deliveries and logs; with `before_ms` None deliveries are kept for ever."""
    logs = _count(tx, SQL.old_logs, logs_before_ms)
    return CollectableRows(0 if before_ms is None else _count(tx, SQL.old_deliveries, before_ms), logs)


def _count(tx: Tx, statement: Statement, before_ms: int) -> int:
    return _number(tx, statement, before=before_ms, most=COUNT_MAX)


def _number(tx: Tx, statement: Statement, **parameters: int) -> int:
    row = tx.row(statement, **parameters)
    return 0 if row is None else int(row[0])


def database_size(tx: Tx) -> int:
    """The size of the database in bytes."""
    return _number(tx, _SIZE)


def free_size(tx: Tx) -> int | None:
    """The bytes of free pages inside the SQLite file; None on Postgres."""
    return None if tx.dialect == "postgres" else _number(tx, _FREE)


def can_shrink(tx: Tx) -> bool:
    """Whether a SQLite file can give back its free pages; a file that Turbine did not create cannot."""
    return _number(tx, _AUTO_VACUUM) == 2


def give_back(tx: Tx, *, pages: int) -> int:
    """Truncate free pages off the end of a SQLite file, moving used ones to the front. Returns how many."""
    before = _number(tx, _FREE_PAGES)
    # One page each time: sqlite3 executes one step of a statement without columns, which is one page.
    for _ in range(min(pages, before)):
        tx.run(_TRUNCATE)
    return before - _number(tx, _FREE_PAGES)


def measure(tx: Tx, *, hour_ms: int) -> bool:
    """Record the size of the database in this hour, unless another process did, and delete old sizes."""
    measured = tx.run(SQL.measure, hour=hour_ms)
    tx.run(SQL.delete_old, oldest=hour_ms - SIZES_KEPT_MS, hourly=hour_ms - HOURLY_KEPT_MS)
    return measured > 0


def is_measured(tx: Tx, *, hour_ms: int) -> bool:
    """Whether the size of this hour is recorded."""
    return tx.row(SQL.is_measured, hour=hour_ms) is not None


def sizes(tx: Tx) -> list[Size]:
    """The recorded sizes, oldest first."""
    return [Size(*row) for row in tx.rows(SQL.sizes)]


def products_size(tx: Tx) -> int:
    """The size of all products in bytes, in whatever storage."""
    return _number(tx, _PRODUCTS)


def names(tx: Tx) -> list[str]:
    """The names of Turbine's tables."""
    return [row[0] for row in tx.rows(_NAMES)]


def tables(tx: Tx) -> list[TableSize]:
    """The sizes of Turbine's tables, by name."""
    if tx.dialect == "sqlite" and not (_number(tx, _HAS_DBSTAT) and database_size(tx) <= WALK_MAX):
        return [TableSize(name, None, None) for name in names(tx)]
    sizes = {name: (rows, size) for name, size, rows in tx.rows(_TABLES)}
    return [_table(name, *sizes.get(name, (None, None))) for name in sorted(names(tx))]


def _table(name: str, rows: int | None, size: int | None) -> TableSize:
    return TableSize(name, rows if rows is not None and rows >= 0 else None, size)
