"""The description of the API: OpenAPI for programs, one page of HTML for people."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from turbine.http.request_context import Viewing

router = APIRouter(tags=["openapi"])


@router.get("/openapi.json", include_in_schema=False)
async def openapi(_: Viewing, request: Request) -> Response:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs", include_in_schema=False)
async def docs(_: Viewing, request: Request) -> Response:
    """All operations on one page, without scripts and without content from other servers."""
    document: dict[str, Any] = request.app.openapi()
    rows = "".join(
        _row(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Turbine API</title></head><body'
        ' style="font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem">'
        "<h1>Turbine API</h1><p>For programs: <a href='openapi.json'>openapi.json</a>. Send"
        " <code>Authorization: Bearer turbine_…</code>. Lists have <code>items</code> and <code>next_cursor</code>;"
        " errors are problem documents (RFC 9457).</p><table style='border-collapse: collapse; width: 100%'>"
        f"<tr><th align='left'>Operation</th><th align='left'>Role</th><th align='left'>Description</th></tr>{rows}"
        "</table></body></html>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    return HTMLResponse(page, headers={"content-security-policy": policy})


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    line = "border-top: 1px solid #8884; padding: .3rem .8rem .3rem 0; vertical-align: top"
    query = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    parameters = f"<br><small>?{escape(', '.join(query))}</small>" if query else ""
    return (
        f"<tr><td style='{line}'><code>{method.upper()} {escape(path)}</code>{parameters}</td>"
        f"<td style='{line}'>{escape(operation.get('x-role') or 'anyone')}</td>"
        f"<td style='{line}'>{escape(operation.get('description', ''))}</td></tr>"
    )
