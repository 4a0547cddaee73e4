"""What this process was configured with, how much room its data takes, and a copy of it."""

from __future__ import annotations

import platform
import shutil
import tempfile
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from turbine.clock import to_datetime
from turbine.http.request_context import Administering, RequestContext, Viewing
from turbine.http.schemas import Moment, RequestSchema, Schema, Seconds
from turbine.masking import mask_url
from turbine.model.storage import Size, growth_per_day
from turbine.model.workflows import WorkflowStatus
from turbine.operations import backup as backups
from turbine.operations import garbage, vacuum
from turbine.operations.audit import line_of
from turbine.platform import SYSTEM
from turbine.store import Store, Tx
from turbine.tables import audit, storage
from turbine.threads import in_thread

router = APIRouter(tags=["settings"])
_OBJECTS = frozenset({"codec", "logger", "product_sender"})
"""Settings that are objects: what they are is shown, not what they hold."""


class Table(Schema):
    """A table and about how large it is; null where that cannot be told cheaply."""

    name: str
    rows: int | None
    bytes: int | None


class Measured(Schema):
    """How large the database was at a time, and how much of that was in use."""

    at: Moment
    bytes: int
    used_bytes: int


class Growth(Schema):
    """How the database has grown: measured every hour, after two days once a day, for 90 days."""

    sizes: list[Measured] = Field(description="The oldest first.")
    per_day: int | None = Field(
        examples=[125_829_120],
        description="Bytes by which what is in use grows in a day, a straight line through the last 7 days; negative"
        " where it shrinks. null for less than a day of measurements.",
    )
    full_in: float | None = Field(
        examples=[2_937_600.0],
        description="Seconds until the disk is full at that pace. null where it does not grow, where there are not"
        " enough measurements, and where nobody tells how much is free (Postgres).",
    )


class Storage(Schema):
    """How much room the data takes."""

    database_bytes: int
    free_bytes: int | None = Field(
        description="Of these, what is free for what comes next; POST vacuum gives it back. null on Postgres."
    )
    disk_free_bytes: int | None = Field(description="Free on the disk of the database; null where nobody tells.")
    growth: Growth
    tables: list[Table]
    products_bytes: int


class Settings(Schema):
    """What this process was configured with; nothing here is a secret."""

    config: dict[str, str]
    storage: Storage
    versions: dict[str, str]


@router.get("/settings")
async def settings(context: Viewing) -> Settings:
    """Configuration, storage and versions."""
    app = context.app
    room = await app.store.read(_storage)
    return Settings(
        config=_config(context.rt.config) | {"database": masked(context.app.store.url)},
        storage=_shown(room, await in_thread(_disk_free, app.store)),
        versions={
            "turbine": version("turbine-workflows"),
            "application": context.rt.application_version,
            "python": platform.python_version(),
            "platform": SYSTEM,
        },
    )


class _Room(NamedTuple):
    size: int
    free: int | None
    tables: list[storage.TableSize]
    products: int
    sizes: list[Size]


def _storage(tx: Tx) -> _Room:
    return _Room(
        storage.database_size(tx),
        storage.free_size(tx),
        storage.tables(tx),
        storage.products_size(tx),
        storage.sizes(tx),
    )


def _disk_free(store: Store) -> int | None:
    if store.dialect != "sqlite" or store.is_memory:
        return None
    return shutil.disk_usage(Path(store.path).parent).free


def _shown(room: _Room, disk_free: int | None) -> Storage:
    per_day = growth_per_day(room.sizes)
    full_in = None
    if per_day is not None and per_day >= 1 and disk_free is not None:
        full_in = (disk_free + (room.free or 0)) / per_day * 86_400
    return Storage(
        database_bytes=room.size,
        free_bytes=room.free,
        disk_free_bytes=disk_free,
        growth=Growth(
            sizes=[
                Measured(at=to_datetime(one.at_ms), bytes=one.bytes, used_bytes=one.used_bytes) for one in room.sizes
            ],
            per_day=None if per_day is None else round(per_day),
            full_in=full_in,
        ),
        tables=[Table(name=one.name, rows=one.rows, bytes=one.size) for one in room.tables],
        products_bytes=room.products,
    )


def _config(config: Any) -> dict[str, str]:
    shown: dict[str, str] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if value is None:
            shown[field.name] = ""
        elif field.name in _OBJECTS:
            shown[field.name] = type(value).__qualname__
        else:
            shown[field.name] = mask_url(str(value))
    return shown


def masked(url: str) -> str:
    """A URL without what may be secret in it: the password, and everything behind the question mark."""
    return mask_url(url).partition("?")[0]


class Age(RequestSchema):
    """What is over for longer than this is removed; without it, than the configured retention.

    Runs of which a rule of `retention` speaks go by that rule in any case.
    """

    older_than: float | None = Field(
        default=None, ge=0, le=10**9, allow_inf_nan=False, description="Seconds.", examples=[604800]
    )


class Let(Schema):
    """How many runs one rule lets go."""

    workflow: str | None
    status: WorkflowStatus | None
    keep: Seconds | None
    runs: int


class Collectable(Schema):
    """What would be removed, each counted up to 10,000."""

    runs: int
    partial: bool = Field(description="Whether there may be more runs than that.")
    by_rule: list[Let] = Field(description="Of these runs, those of which a rule speaks.")
    deliveries: int
    logs: int
    older_than: float | None = Field(description="Seconds; null where runs are kept for ever.")


class Collected(Schema):
    """What was removed."""

    runs: int


@router.get("/garbage")
async def garbage_preview(
    context: Administering, older_than: Annotated[float | None, Query(ge=0, le=10**9, allow_inf_nan=False)] = None
) -> Collectable:
    """What garbage collection would remove now; nothing changes."""
    age_ms = _age_ms(context, older_than)
    found = await garbage.preview(context.app, age_ms)
    return Collectable(
        runs=found.runs,
        partial=found.is_partial,
        by_rule=[
            Let(workflow=rule.workflow, status=rule.status, keep=rule.keep, runs=runs) for rule, runs in found.by_rule
        ],
        deliveries=found.deliveries,
        logs=found.logs,
        older_than=None if age_ms is None else age_ms / 1000,
    )


def _age_ms(context: RequestContext, older_than: float | None) -> int | None:
    if older_than is not None:
        return round(older_than * 1000)
    kept = context.rt.config.gc_retention
    return None if kept is None else round(kept.total_seconds() * 1000)


@router.post("/garbage")
async def garbage_collect(asked: Age, context: Administering) -> Collected:
    """Remove what is over and old now, in small transactions; what is open is never touched."""
    app = context.app
    age_ms = _age_ms(context, asked.older_than)
    detail = {"older_than": None if age_ms is None else age_ms / 1000}
    line = line_of(app.clock.now_ms(), context.principal, "garbage.collect", "database", detail=detail)
    # Many transactions: the line stands before them, so that what is gone is never gone without it.
    await app.store.write(audit.add, line=line)
    return Collected(runs=await garbage.collect(app, age_ms))


class Vacuumed(Schema):
    """What giving back a portion of the free room has brought."""

    freed_bytes: int = Field(description="By how much the database is smaller now.", examples=[83_886_080])
    database_bytes: int = Field(examples=[251_658_240])
    free_bytes: int = Field(description="What could still be given back.", examples=[0])
    done: bool = Field(description="Whether nothing is left; else ask again.")
    skipped: list[str] = Field(description="Postgres: tables that were locked, or that belong to another user.")


@router.post("/vacuum")
async def vacuum_portion(context: Administering) -> Vacuumed:
    """Give a portion of the free room back to the disk (SQLite: up to 400 MB), or tidy all tables (Postgres).

    SQLite works in small transactions, so everybody goes on meanwhile; 409 for a file that was not made by Turbine.
    Postgres does a plain `VACUUM (ANALYZE)`, which makes room inside the tables and may take minutes.
    """
    app = context.app
    line = line_of(app.clock.now_ms(), context.principal, "database.vacuum", "database")
    # Many transactions, or none: the line stands before them.
    await app.store.write(audit.add, line=line)
    done = await vacuum.vacuum(app)
    return Vacuumed(
        freed_bytes=done.freed_bytes,
        database_bytes=done.database_bytes,
        free_bytes=done.free_bytes,
        done=done.is_done,
        skipped=done.skipped,
    )


@router.get(
    "/backup",
    response_class=Response,
    responses={200: {"content": {"application/vnd.sqlite3": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def backup(context: Administering) -> Response:
    """A copy of the SQLite database, of one moment; on Postgres use pg_dump."""
    app = context.app
    backups.check_file(app.store)
    folder = _folder_for_backup(app.store)
    try:
        path = await context.rt.backup(folder / "turbine.db")
        line = line_of(app.clock.now_ms(), context.principal, "backup.download", masked(context.app.store.url))
        await app.store.write(audit.add, line=line)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return FileResponse(
        path,
        media_type="application/vnd.sqlite3",
        filename="turbine.db",
        background=BackgroundTask(shutil.rmtree, folder),
    )


def _folder_for_backup(store: Store) -> Path:
    """A new folder, beside the database where no temporary folder can be written."""
    try:
        return Path(tempfile.mkdtemp(prefix="turbine-backup-"))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="turbine-backup-", dir=Path(store.path).parent))
