"""How much room the database takes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from turbine.model.storage import Size
from turbine.store import Statement, Statements, Tx

SQL = Statements(Path(__file__))

COUNT_MAX = 10_000

WALK_MAX = 256 * 1024 * 1024
"""Bytes of a SQLite file up to which its pages are counted by table: that reads all of them."""

SIZES_KEPT_MS = 90 * 24 * 3600 * 1000
HOURLY_KEPT_MS = 2 * 24 * 3600 * 1000
"""How long each hour is kept; then one of each day."""

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
_CUT = Statement("cut", sqlite="pragma incremental_vacuum(1)", postgres="select 0")
_HAS_DBSTAT = Statement.of("select count(*) from pragma_module_list where name = 'dbstat'")


class Table(NamedTuple):
    """A table; what cannot be told cheaply is None."""

    name: str
    rows: int | None
    """About how many, as the database's statistics say."""
    size: int | None
    """In bytes, with its indexes."""


class Collectable(NamedTuple):
    """What garbage collection would remove now beside runs, each counted up to `COUNT_MAX`."""

    deliveries: int
    logs: int


def collectable(tx: Tx, *, before_ms: int | None, logs_before_ms: int) -> Collectable:
    """Count what is settled and old; with `before_ms` None deliveries are kept for ever."""
    logs = _count(tx, SQL.logs_over, logs_before_ms)
    return Collectable(0 if before_ms is None else _count(tx, SQL.deliveries_over, before_ms), logs)


def _count(tx: Tx, statement: Statement, before_ms: int) -> int:
    row = tx.row(statement, before=before_ms, most=COUNT_MAX)
    return 0 if row is None else int(row[0])


def database_size(tx: Tx) -> int:
    """Bytes of the whole database."""
    row = tx.row(_SIZE)
    return 0 if row is None else int(row[0])


def free_size(tx: Tx) -> int | None:
    """Bytes of the database that are free for what comes next; None where the server keeps that to itself."""
    if tx.dialect == "postgres":
        return None
    row = tx.row(_FREE)
    return 0 if row is None else int(row[0])


def can_shrink(tx: Tx) -> bool:
    """Whether a SQLite file can give back its free pages; one that was not made by Turbine cannot."""
    row = tx.row(_AUTO_VACUUM)
    return row is not None and row[0] == 2


def give_back(tx: Tx, *, pages: int) -> int:
    """Cut free pages off the end of a SQLite file, moving what lies there to the front; returns how many."""
    before = tx.row(_FREE_PAGES)
    # One page each time: sqlite3 takes one step of a statement without columns, so it would stop there in any case.
    for _ in range(min(pages, 0 if before is None else before[0])):
        tx.run(_CUT)
    after = tx.row(_FREE_PAGES)
    return 0 if before is None or after is None else before[0] - after[0]


def measure(tx: Tx, *, hour_ms: int) -> bool:
    """Note the size of the database for this hour, once however many processes do; forget what is old."""
    noted = tx.run(SQL.measure, hour=hour_ms)
    tx.run(SQL.thin, oldest=hour_ms - SIZES_KEPT_MS, hourly=hour_ms - HOURLY_KEPT_MS)
    return noted > 0


def is_measured(tx: Tx, *, hour_ms: int) -> bool:
    """Whether somebody has noted the size in this hour."""
    return tx.row(SQL.is_measured, hour=hour_ms) is not None


def sizes(tx: Tx) -> list[Size]:
    """How large the database was, the oldest first."""
    return [Size(*row) for row in tx.rows(SQL.sizes)]


def products_size(tx: Tx) -> int:
    """Bytes of all products, wherever they are kept."""
    row = tx.row(_PRODUCTS)
    return 0 if row is None else int(row[0])


def names(tx: Tx) -> list[str]:
    """The names of our tables."""
    return [row[0] for row in tx.rows(_NAMES)]


def tables(tx: Tx) -> list[Table]:
    """Our tables, by name."""
    if tx.dialect == "sqlite" and not _can_walk(tx):
        return [Table(name, None, None) for name in names(tx)]
    found = {name: (rows, size) for name, size, rows in tx.rows(_TABLES)}
    return [_table(name, *found.get(name, (None, None))) for name in sorted(names(tx))]


def _can_walk(tx: Tx) -> bool:
    row = tx.row(_HAS_DBSTAT)
    return bool(row and row[0]) and database_size(tx) <= WALK_MAX


def _table(name: str, rows: int | None, size: int | None) -> Table:
    return Table(name, rows if rows is not None and rows >= 0 else None, size)
