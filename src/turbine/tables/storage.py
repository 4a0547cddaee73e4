"""How much room the database takes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from turbine.store import Statement, Statements, Tx

SQL = Statements(Path(__file__))

COUNT_MAX = 10_000

WALK_MAX = 256 * 1024 * 1024
"""Bytes of a SQLite file up to which its pages are counted by table: that reads all of them."""

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
_HAS_DBSTAT = Statement.of("select count(*) from pragma_module_list where name = 'dbstat'")


class Table(NamedTuple):
    """A table; what cannot be told cheaply is None."""

    name: str
    rows: int | None
    """About how many, as the database's statistics say."""
    size: int | None
    """In bytes, with its indexes."""


class Collectable(NamedTuple):
    """What garbage collection would remove now, each counted up to `COUNT_MAX`."""

    runs: int
    deliveries: int
    logs: int


def collectable(tx: Tx, *, before_ms: int | None, logs_before_ms: int) -> Collectable:
    """Count what is over and old; with `before_ms` None runs and deliveries are kept for ever."""
    logs = _count(tx, SQL.logs_over, logs_before_ms)
    if before_ms is None:
        return Collectable(0, 0, logs)
    return Collectable(_count(tx, SQL.runs_over, before_ms), _count(tx, SQL.deliveries_over, before_ms), logs)


def _count(tx: Tx, statement: Statement, before_ms: int) -> int:
    row = tx.one(statement, before=before_ms, most=COUNT_MAX)
    return 0 if row is None else int(row[0])


def database_size(tx: Tx) -> int:
    """Bytes of the whole database."""
    row = tx.one(_SIZE)
    return 0 if row is None else int(row[0])


def products_size(tx: Tx) -> int:
    """Bytes of all products, wherever they are kept."""
    row = tx.one(_PRODUCTS)
    return 0 if row is None else int(row[0])


def tables(tx: Tx) -> list[Table]:
    """Our tables, by name."""
    names = [row[0] for row in tx.all(_NAMES)]
    if tx.dialect == "sqlite" and not _can_walk(tx):
        return [Table(name, None, None) for name in names]
    found = {name: (rows, size) for name, size, rows in tx.all(_TABLES)}
    return [_table(name, *found.get(name, (None, None))) for name in sorted(names)]


def _can_walk(tx: Tx) -> bool:
    row = tx.one(_HAS_DBSTAT)
    return bool(row and row[0]) and database_size(tx) <= WALK_MAX


def _table(name: str, rows: int | None, size: int | None) -> Table:
    return Table(name, rows if rows is not None and rows >= 0 else None, size)
