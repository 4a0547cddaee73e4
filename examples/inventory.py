"""An inventory of a folder: every file hashed, compared with the last time, written down as CSV and JSON.

    python examples/inventory.py [FOLDER] [--out DIR] [--database URL]

Kill it whenever you like and start it again: it goes on where it was, and hashes again only what it had in hand. That
takes no code. Batches of files are runs of their own, several at once, and the hash of each file is a recorded step.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import json
import os
import stat
import sysconfig
import time
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel

import turbine

FILES_PER_BATCH = 100
BATCHES_AT_ONCE = 8

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
INSTALLED_PACKAGES = ["site-packages", "dist-packages"]
"""Folders inside the standard library's that are not part of it."""


class Job(BaseModel):
    """What to take stock of, and where to write."""

    folder: Path
    out: Path
    skip: list[str] = []
    """Names of folders that are passed over."""
    journal: Path | None = None
    """Gets a line whenever the hashing of a file begins, so that one can count what was done twice."""
    pace: float = 0.0
    """Seconds that every file takes at least, for watching a small folder."""


class Listing(BaseModel):
    """The files that were found, relative to the folder, and what could not be looked into, with the reason."""

    paths: list[str] = []
    unreadable: dict[str, str] = {}


class Entry(BaseModel):
    """A file that was hashed, or the error that was in the way."""

    path: str
    size: int | None = None
    sha256: str | None = None
    error: str | None = None


class Change(StrEnum):
    """How a file stands to the last inventory."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    ADDED = "added"
    UNREADABLE = "unreadable"


class Summary(BaseModel):
    """What an inventory found. `files` were hashed; what could not be read is listed, each with its error."""

    folder: Path
    began_at: datetime
    duration_seconds: float
    """From start to end, with the time in which no process was alive."""
    files: int
    bytes: int
    unchanged: int
    changed: int
    added: int
    removed: list[str]
    unreadable: dict[str, str]
    csv_file: Path
    json_file: Path


@turbine.step
def list_files(job: Job) -> Listing:
    """Every regular file below the folder, in order. Links are not followed, so no file comes twice."""
    listing = Listing()

    def place(path: Path) -> str:
        return str(path.relative_to(job.folder))

    def note(error: OSError) -> None:
        listing.unreadable[printable(place(Path(error.filename)))] = reason(error)

    for folder, subfolders, names in os.walk(job.folder, onerror=note):
        subfolders[:] = sorted(name for name in subfolders if name not in job.skip and Path(folder, name) != job.out)
        for path in sorted(Path(folder, name) for name in names):
            try:
                is_file = stat.S_ISREG(path.lstat().st_mode)
            except OSError as error:
                note(error)
                continue
            if is_file and printable(place(path)) == place(path):
                listing.paths.append(place(path))
            elif is_file:
                listing.unreadable[printable(place(path))] = "the name is not UTF-8"
    return listing


@turbine.step
def hash_file(job: Job, path: str) -> Entry:
    """The size and SHA-256 of one file. A file that cannot be read is an entry too: it must not end the inventory."""
    if job.journal is not None:
        with job.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(path) + "\n")
    time.sleep(job.pace)
    try:
        with open(job.folder / path, "rb", opener=open_unless_link) as file:
            digest = hashlib.file_digest(file, "sha256")
            return Entry(path=path, size=file.tell(), sha256=digest.hexdigest())
    except OSError as error:
        return Entry(path=path, error=reason(error))


@turbine.step
def write_files(summary: Summary, rows: list[tuple[Entry, Change]]) -> None:
    """The CSV and the JSON. Each is written beside its place and then moved there: twice is as good as once."""

    def as_csv(file: TextIO) -> None:
        table = csv.writer(file)
        table.writerow(["path", "size", "sha256", "changed"])
        table.writerows((entry.path, entry.size, entry.sha256, change) for entry, change in rows)

    summary.csv_file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(summary.csv_file, as_csv)
    replace_file(summary.json_file, lambda file: file.write(summary.model_dump_json(indent=2) + "\n"))


@turbine.step
async def last_hashes(folder: Path) -> dict[str, str]:
    """What the last inventory of the folder kept in the database: the SHA-256 of each file."""
    return await turbine.current().runtime.kv.get(f"inventory of {folder}", type=dict[str, str], default={})


@turbine.step
async def keep_hashes(folder: Path, hashes: dict[str, str]) -> None:
    """Keep the hashes for the next inventory; doing it twice leaves the same."""
    await turbine.current().runtime.kv.set(f"inventory of {folder}", hashes)


@turbine.workflow(summary=lambda job, paths: f"{len(paths)} files of {job.folder}")
async def hash_batch(job: Job, paths: list[str]) -> list[Entry]:
    """One file after the other, each in a thread; what is recorded is never hashed again."""
    return [await turbine.do(hash_file, job, path) for path in paths]


@turbine.workflow(summary=lambda job: f"Inventory of {job.folder}")
async def take_inventory(job: Job) -> Summary:
    """List, hash, compare with the last inventory, write, and keep the hashes for the next one."""
    began_at = await turbine.now()
    listing = await turbine.do(list_files, job)
    entries = await hash_all(job, listing.paths)

    last = await last_hashes(job.folder)
    rows = [(entry, compare(entry, last)) for entry in entries]
    hashes = {entry.path: entry.sha256 for entry in entries if entry.sha256 is not None}
    unreadable = listing.unreadable | {entry.path: entry.error for entry in entries if entry.error is not None}
    changes = [change for _, change in rows]
    summary = Summary(
        folder=job.folder,
        began_at=began_at,
        duration_seconds=(await turbine.now() - began_at).total_seconds(),
        files=len(hashes),
        bytes=sum(entry.size or 0 for entry in entries),
        unchanged=changes.count(Change.UNCHANGED),
        changed=changes.count(Change.CHANGED),
        added=changes.count(Change.ADDED),
        removed=sorted(path for path in last.keys() - hashes.keys() if not is_hidden(path, unreadable)),
        unreadable=unreadable,
        csv_file=job.out / "inventory.csv",
        json_file=job.out / "inventory.json",
    )
    await turbine.do(write_files, summary, rows)
    # What cannot be read today is neither removed nor new when it can be read again.
    kept = {path: sha256 for path, sha256 in last.items() if is_hidden(path, unreadable)}
    await keep_hashes(job.folder, kept | hashes)
    return summary


async def hash_all(job: Job, paths: list[str]) -> list[Entry]:
    """All files in batches, several batches at once. Each is a child run: a finished one is not started again."""
    batches = [paths[start : start + FILES_PER_BATCH] for start in range(0, len(paths), FILES_PER_BATCH)]
    room = asyncio.Semaphore(BATCHES_AT_ONCE)
    hashed = 0

    async def hash_one(batch: list[str]) -> list[Entry]:
        nonlocal hashed
        async with room:
            entries = await hash_batch(job, batch)
        hashed += len(batch)
        await turbine.set_value("progress", {"hashed": hashed, "files": len(paths)})
        return entries

    await turbine.set_value("progress", {"hashed": 0, "files": len(paths)})
    found = await turbine.gather(*(hash_one(batch) for batch in batches))
    return [entry for entries in found for entry in entries]


def compare(entry: Entry, last: dict[str, str]) -> Change:
    if entry.sha256 is None:
        return Change.UNREADABLE
    if entry.path not in last:
        return Change.ADDED
    return Change.UNCHANGED if last[entry.path] == entry.sha256 else Change.CHANGED


def is_hidden(path: str, unreadable: dict[str, str]) -> bool:
    """Whether a file, or a folder that it is in, could not be read."""
    return any(str(place) in unreadable for place in (path, *Path(path).parents))


def printable(name: str) -> str:
    """The name as UTF-8; bytes that are none become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def open_unless_link(path: str, flags: int) -> int:
    # Days may pass between listing and hashing; what has become a link is not followed then, a pipe not waited for.
    # Windows knows neither flag, and its pipes are no files.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def replace_file(path: Path, write: Callable[[TextIO], object]) -> None:
    draft = path.with_name(f"{path.name}.part")
    with draft.open("w", encoding="utf-8", newline="") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Take an inventory of a folder; after a crash, just run it again.")
    parser.add_argument("folder", nargs="?", type=Path, help="default: Python's standard library, without packages")
    parser.add_argument("--out", type=Path, default=Path("inventory"), help="where the CSV and the JSON go")
    parser.add_argument("--database", metavar="URL", help="default: a SQLite file in the folder of --out")
    parser.add_argument("--skip", action="append", metavar="NAME", help="pass over folders of this name")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="add a line whenever hashing a file begins")
    parser.add_argument("--pace", type=float, default=0.0, metavar="SECONDS", help="what every file takes at least")
    given = parser.parse_args()
    if given.folder is not None and not given.folder.is_dir():
        parser.error(f"{given.folder} is not a folder")

    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    job = Job(
        folder=(given.folder or STANDARD_LIBRARY).resolve(),
        out=out,
        skip=given.skip or ([] if given.folder else INSTALLED_PACKAGES),
        journal=given.journal and given.journal.resolve(),
        pace=given.pace,
    )
    database = given.database or f"sqlite:///{out / 'inventory.db'}"
    async with turbine.Runtime(database, workflows=[take_inventory, hash_batch]) as rt:
        try:
            handle = await rt.run(take_inventory.options(deduplication_id=str(job.folder)), job)
        except turbine.Deduplicated as error:
            # Launching has already taken up what a killed process left open; only its result is waited for.
            print(f"Going on with the inventory of {job.folder} that is under way")
            handle = rt.retrieve(error.workflow_id, Summary)
        summary = await handle.result()
    print(
        f"{summary.files} files, {summary.bytes} bytes in {summary.duration_seconds:.1f} s:"
        f" {summary.unchanged} unchanged, {summary.changed} changed, {summary.added} added,"
        f" {len(summary.removed)} removed, {len(summary.unreadable)} unreadable\n"
        f"{summary.csv_file}\n{summary.json_file}"
    )


if __name__ == "__main__":
    asyncio.run(main())
