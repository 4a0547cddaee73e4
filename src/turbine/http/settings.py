"""What this process was configured with, how much room its data takes, and a copy of it."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tempfile
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from turbine.actions import garbage
from turbine.actions.audit import line_of
from turbine.http.desk import Administering, Desk, Viewing
from turbine.http.shapes import Asked, Shape
from turbine.store import Tx
from turbine.tables import audit, storage

router = APIRouter(tags=["settings"])
_OBJECTS = frozenset({"codec", "logger", "product_sender"})
"""Settings that are objects: what they are is shown, not what they hold."""
_URLS = frozenset({"product_storage"})


class Table(Shape):
    """A table and about how large it is; null where that cannot be told cheaply."""

    name: str
    rows: int | None
    bytes: int | None


class Storage(Shape):
    """How much room the data takes."""

    database_bytes: int
    tables: list[Table]
    products_bytes: int


class Settings(Shape):
    """What this process was configured with; nothing here is a secret."""

    config: dict[str, str]
    storage: Storage
    versions: dict[str, str]


@router.get("/settings")
async def settings(desk: Viewing) -> Settings:
    """Configuration, storage and versions."""
    size, tables, kept = await desk.port.store.read(_storage)
    return Settings(
        config=_config(desk.rt.config) | {"database": masked(desk.rt.database)},
        storage=Storage(
            database_bytes=size,
            tables=[Table(name=one.name, rows=one.rows, bytes=one.size) for one in tables],
            products_bytes=kept,
        ),
        versions={
            "turbine": version("turbine-workflows"),
            "application": desk.rt.application_version,
            "python": platform.python_version(),
            "platform": sys.platform,
        },
    )


def _storage(tx: Tx) -> tuple[int, list[storage.Table], int]:
    return storage.database_size(tx), storage.tables(tx), storage.products_size(tx)


def _config(config: Any) -> dict[str, str]:
    shown: dict[str, str] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if value is None:
            shown[field.name] = ""
        elif field.name in _OBJECTS:
            shown[field.name] = type(value).__qualname__
        elif field.name in _URLS:
            shown[field.name] = masked(str(value))
        else:
            shown[field.name] = str(value)
    return shown


def masked(url: str) -> str:
    """A URL without what may be secret in it: the password, and everything behind the question mark."""
    return re.sub(r"(//[^/@:]*):.*@", r"\1:***@", url).partition("?")[0]


class Age(Asked):
    """What is over for longer than this is removed; without it, than the configured retention."""

    older_than: float | None = Field(
        default=None, ge=0, le=10**9, allow_inf_nan=False, description="Seconds.", examples=[604800]
    )


class Collectable(Shape):
    """What would be removed, each counted up to 10,000."""

    runs: int
    deliveries: int
    logs: int
    older_than: float | None = Field(description="Seconds; null where runs are kept for ever.")


class Collected(Shape):
    """What was removed."""

    runs: int


@router.get("/garbage")
async def garbage_preview(
    desk: Administering, older_than: Annotated[float | None, Query(ge=0, le=10**9, allow_inf_nan=False)] = None
) -> Collectable:
    """What garbage collection would remove now; nothing changes."""
    age_ms = _age_ms(desk, older_than)
    found = await garbage.preview(desk.port, age_ms)
    return Collectable(
        runs=found.runs,
        deliveries=found.deliveries,
        logs=found.logs,
        older_than=None if age_ms is None else age_ms / 1000,
    )


def _age_ms(desk: Desk, older_than: float | None) -> int | None:
    if older_than is not None:
        return round(older_than * 1000)
    kept = desk.rt.config.gc_retention
    return None if kept is None else round(kept.total_seconds() * 1000)


@router.post("/garbage")
async def garbage_collect(asked: Age, desk: Administering) -> Collected:
    """Remove what is over and old now, in small transactions; what is open is never touched."""
    port = desk.port
    age_ms = _age_ms(desk, asked.older_than)
    detail = {"older_than": None if age_ms is None else age_ms / 1000}
    line = line_of(port.clock.now_ms(), desk.caller, "garbage.collect", "database", detail=detail)
    # Many transactions: the line stands before them, so that what is gone is never gone without it.
    await port.store.write(audit.add, line=line)
    return Collected(runs=await garbage.collect(port, age_ms))


@router.get(
    "/backup",
    response_class=Response,
    responses={200: {"content": {"application/vnd.sqlite3": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def backup(desk: Administering) -> Response:
    """A copy of the SQLite database, of one moment; on Postgres use pg_dump."""
    port = desk.port
    folder = Path(tempfile.mkdtemp(prefix="turbine-backup-"))
    try:
        path = await desk.rt.backup(folder / "turbine.db")
        line = line_of(port.clock.now_ms(), desk.caller, "backup.download", masked(desk.rt.database))
        await port.store.write(audit.add, line=line)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return FileResponse(
        path,
        media_type="application/vnd.sqlite3",
        filename="turbine.db",
        background=BackgroundTask(shutil.rmtree, folder),
    )
