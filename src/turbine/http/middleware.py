"""The middleware of the API: checks size, sign-in and origin of requests, and adds headers to responses.

Only routes in `OPEN` are reachable without sign-in, so a route that forgets to require a role is still protected.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from turbine.errors import ErrorCode, NotSignedIn, TurbineError
from turbine.http import problems
from turbine.http.auth import SAFE, Authenticator
from turbine.http.ids import SLASH

OPEN = frozenset(
    {
        ("GET", "/session"),
        ("POST", "/login"),
        ("POST", "/setup"),
        ("GET", "/health"),
        ("POST", "/decide"),
        ("POST", "/decide/look"),
    }
)
"""Routes without sign-in, also for `HEAD`; a decision by link needs the token of the link."""
SMALL_MAX = 64 * 1024
"""Bytes of a request without sign-in."""
NO_HEAD = frozenset({"/stream", "/backup"})
"""Routes without `HEAD`: a response without end, and one that costs a copy of the database."""

HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Middleware:
    """The ASGI application around the API."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, body_max: int) -> None:
        self.app = app
        self.authenticator = authenticator
        self.body_max = body_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sender = _ResponseSender(Request(scope, receive), send)
        if SLASH in scope["path"]:
            await problems.respond(400, "An id cannot contain NUL")(scope, receive, sender)
            return
        scope = _with_slashes(scope)
        request = Request(scope, receive)
        try:
            principal = await self.authenticator.principal(request)
            path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
            method = "GET" if request.method == "HEAD" else request.method
            is_open = (method, path) in OPEN
            if principal is None and not is_open:
                raise NotSignedIn
            if request.method not in SAFE:
                # A new sign-in does not need the CSRF token of the session that it replaces.
                self.authenticator.check_unsafe(request, None if is_open else principal)
        except TurbineError as error:
            await problems.of_turbine(error)(scope, receive, sender)
            return
        scope["turbine.principal"] = principal
        limit = SMALL_MAX if principal is None else self.body_max
        body = _Body(receive, limit)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            await _too_large(limit)(scope, receive, sender)
            return
        if _has_other_body(request):
            await problems.respond(415, "Send the body as JSON, with Content-Type: application/json")(
                scope, receive, sender
            )
            return
        if request.method == "HEAD" and path not in NO_HEAD:
            scope = {**scope, "method": "GET"}  # the sender leaves out the body
        try:
            await self.app(scope, body, sender)
        except _TooLarge:
            if not sender.has_begun:
                await _too_large(limit)(scope, receive, sender)


class _TooLarge(BaseException):
    """Raised where a body is read. Not an Exception, so that no code on the way handles it as a broken body."""


class _Body:
    """Counts the bytes of a request."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._size = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise _TooLarge
        return message


class _ResponseSender:
    """Adds the security headers to every response, and an ETag to JSON, so that unchanged JSON is not sent again."""

    def __init__(self, request: Request, send: Send) -> None:
        self._request = request
        self._send = send
        self._start: Message | None = None
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(raw=message["headers"])
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            if self._has_etag(message["status"], headers):
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            start, self._start = self._start, None
            message = self._tagged(start, message)
            await self._send(start)
        if self._request.method == "HEAD" and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    def _has_etag(self, status: int, headers: Headers) -> bool:
        kind = headers.get("content-type", "")
        return status == 200 and self._request.method in ("GET", "HEAD") and kind.startswith("application/json")

    def _tagged(self, start: Message, message: Message) -> Message:
        if message.get("more_body"):
            return message
        headers = MutableHeaders(raw=start["headers"])
        tag = f'"{blake2b(message.get("body", b""), digest_size=12).hexdigest()}"'
        headers["etag"] = tag
        headers["cache-control"] = "private, no-cache"
        headers.add_vary_header("cookie, authorization")
        # A proxy that compresses responses makes their tags weak.
        cached = [item.strip().removeprefix("W/") for item in self._request.headers.get("if-none-match", "").split(",")]
        if tag in cached or "*" in cached:
            start["status"] = 304
            del headers["content-length"]
            return {"type": "http.response.body", "body": b""}
        return message


def _too_large(limit: int) -> Any:
    return problems.respond(413, f"The request is larger than {limit} bytes", code=ErrorCode.TOO_LARGE)


def _has_other_body(request: Request) -> bool:
    """Whether the request has a body that is not declared as JSON."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    return request.method in ("POST", "PUT", "PATCH") and has_body and not is_json


def _with_slashes(scope: Scope) -> Scope:
    """Returns the scope with a path in which the slashes of ids differ from those between segments."""
    raw = scope.get("raw_path")
    if not isinstance(raw, bytes) or b"%2f" not in raw.lower():
        return scope
    raw = raw.split(b"?")[0]
    path = unquote_to_bytes(raw).decode("utf-8", "replace")
    if path != scope["path"] or "\0" in path:
        return scope
    marked = "/".join(unquote(part).replace("/", SLASH) for part in raw.decode("ascii", "replace").split("/"))
    return {**scope, "path": marked}
