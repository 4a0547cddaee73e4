"""Backups of the database, while everything goes on."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from turbine.engine.app import App
from turbine.errors import TurbineError
from turbine.masking import mask_url
from turbine.model.accounts import Actor
from turbine.operations.audit_entries import audit_act
from turbine.store import Store, copy_database
from turbine.threads import in_thread


async def backup(app: App, path: str | os.PathLike[str]) -> Path:
    """Copy the database to a new file; see `Runtime.backup`."""
    _check_file(app.store)
    target = Path(path).absolute()  # noqa: ASYNC240 - asks for the working folder, not the disk
    await in_thread(copy_database, app.store.path, target)
    return target


async def backup_for_download(app: App, *, actor: Actor) -> Path:
    """Copy the database into a new folder of its own, which is the caller's to remove."""
    _check_file(app.store)
    folder = _new_folder(app.store)
    try:
        path = await backup(app, folder / "turbine.db")
        await audit_act(app, actor, "backup.download", mask_url(app.store.url).partition("?")[0])
    except BaseException:
        shutil.rmtree(folder)
        raise
    return path


def _check_file(store: Store) -> None:
    if store.dialect != "sqlite":
        raise TurbineError(
            "Turbine backs up SQLite databases only; for Postgres use its own tools, for example:"
            " pg_dump --format=custom --file=turbine.dump <url>"
        )
    if store.is_memory:
        raise TurbineError("A database in memory cannot be backed up; give the runtime a file: sqlite:///shop.db")


def _new_folder(store: Store) -> Path:
    """A new folder, beside the database where no temporary folder can be written."""
    try:
        return Path(tempfile.mkdtemp(prefix="turbine-backup-"))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="turbine-backup-", dir=Path(store.path).parent))
