"""Backups of the database, while everything goes on."""

from __future__ import annotations

import os
from pathlib import Path

from turbine.engine.app import App
from turbine.errors import TurbineError
from turbine.store import Store, copy_database
from turbine.threads import in_thread


async def backup(app: App, path: str | os.PathLike[str]) -> Path:
    """Copy the database to a new file; see `Runtime.backup`."""
    check_file(app.store)
    target = Path(path).absolute()  # noqa: ASYNC240 - asks for the working folder, not the disk
    await in_thread(copy_database, app.store.path, target)
    return target


def check_file(store: Store) -> None:
    """Raise TurbineError for a database that is not a SQLite file."""
    if store.dialect != "sqlite":
        raise TurbineError(
            "Turbine copies SQLite databases only; for Postgres use its own tools, for example:"
            " pg_dump --format=custom --file=turbine.dump <url>"
        )
    if store.is_memory:
        raise TurbineError("A database in memory cannot be copied; give the runtime a file: sqlite:///shop.db")
