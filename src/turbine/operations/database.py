"""A database that no runtime has opened yet: whether it exists, its schema, and its migration.

Commands that only look never make a database: a mistyped name would seem to be an empty one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.masking import mask_url, scrub
from turbine.store import Statement, Tx, open_store
from turbine.store.migrations import files
from turbine.store.sqlite import SqliteReaders
from turbine.tables import doctor

if TYPE_CHECKING:
    from turbine.store.postgres import PostgresReaders

_HAS_SCHEMA = Statement(
    "has_schema",
    sqlite="select 1 from sqlite_master where name = 'pt_migrations'",
    postgres="select 1 where to_regclass('pt_migrations') is not null",
)


@dataclass(frozen=True, slots=True)
class Migrated:
    """The schema of a database before and after it was brought up to date; 0 is a database without tables."""

    before: int
    schema: int


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for every other URL."""
    if not url.startswith("sqlite:///") or url.endswith(":memory:"):
        return None
    return Path(unquote(url.removeprefix("sqlite:///").split("?")[0]))


def is_missing(url: str) -> bool:
    """Whether the URL names a SQLite file that does not exist."""
    file = sqlite_file(url)
    return file is not None and not file.exists()


def require_database(url: str) -> None:
    """Raise StoreInvalid if the URL names a SQLite file that does not exist."""
    if is_missing(url):
        raise StoreInvalid(
            f"there is no database {mask_url(str(sqlite_file(url)))}; check --database and TURBINE_DATABASE_URL, or"
            " make one: turbine migrate"
        )


def migrate(url: str) -> Migrated:
    """Bring a database to this version's schema, and make it if it is missing. Raises what `open_store` raises."""
    before = 0
    if not is_missing(url):
        with snapshot(url) as tx:
            before = applied_schema(tx)
    open_store(url).close()
    return Migrated(before, newest_schema())


def newest_schema() -> int:
    """The number of this version's last migration."""
    return files()[-1][0]


def applied_schema(tx: Tx) -> int:
    """The number of the last migration that was applied; 0 without tables."""
    return doctor.schema_version(tx) if tx.row(_HAS_SCHEMA) else 0


@contextmanager
def snapshot(url: str) -> Generator[Tx]:
    """One read-only snapshot, for which nothing is made or migrated.

    Raises StoreInvalid for what is not a database, StoreUnavailable for a server that does not answer.
    """
    with closing(_readers(url)) as readers:
        try:
            with readers.transaction() as tx:
                yield tx
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(scrub(f"{url} cannot be read now: {error}", url)) from error
        except sqlite3.DatabaseError as error:
            raise StoreInvalid(scrub(f"{url} is not a SQLite database, or is damaged: {error}", url)) from error


def _readers(url: str) -> SqliteReaders | PostgresReaders:
    file = sqlite_file(url)
    if file is not None:
        return SqliteReaders(str(file.resolve()))
    if not url.startswith(("postgresql://", "postgres://")):
        raise StoreInvalid(
            f"{mask_url(url)!r} does not name a database that can be examined; give a sqlite:/// or postgresql:// URL"
        )
    from turbine.store.postgres import PostgresReaders, Source

    return PostgresReaders(Source(url))
