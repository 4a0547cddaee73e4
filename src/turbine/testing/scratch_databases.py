"""Empty databases for one trial after the other, which leave no trace."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from turbine.ids import new_id
from turbine.threads import in_thread


class ScratchDatabases(Protocol):
    """Makes empty databases; at most one is in use."""

    async def fresh(self) -> str:
        """The URL of an empty database, which replaces the last one."""
        ...


@asynccontextmanager
async def scratch_databases(database: str | None) -> AsyncGenerator[ScratchDatabases]:
    """Empty databases of the kind of `database`, beside it: SQLite files, or a Postgres schema."""
    if database is None or database.startswith("sqlite:"):
        folder = None if database is None else Path(database.removeprefix("sqlite:///")).parent
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        files = _Files(Path(tempfile.mkdtemp(prefix="turbine-crash-", dir=folder)))
        try:
            yield files
        finally:
            await in_thread(shutil.rmtree, files.folder, ignore_errors=True)
    else:
        schema = _Schema(database, f"turbine_crash_{new_id().replace('-', '')}")
        try:
            yield schema
        finally:
            await in_thread(schema.drop)


class _Files:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    async def fresh(self) -> str:
        await in_thread(shutil.rmtree, self.folder / str(self._count), ignore_errors=True)
        self._count += 1
        return f"sqlite:///{self.folder / str(self._count) / 'turbine.db'}"


class _Schema:
    def __init__(self, database: str, name: str) -> None:
        self._database = database
        self._name = name

    async def fresh(self) -> str:
        await in_thread(self._empty)
        search_path = quote(f"-csearch_path={self._name}")
        return f"{self._database}{'&' if '?' in self._database else '?'}options={search_path}"

    def _empty(self) -> None:
        """Drop all rows, but keep the tables, which take long to make."""
        from psycopg import sql

        from turbine.store.postgres import Source

        with Source(self._database).connect() as connection:
            connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(self._name)))
            names = connection.execute(
                "select tablename from pg_tables where schemaname = %s and tablename <> 'pt_migrations'", (self._name,)
            ).fetchall()
            # For so few rows `delete` is many times quicker than `truncate`, which makes new files.
            deletes = [sql.SQL("delete from {}").format(sql.Identifier(self._name, name)) for (name,) in names]
            if deletes:
                connection.execute(sql.SQL("; ").join(deletes))

    def drop(self) -> None:
        from psycopg import sql

        from turbine.store.postgres import Source

        with Source(self._database).connect() as connection:
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(self._name)))
