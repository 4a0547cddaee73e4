"""An examination of a database and of the processes that work on it, without a runtime; changes nothing."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.filesize import decimal

from turbine.clock import to_datetime
from turbine.errors import TurbineError
from turbine.masking import mask_url
from turbine.operations.database import applied_schema, newest_schema, require_database, snapshot, sqlite_file
from turbine.store import Statement, Tx
from turbine.store.backend import NOTICE_AFTER
from turbine.store.sqlite import find_holder
from turbine.tables import doctor, executors

DISK_MIN_BYTES = 100_000_000
"""Free disk space below which a growing database is in danger."""
DUE_MS = 60_000
"""How long a due run may wait before something is wrong."""
CLOCK_MS = 2000
"""How far this machine's clock may be off before schedules and timers fire at the wrong time."""
POSTGRES_MIN = 13
_JOURNAL = Statement.of("pragma journal_mode")
_VERSION = Statement.of("show server_version")


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `facts` are its numbers, for programs."""

    name: str
    status: Literal["ok", "wrong"]
    text: str
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


def examine(url: str) -> list[Check]:
    """Check the database of a URL. Checks that an earlier failure makes impossible are left out."""
    try:
        require_database(url)
        with snapshot(url) as tx:
            began = time.monotonic()
            local_ms = time.time_ns() // 1_000_000
            database_ms = doctor.database_ms(tx)
            seconds = time.monotonic() - began
            checks = [check("database", True, f"{mask_url(url)} answers in {seconds * 1000:.1f} ms", seconds=seconds)]
            checks += [_journal(tx), _disk(url), _write_lock(url)] if tx.dialect == "sqlite" else [_server(tx)]
            checks.append(_clock(local_ms - database_ms))
            schema = _schema(tx)
            checks.append(schema)
            if schema.status == "ok":
                checks += [_executors(tx), _set_aside(tx), _due(tx, database_ms)]
            return checks
    except TurbineError as error:
        return [check("database", False, " ".join(str(error).split()))]


def check(name: str, is_well: bool, text: str, **facts: Any) -> Check:
    """A check that passed, or failed."""
    return Check(name, "ok" if is_well else "wrong", text, facts)


def _journal(tx: Tx) -> Check:
    (mode,) = tx.row(_JOURNAL) or ("unknown",)
    text = "write-ahead log" if mode == "wal" else f"journal mode is {mode}, not wal: Turbine has not opened this file"
    return check("journal", mode == "wal", text, mode=mode)


def _server(tx: Tx) -> Check:
    (version,) = tx.row(_VERSION) or ("0",)
    is_new_enough = int(version.split(".")[0]) >= POSTGRES_MIN
    text = f"Postgres {version}" + ("" if is_new_enough else f"; Turbine needs {POSTGRES_MIN} or newer")
    return check("server", is_new_enough, text, version=version)


def _disk(url: str) -> Check:
    file = sqlite_file(url)
    assert file is not None
    free, size = shutil.disk_usage(file.resolve().parent).free, file.stat().st_size
    text = f"{decimal(free)} free beside {decimal(size)} of database"
    return check("disk", free >= DISK_MIN_BYTES, text, free_bytes=free, database_bytes=size)


def _clock(ahead_ms: int) -> Check:
    text = f"this machine's clock is {ahead_ms / 1000:+.3f} s off the database's"
    return check("clock", abs(ahead_ms) <= CLOCK_MS, text, seconds=ahead_ms / 1000)


def _schema(tx: Tx) -> Check:
    newest, applied = newest_schema(), applied_schema(tx)
    text = f"schema {applied}"
    if applied < newest:
        text = f"schema {applied} is older than this Turbine's {newest}; `turbine migrate` brings it up to date"
    elif applied > newest:
        text = f"schema {applied} is newer than this Turbine's {newest}; upgrade this installation"
    return check("schema", applied == newest, text, applied=applied, newest=newest)


def _executors(tx: Tx) -> Check:
    alive = [executor.executor_id for executor in executors.registered(tx) if executor.lease_left_ms > 0]
    count = doctor.count_open(tx)
    text = f"{len(alive)} live" + (f": {', '.join(alive)}" if alive else "")
    if count and not alive:
        text = f"{_up_to(count)} runs are open, but no process is running; start one"
    return check("executors", bool(alive) or not count, text, count=len(alive), open_runs=count)


def _set_aside(tx: Tx) -> Check:
    count = doctor.count_set_aside(tx)
    text = f"{_up_to(count)} runs are set aside and need attention" if count else "no run is set aside"
    return check("set aside", not count, text, count=count)


def _due(tx: Tx, now_ms: int) -> Check:
    due = doctor.longest_due(tx)
    if due is None or due.since_ms > now_ms:
        return check("due", True, "no run is overdue", since=None)
    late_ms = now_ms - due.since_ms
    text = f"a run of {due.name!r} has been due for {late_ms / 1000:.0f} s"
    if late_ms > DUE_MS:
        text += "; " + ("its processes are overloaded or stuck" if due.is_known else "no live process registers it")
    return check("due", late_ms <= DUE_MS, text, since=to_datetime(due.since_ms), name_of_workflow=due.name)


def _up_to(count: int) -> str:
    return f"{count:,}" if count < doctor.COUNT_MAX else f"{count:,} or more"


def _write_lock(url: str) -> Check:
    file = sqlite_file(url)
    assert file is not None
    holder = find_holder(str(file.resolve()))
    is_short = holder is None or (holder.seconds < NOTICE_AFTER and not holder.is_stopped)
    text = "no process keeps others from writing" if is_short else str(holder)
    return check("write lock", is_short, text, process_id=None if holder is None else holder.process_id)
