"""Copies of a SQLite database while it is used.

The copy is one snapshot: it is read in one transaction, beside which writers go on as beside any other reader. It gets
its name only when it is whole, checked and on the disk, so a file of that name is a backup, whatever dies meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from turbine.errors import StoreInvalid
from turbine.platform import sync_file, sync_folder
from turbine.store import sqlite_fork
from turbine.store.sqlite import connect

PAGES = 1024
"""Pages copied at a time (4 MiB): in between other threads of the process get their turn."""


def copy_database(source: str, target: Path) -> None:
    """Copy a SQLite file to a new file. Raises FileExistsError, OSError, StoreInvalid if the copy is not sound."""
    if target.exists():
        raise _exists(target)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.unfinished")
    # Nobody else's to read: a database holds what its workflows were given.
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(source, unfinished)
        sync_file(unfinished)
        try:
            os.link(unfinished, target)  # unlike a rename it never takes the place of another file
        except FileExistsError:
            raise _exists(target) from None
        except OSError:  # a file system without links
            if target.exists():
                raise _exists(target) from None
            unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(target.parent)


def _copy(source: str, target: Path) -> None:
    with (
        sqlite_fork.inside(),
        contextlib.closing(connect(source)) as origin,
        contextlib.closing(connect(str(target))) as copy,
    ):
        origin.execute("pragma query_only = on")
        # In a transaction of its own the source stays as it is: without, each foreign commit would start the copy anew.
        origin.execute("begin")
        origin.execute("select count(*) from sqlite_master").fetchone()
        try:
            origin.backup(copy, pages=PAGES)
        finally:
            origin.execute("rollback")
        # One plain file, that is whole without a log beside it.
        copy.execute("pragma journal_mode = delete").fetchone()
        complaints = [row[0] for row in copy.execute("pragma integrity_check(10)")]
    if complaints != ["ok"]:
        raise StoreInvalid(
            f"The copy of {source} is not sound, and was removed: {'; '.join(map(str, complaints))}."
            " The database itself is damaged; restore an older backup"
        )


def _exists(target: Path) -> FileExistsError:
    return FileExistsError(f"{target} exists already; a backup never overwrites a file, so name a new one")
