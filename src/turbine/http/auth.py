"""Authentication by session, API token or the host application; and protection against cross-site requests."""

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
from turbine.operations.accounts import check_email, check_role
from turbine.operations.sign_in import SESSION_MS, principal_of_session, principal_of_token
from turbine.operations.tokens import PREFIX

COOKIE = "turbine_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Identity = str | tuple[str, str] | Principal | None
"""The answer of a host application: a role, a role and an e-mail address, or None for an anonymous request."""
SignIn = Callable[[Request], "Identity | Awaitable[Identity]"]
Auth = Literal["accounts", "none"] | SignIn


class Authenticator:
    """Authenticates requests in the way that the application was set up with."""

    def __init__(self, app: Callable[[], App], auth: Auth) -> None:
        if not callable(auth) and auth not in ("accounts", "none"):
            raise ValueError(f"auth is 'accounts', 'none' or a function of a request, not {auth!r}")
        self._app = app
        self._auth = auth
        self.kind: Literal["accounts", "none", "host"] = "none" if auth == "none" else "accounts"
        if callable(auth):
            self.kind = "host"

    async def principal(self, request: Request) -> Principal | None:
        """The principal of a request, None for an anonymous one. Raises NotAllowed for a request from elsewhere."""
        if self._auth == "none":
            _check_loopback(request)
            return Principal("local", Role.ADMIN)
        token = _bearer(request)
        if token is not None and token.startswith(PREFIX):
            return await principal_of_token(self._app(), token)
        if callable(self._auth):
            answer = self._auth(request)
            return _of_host(await answer if inspect.isawaitable(answer) else answer)
        cookie = request.cookies.get(COOKIE)
        return None if cookie is None else await principal_of_session(self._app(), cookie)

    def check_unsafe(self, request: Request, principal: Principal | None) -> None:
        """Raise NotAllowed for a change that a page of another site may have sent with the cookies of this one."""
        if _bearer(request) is not None and principal is not None and principal.name.startswith("token:"):
            return
        origin = request.headers.get("origin")
        if origin is not None and not _is_own(origin, request):
            raise NotAllowed(
                f"The request comes from a page of {origin[:200]}; only pages of this server may make changes. Behind a"
                " proxy, let it pass on the Host header"
            )
        if origin is None and request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise NotAllowed(
                "The request comes from a page of another site; only pages of this server may make changes"
            )
        if principal is not None and principal.session_id is not None:
            csrf = request.headers.get("x-csrf-token", "")
            if not secrets.compare_digest(csrf.encode(), csrf_of(request).encode()):
                raise NotAllowed("The header X-CSRF-Token is missing or wrong; GET session returns the right one")


def _of_host(identity: Identity) -> Principal | None:
    if identity is None:
        return None
    if isinstance(identity, Principal):  # the command line authenticates itself
        return identity
    if isinstance(identity, str):
        return Principal("host", check_role(identity))
    role, email = identity
    address = check_email(email)
    return Principal(f"host:{address}", check_role(role), email=address)


def csrf_of(request: Request) -> str:
    """The CSRF token of a request's session: derived from its cookie, which other sites cannot read."""
    return csrf_of_secret(request.cookies.get(COOKIE, ""))


def csrf_of_secret(secret: str) -> str:
    """The CSRF token that belongs to a session's secret."""
    return sha256(f"turbine csrf {secret}".encode("utf-8", "surrogatepass")).hexdigest()


def base_of(request: Request) -> str:
    """The path at which browsers see the application: the part before `/api/pt`."""
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
    """Whether the origin is this server. The scheme may differ: a proxy that terminates TLS need not tell."""
    return _host_and_port(urlsplit(origin).netloc) == _host_and_port(request.headers.get("host", ""))


def _host_and_port(netloc: str) -> tuple[str, str]:
    host, colon, port = netloc.lower().rpartition(":")
    if not colon or not port.isdecimal():
        host, port = netloc.lower(), ""
    return host, "" if port in ("80", "443") else port


def _check_loopback(request: Request) -> None:
    """Accept only this machine, and only under a host name that no other site can point at it."""
    client = request.client.host if request.client else ""
    host, _ = _host_and_port(request.headers.get("host", ""))
    if _is_remote(client) or not _is_local_name(host):
        raise NotAllowed(
            "Without sign-in (auth='none') Turbine only accepts requests from this machine, at localhost or 127.0.0.1;"
            " use auth='accounts' to accept others"
        )


def _is_remote(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False  # a unix socket, or a test that calls the application directly


def _is_local_name(host: str) -> bool:
    """Whether a host name is local: one without a dot cannot be registered, any other may point here."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return "." not in host.removesuffix(".localhost")
