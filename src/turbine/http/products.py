"""Products: files that steps made."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from turbine.http.request_context import Operating, Viewing
from turbine.http.schemas import Cursor, Limit
from turbine.model.products import BLOCK, ProductRecord, ProductStatus
from turbine.model.workflows import Page
from turbine.operations.products import ProductFile, Products

router = APIRouter(tags=["products"])

_closing: set[asyncio.Future[None]] = set()
"""Files that are being closed; the event loop keeps no reference to them."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_SAFE = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    **dict.fromkeys(
        ("csv", "json", "log", "md", "py", "sql", "toml", "txt", "yaml", "yml"), "text/plain; charset=utf-8"
    ),
}
"""The types that a browser may show inline: images without scripts, and text as text."""
_CONTENT = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in ("application/octet-stream", "text/plain", "image/gif", "image/jpeg", "image/png", "image/webp")
}


@router.get("/products")
async def list_products(
    context: Viewing,
    workflow_id: Annotated[str | None, Query(max_length=2000)] = None,
    status: Annotated[list[ProductStatus] | None, Query()] = None,
    search: Annotated[str | None, Query(max_length=1000, description="Part of the file name.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ProductRecord]:
    """A page of products, newest first."""
    return await context.rt.products.list(
        workflow_id or None, status=status, search=search or None, limit=limit, cursor=cursor
    )


@router.get("/products/{id:key}")
async def get_product(id: str, context: Viewing) -> ProductRecord:
    """A product."""
    return await context.rt.products.get(id)


@router.get(
    "/products/{id:key}/download",
    response_class=Response,
    responses={
        200: {"content": _CONTENT},
        206: {"description": "The bytes of the requested Range.", "content": _CONTENT},
    },
)
async def download(id: str, context: Viewing, request: Request, preview: bool = False) -> Response:
    """The bytes of a product; with `preview` images and texts are shown inline."""
    record = await context.rt.products.get(id)
    kind = _SAFE.get(record.file_name.rpartition(".")[2].lower()) if preview else None
    first, last = 0, record.size - 1
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": _disposition("attachment" if kind is None else "inline", record.file_name),
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "private, max-age=3600",
        "etag": f'"{record.sha256}"',
    }
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    span = _RANGE.fullmatch(request.headers.get("range", ""))
    if span is not None and (span[1] or span[2]):
        first, last = _span(span[1], span[2], record.size)
        headers["content-range"] = f"bytes {first}-{last}/{record.size}"
    headers["content-length"] = str(max(0, last - first + 1))
    async with context.rt.products.open(id):
        pass  # missing bytes are a 404, not an answer that breaks off
    return StreamingResponse(
        _read(context.rt.products.open(id), first, last - first + 1),
        206 if "content-range" in headers else 200,
        headers,
        kind or "application/octet-stream",
    )


async def _read(file: ProductFile, first: int, size: int) -> AsyncGenerator[bytes]:
    await file.__aenter__()
    try:
        if first:
            await file.seek(first)
        while size > 0 and (block := await file.read(min(BLOCK, size))):
            size -= len(block)
            yield block
    finally:
        # When the client disconnects, every await here is cancelled, and the file must be closed nevertheless.
        closing = asyncio.ensure_future(file.__aexit__(None, None, None))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:  # that many bytes at the end
        span = max(0, size - int(last)), size - 1
    else:
        span = int(first), min(int(last), size - 1) if last else size - 1
    if span[0] > span[1] or span[0] >= size:
        raise HTTPException(416, "Range not satisfiable", {"content-range": f"bytes */{size}"})
    return span


def _disposition(kind: str, name: str) -> str:
    """The header of RFC 6266; the name never becomes a path of ours, and need not be one of theirs."""
    base = re.split(r"[/\\]", name)[-1] or "product"
    ascii_name = re.sub(r'[^ -~]|["\\%]', "_", base)
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(base, safe='')}"


@router.post("/products/{id:key}/resend")
async def resend_product(id: str, context: Operating) -> ProductRecord:
    """Send a product again whose sender has failed."""
    return await context.acting(Products).resend(id)
