"""A look over the whole house that touches nothing: no database is made or migrated, and no runtime launched."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal

from turbine.cli.client import Document, plain
from turbine.cli.local import require_database, sqlite_file
from turbine.clock import to_datetime
from turbine.errors import StoreInvalid, StoreUnavailable, TurbineError
from turbine.masking import mask_url, scrub
from turbine.store import Statement, Tx, open_store
from turbine.store.migrations import files
from turbine.store.sqlite import SqliteReaders
from turbine.tables import doctor, executors

if TYPE_CHECKING:
    from turbine.store.postgres import PostgresReaders

ROOM_BYTES = 100_000_000
"""Less than this is too little for a disk that a database grows on."""
DUE_MS = 60_000
"""A run that is due for longer than this should have been taken up."""
CLOCK_MS = 2000
"""A clock that is further off than this makes schedules and timers come at another time than elsewhere."""
POSTGRES_MIN = 13
_HAS_SCHEMA = Statement(
    "has_schema",
    sqlite="select 1 from sqlite_master where name = 'pt_migrations'",
    postgres="select 1 where to_regclass('pt_migrations') is not null",
)
_JOURNAL = Statement.of("pragma journal_mode")
_VERSION = Statement.of("show server_version")


def examine(url: str) -> list[Document]:
    """What is checked, each with `name`, `status` (ok, wrong) and `text`; what cannot be asked any more is left out."""
    try:
        require_database(url)
        with _look_into(url) as tx:
            began = time.monotonic()
            here_ms = time.time_ns() // 1_000_000
            database_ms = doctor.database_ms(tx)
            seconds = time.monotonic() - began
            found = [_check("database", True, f"{mask_url(url)} answers in {seconds * 1000:.1f} ms", seconds=seconds)]
            found += [_journal(tx), _room(url)] if tx.dialect == "sqlite" else [_server(tx)]
            found.append(_clock(here_ms - database_ms))
            schema = _schema(tx)
            found.append(schema)
            if schema["status"] == "ok":
                found += [_live(tx), _set_aside(tx), _due(tx, database_ms)]
            return found
    except TurbineError as error:
        return [_check("database", False, " ".join(str(error).split()))]


def migrate(url: str) -> Document:
    """Bring a database to this version's schema, and make it if it is not there. Raises what `open_store` raises."""
    file = sqlite_file(url)
    before = 0
    if file is None or file.exists():
        with _look_into(url) as tx:
            before = _applied(tx)
    open_store(url).close()
    return {"before": before, "schema": files()[-1][0]}


@contextmanager
def _look_into(url: str) -> Generator[Tx]:
    """One snapshot. Raises StoreInvalid for what is no database, StoreUnavailable for a server that is away."""
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
            f"{mask_url(url)!r} names no database that could be looked into; give a sqlite:/// or postgresql:// URL"
        )
    from turbine.store.postgres import PostgresReaders, Source

    return PostgresReaders(Source(url))


def _journal(tx: Tx) -> Document:
    (mode,) = tx.row(_JOURNAL) or ("unknown",)
    text = "write-ahead log" if mode == "wal" else f"journal mode is {mode}, not wal: no Turbine has opened this file"
    return _check("journal", mode == "wal", text, mode=mode)


def _server(tx: Tx) -> Document:
    (version,) = tx.row(_VERSION) or ("0",)
    is_new_enough = int(version.split(".")[0]) >= POSTGRES_MIN
    text = f"Postgres {version}" + ("" if is_new_enough else f"; Turbine needs {POSTGRES_MIN} or newer")
    return _check("server", is_new_enough, text, version=version)


def _room(url: str) -> Document:
    file = sqlite_file(url)
    assert file is not None
    free = shutil.disk_usage(file.resolve().parent).free
    text = f"{decimal(free)} free beside {decimal(file.stat().st_size)} of database"
    return _check("disk", free >= ROOM_BYTES, text, free_bytes=free, database_bytes=file.stat().st_size)


def _clock(ahead_ms: int) -> Document:
    text = f"this machine's clock is {ahead_ms / 1000:+.3f} s off the database's"
    return _check("clock", abs(ahead_ms) <= CLOCK_MS, text, seconds=ahead_ms / 1000)


def _schema(tx: Tx) -> Document:
    known = files()[-1][0]
    applied = _applied(tx)
    text = f"schema {applied}"
    if applied < known:
        text = f"schema {applied} is older than this Turbine's {known}; `turbine migrate` brings it up to date"
    elif applied > known:
        text = f"schema {applied} is newer than this Turbine's {known}; upgrade this installation"
    return _check("schema", applied == known, text, applied=applied, known=known)


def _applied(tx: Tx) -> int:
    return doctor.schema_version(tx) if tx.row(_HAS_SCHEMA) else 0


def _live(tx: Tx) -> Document:
    alive = [one for one in executors.registered(tx) if one.lease_left_ms > 0]
    count = doctor.count_open(tx)
    text = f"{len(alive)} live" + (f": {', '.join(one.executor_id for one in alive)}" if alive else "")
    if count and not alive:
        text = f"no process is there for {_up_to(count)} open runs; start one"
    return _check("executors", bool(alive) or not count, text, count=len(alive), open_runs=count)


def _set_aside(tx: Tx) -> Document:
    count = doctor.count_set_aside(tx)
    text = f"{_up_to(count)} runs are set aside and need a person" if count else "no run is set aside"
    return _check("set aside", not count, text, count=count)


def _due(tx: Tx, now_ms: int) -> Document:
    due = doctor.longest_due(tx)
    if due is None or due.since_ms > now_ms:
        return _check("due", True, "nothing waits to be taken up", since=None)
    late_ms = now_ms - due.since_ms
    text = f"a run of {due.name!r} is due since {late_ms / 1000:.0f} s"
    if late_ms > DUE_MS:
        text += "; " + ("its processes are overloaded or stuck" if due.is_known else "no live process registers it")
    return _check("due", late_ms <= DUE_MS, text, since=plain(to_datetime(due.since_ms)), name_of_workflow=due.name)


def _up_to(count: int) -> str:
    return f"{count:,}" if count < doctor.COUNT_MAX else f"{count:,} or more"


def _check(name: str, is_well: bool, text: str, **facts: Any) -> Document:
    return {"name": name, "status": "ok" if is_well else "wrong", "text": text, **facts}
