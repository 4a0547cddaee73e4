"""Files that steps made."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from turbine.http.request_context import Operating, Viewing
from turbine.http.schemas import Cursor, Items, Limit, Moment, Schema
from turbine.model.products import BLOCK, ProductStatus
from turbine.operations.products import ProductFile, Products

router = APIRouter(tags=["products"])

_closing: set[asyncio.Future[None]] = set()
"""Files that are being closed; nobody else holds on to these."""
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
"""What a browser may show in place: images without scripts, and text as text."""
_CONTENT = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in ("application/octet-stream", "text/plain", "image/gif", "image/jpeg", "image/png", "image/webp")
}


class Product(Schema):
    """A file that a step made."""

    id: str
    workflow_id: str
    function_id: int
    function_name: str
    file_name: str
    size: int
    sha256: str
    metadata: dict[str, Any] | None
    status: ProductStatus
    error: str | None
    created: Moment


@router.get("/products")
async def listing(
    context: Viewing,
    workflow_id: Annotated[str | None, Query(max_length=2000)] = None,
    status: Annotated[list[ProductStatus] | None, Query()] = None,
    search: Annotated[str | None, Query(max_length=1000, description="Part of the file's name.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Product]:
    """A page of products, newest first."""
    page = await context.rt.products.list(
        workflow_id or None, status=status, search=search or None, limit=limit, cursor=cursor
    )
    return Items[Product].model_validate(page)


@router.get("/products/{id:key}")
async def one(id: str, context: Viewing) -> Product:
    """A product."""
    return Product.model_validate(await context.rt.products.get(id))


@router.get(
    "/products/{id:key}/download",
    response_class=Response,
    responses={
        200: {"content": _CONTENT},
        206: {"description": "The bytes that Range asked for.", "content": _CONTENT},
    },
)
async def download(id: str, context: Viewing, request: Request, preview: bool = False) -> Response:
    """The bytes of a product; with `preview` images and texts are shown in place."""
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
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is not None and (asked[1] or asked[2]):
        first, last = _span(asked[1], asked[2], record.size)
        headers["content-range"] = f"bytes {first}-{last}/{record.size}"
    headers["content-length"] = str(max(0, last - first + 1))
    async with context.rt.products.open(id):
        pass  # bytes that are gone are a 404, and no answer that breaks off
    return StreamingResponse(
        _read(context.rt.products.open(id), first, last - first + 1),
        206 if asked is not None and "content-range" in headers else 200,
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
        # When the client hangs up, every await here is broken off, and the file has to be closed all the same.
        closing = asyncio.ensure_future(file.__aexit__(None, None, None))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:  # the last so many bytes
        span = max(0, size - int(last)), size - 1
    else:
        span = int(first), min(int(last), size - 1) if last else size - 1
    if span[0] > span[1] or span[0] >= size:
        raise HTTPException(416, "There are no such bytes", {"content-range": f"bytes */{size}"})
    return span


def _disposition(kind: str, name: str) -> str:
    """The file's name as RFC 6266 wants it; it never becomes a path of ours, and need not be one of theirs."""
    base = re.split(r"[/\\]", name)[-1] or "product"
    plain = re.sub(r'[^ -~]|["\\%]', "_", base)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(base, safe='')}"


@router.post("/products/{id:key}/resend")
async def resend(id: str, context: Operating) -> Product:
    """Send a product once more that has failed."""
    known = await context.rt.products.get(id)
    app = context.change("product.resend", id, workflow_id=known.workflow_id, file_name=known.file_name)
    return Product.model_validate(await Products(lambda: app).resend(id))
