"""The configuration of this process, the space that its data takes, garbage collection, vacuum and backup."""

from __future__ import annotations

import platform
import shutil
from dataclasses import fields
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from turbine.http.request_context import Administering, RequestContext, Viewing
from turbine.http.schemas import RequestSchema, Schema
from turbine.masking import mask_url
from turbine.model.retention import GarbagePreview
from turbine.model.storage import StorageReport, Vacuumed
from turbine.operations import backup, garbage, vacuum
from turbine.platform import SYSTEM
from turbine.queries.storage import storage_report

router = APIRouter(tags=["settings"])
_OBJECTS = frozenset({"codec", "logger", "product_sender"})
"""Settings that are objects: their type is shown, not their contents."""


class SettingsResponse(Schema):
    """The configuration of this process; nothing here is a secret."""

    config: dict[str, str]
    storage: StorageReport
    versions: dict[str, str]


@router.get("/settings")
async def get_settings(context: Viewing) -> SettingsResponse:
    """Configuration, storage and versions."""
    database = mask_url(context.app.store.url).partition("?")[0]
    return SettingsResponse(
        config=_config(context.rt.config) | {"database": database},
        storage=await storage_report(context.app),
        versions={
            "turbine": version("turbine-workflows"),
            "application": context.rt.application_version,
            "python": platform.python_version(),
            "platform": SYSTEM,
        },
    )


def _config(config: Any) -> dict[str, str]:
    texts: dict[str, str] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if value is None:
            texts[field.name] = ""
        elif field.name in _OBJECTS:
            texts[field.name] = type(value).__qualname__
        else:
            texts[field.name] = mask_url(str(value))
    return texts


class CollectRequest(RequestSchema):
    """Remove what ended longer ago than this, by default than the configured retention.

    A retention rule takes precedence for its runs.
    """

    older_than: float | None = Field(
        default=None, ge=0, le=10**9, allow_inf_nan=False, description="Seconds.", examples=[604800]
    )


class CollectResponse(Schema):
    """The number of removed runs."""

    runs: int


@router.get("/garbage")
async def preview_garbage(
    context: Administering, older_than: Annotated[float | None, Query(ge=0, le=10**9, allow_inf_nan=False)] = None
) -> GarbagePreview:
    """Count what garbage collection would remove now; nothing changes."""
    return await garbage.preview(context.app, _age_ms(context, older_than))


@router.post("/garbage")
async def collect_garbage(request: CollectRequest, context: Administering) -> CollectResponse:
    """Remove old terminal runs now, in small transactions; open runs are never touched."""
    age_ms = _age_ms(context, request.older_than)
    return CollectResponse(runs=await garbage.collect(context.app, age_ms, actor=context.principal))


def _age_ms(context: RequestContext, older_than: float | None) -> int | None:
    if older_than is not None:
        return round(older_than * 1000)
    retention = context.rt.config.gc_retention
    return None if retention is None else round(retention.total_seconds() * 1000)


@router.post("/vacuum")
async def vacuum_portion(context: Administering) -> Vacuumed:
    """Give a portion of the free space back to the disk (SQLite: up to 400 MB), or vacuum all tables (Postgres).

    SQLite works in small transactions and blocks no one; 409 for a file that was not created by Turbine. Postgres does
    a plain `VACUUM (ANALYZE)`, which makes space inside the tables reusable and may take minutes.
    """
    return await vacuum.vacuum(context.app, actor=context.principal)


@router.get(
    "/backup",
    response_class=Response,
    responses={200: {"content": {"application/vnd.sqlite3": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def download_backup(context: Administering) -> Response:
    """A copy of the SQLite database as of one moment; on Postgres use pg_dump."""
    path = await backup.backup_for_download(context.app, actor=context.principal)
    return FileResponse(
        path,
        media_type="application/vnd.sqlite3",
        filename="turbine.db",
        background=BackgroundTask(shutil.rmtree, path.parent),
    )
