"""Copies of a SQLite database while it is used.

The copy is one snapshot: it is read in one transaction, and writers go on meanwhile. It gets its name only when it is
complete, checked and on the disk, so a file of that name is a backup, even if the process dies meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from turbine.errors import StoreInvalid
from turbine.platform import sync_file, sync_folder
from turbine.store.sqlite import connect, fork

PAGES = 1024
"""Pages copied at a time (4 MiB), so that other threads of the process run in between."""


def copy_database(source: str, target: Path) -> None:
    """Copy a SQLite file to a new file. Raises FileExistsError, OSError, StoreInvalid if the copy is not sound."""
    if target.exists():
        raise _exists(target)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.unfinished")
    # Readable by this user only: a database holds the inputs of its workflows.
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
        fork.inside(),
        contextlib.closing(connect(source)) as origin,
        contextlib.closing(connect(str(target))) as copy,
    ):
        origin.execute("pragma query_only = on")
        # Without a transaction, each commit of another connection would start the copy anew.
        origin.execute("begin")
        origin.execute("select count(*) from sqlite_master").fetchone()
        try:
            origin.backup(copy, pages=PAGES)
        finally:
            origin.execute("rollback")
        # One file that is complete without a log beside it.
        copy.execute("pragma journal_mode = delete").fetchone()
        complaints = [row[0] for row in copy.execute("pragma integrity_check(10)")]
    if complaints != ["ok"]:
        raise StoreInvalid(
            f"The copy of {source} is not sound, and was removed: {'; '.join(map(str, complaints))}."
            " The database itself is damaged; restore an older backup"
        )


def _exists(target: Path) -> FileExistsError:
    return FileExistsError(f"{target} exists already; a backup never overwrites a file, so name a new one")
