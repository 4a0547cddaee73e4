"""The files of the dashboard. They are public: the data comes from the API, which authenticates every request."""

from __future__ import annotations

from html import escape
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
        " font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self';"
        " frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
"""Fixed here, because Windows takes them from its registry, where some programs set "text/plain" for scripts."""
_MISSING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Turbine</title></head>
<body><main style="max-width: 40rem; margin: 4rem auto; font-family: system-ui, sans-serif; line-height: 1.5">
<h1>The dashboard is not built</h1>
<p>This Turbine runs from a checkout without a built dashboard; the API works. Build the dashboard with</p>
<pre>cd ui &amp;&amp; npm ci &amp;&amp; npm run build</pre>
<p>and reload this page. Installed packages include it.</p>
</main></body></html>
"""


class Dashboard(StaticFiles):
    """The built dashboard; any path that is not a file is one of its pages and gets the index."""

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._folder = folder

    async def check_config(self) -> None:
        """A missing folder is not an error: a page says how to build it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        response = self._index(scope) if path in ("", ".", "index.html") else await self._file(path, scope)
        response.headers.update(HEADERS)
        return response

    async def _file(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code == 404 and not path.startswith("assets/"):
                return self._index(scope)
            raise
        content_type = TYPES.get(Path(path).suffix)
        if content_type is not None:
            response.headers["content-type"] = content_type
        is_hashed = path.startswith("assets/") and response.status_code in (200, 206, 304)
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if is_hashed else "no-cache"
        return response

    def _index(self, scope: Scope) -> Response:
        """The index with its mount point as base: its links are relative, and pages lie at any depth."""
        index = self._folder / "index.html"
        if not index.is_file():
            return HTMLResponse(_MISSING, 503, {"cache-control": "no-store"})
        base = f'<base href="{escape(Request(scope).scope.get("root_path", ""), quote=True)}/">'
        page = index.read_text(encoding="utf-8").replace("<head>", f"<head>{base}", 1)
        return HTMLResponse(page, headers={"cache-control": "no-cache"})
