"""Who asks: sessions, API tokens, the host's own sign-in, or nobody; and whether a browser was sent by a stranger."""

from __future__ import annotations

import inspect
import ipaddress
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Literal
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from turbine.engine.app import App
from turbine.errors import NotAllowed
from turbine.model.accounts import Principal, Role
from turbine.operations.accounts import check_email, check_role, hash_secret
from turbine.operations.tokens import PREFIX
from turbine.tables import accounts

COOKIE = "turbine_session"
SESSION_MS = 30 * 24 * 3600 * 1000
"""How long a session lasts at most."""
IDLE_MS = 7 * 24 * 3600 * 1000
"""How long it lasts unused."""
SEEN_EVERY_MS = 5 * 60 * 1000
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Told = str | tuple[str, str] | Principal | None
"""What a host tells of somebody: a role, a role and an e-mail address, or None for nobody."""
SignIn = Callable[[Request], "Told | Awaitable[Told]"]
Auth = Literal["accounts", "none"] | SignIn


class Authenticator:
    """Tells who asks, in the way that the application was set up with."""

    def __init__(self, port: Callable[[], App], auth: Auth) -> None:
        if not callable(auth) and auth not in ("accounts", "none"):
            raise ValueError(f"auth is 'accounts', 'none' or a function of a request, not {auth!r}")
        self._app = port
        self._auth = auth
        self.kind: Literal["accounts", "none", "host"] = "none" if auth == "none" else "accounts"
        if callable(auth):
            self.kind = "host"

    async def principal(self, request: Request) -> Principal | None:
        """Who asks, or None. Raises NotAllowed for requests that come from where they must not."""
        if self._auth == "none":
            _check_loopback(request)
            return Principal("local", Role.ADMIN)
        token = _bearer(request)
        if token is not None and token.startswith(PREFIX):
            port = self._app()
            known = await port.store.read(accounts.by_token, token_hash=hash_secret(token), now_ms=port.clock.now_ms())
            return None if known is None else Principal(f"token:{known[0]}", known[1])
        if callable(self._auth):
            answer = self._auth(request)
            return _of_host(await answer if inspect.isawaitable(answer) else answer)
        cookie = request.cookies.get(COOKIE)
        return None if cookie is None else await self._of_session(cookie)

    async def _of_session(self, cookie: str) -> Principal | None:
        port = self._app()
        now_ms = port.clock.now_ms()
        known = await port.store.read(
            accounts.by_session, token_hash=hash_secret(cookie), now_ms=now_ms, idle_since_ms=now_ms - IDLE_MS
        )
        if known is None:
            return None
        session_id, seen_ms, email, role = known
        if now_ms - seen_ms > SEEN_EVERY_MS:
            await port.store.write(accounts.touch_session, id=session_id, now_ms=now_ms)
        return Principal(email, role, email=email, session_id=session_id)

    def check_unsafe(self, request: Request, principal: Principal | None) -> None:
        """Raise NotAllowed for a change that another site's page may have sent with the cookies of this one."""
        if _bearer(request) is not None and principal is not None and principal.name.startswith("token:"):
            return
        origin = request.headers.get("origin")
        if origin is not None and not _is_own(origin, request):
            raise NotAllowed(
                f"A page of {origin[:200]} asked for this change, which only pages of this server may do; behind a"
                " proxy, let it pass the Host header on"
            )
        if origin is None and request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise NotAllowed("A page of another site asked for this change, which only pages of this server may do")
        if principal is not None and principal.session_id is not None:
            given = request.headers.get("x-csrf-token", "")
            if not secrets.compare_digest(given.encode(), csrf_of(request).encode()):
                raise NotAllowed("The header X-CSRF-Token is missing or wrong; GET session tells the right one")


def _of_host(told: Told) -> Principal | None:
    if told is None:
        return None
    if isinstance(told, Principal):  # the command line, which answers for itself
        return told
    if isinstance(told, str):
        return Principal("host", check_role(told))
    role, email = told
    address = check_email(email)
    return Principal(f"host:{address}", check_role(role), email=address)


def csrf_of(request: Request) -> str:
    """The CSRF token of a request's session: derived from its cookie, which other sites cannot read."""
    return csrf_of_secret(request.cookies.get(COOKIE, ""))


def csrf_of_secret(secret: str) -> str:
    """The CSRF token that belongs to a session's secret."""
    return sha256(f"turbine csrf {secret}".encode("utf-8", "surrogatepass")).hexdigest()


def base_of(request: Request) -> str:
    """Where the application is mounted, as browsers see it: the path before `/api/pt`."""
    return str(request.scope.get("root_path", "")).removesuffix("/api/pt")


def set_cookie(response: Response, request: Request, secret: str) -> None:
    """Sign a browser in."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=SESSION_MS // 1000,
        path=base_of(request) or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response, request: Request) -> None:
    """Sign a browser out."""
    response.delete_cookie(
        COOKIE,
        path=base_of(request) or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _is_own(origin: str, request: Request) -> bool:
    """Whether a page of this very server asks. The scheme may differ: a proxy that ends TLS need not tell."""
    return _host_and_port(urlsplit(origin).netloc) == _host_and_port(request.headers.get("host", ""))


def _host_and_port(netloc: str) -> tuple[str, str]:
    host, colon, port = netloc.lower().rpartition(":")
    if not colon or not port.isdecimal():
        host, port = netloc.lower(), ""
    return host, "" if port in ("80", "443") else port


def _check_loopback(request: Request) -> None:
    """Without sign-in only this machine may ask, and only by a name that no stranger can give to this machine."""
    client = request.client.host if request.client else ""
    host, _ = _host_and_port(request.headers.get("host", ""))
    if _is_elsewhere(client) or not _is_local_name(host):
        raise NotAllowed(
            "Without sign-in (auth='none') Turbine answers this machine only, at localhost or 127.0.0.1;"
            " use auth='accounts' to let others in"
        )


def _is_elsewhere(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False  # a unix socket, or a test that calls the application directly


def _is_local_name(host: str) -> bool:
    """A name without a dot cannot be registered by anybody; a dotted one might be made to point here."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return "." not in host.removesuffix(".localhost")
