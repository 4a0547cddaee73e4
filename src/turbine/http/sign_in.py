"""Signing in and out, and making the first account."""

from __future__ import annotations

import secrets
from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from turbine.engine.app import App
from turbine.errors import NotAllowed, NotSignedIn, TooManyAttempts
from turbine.http import auth
from turbine.http.auth import SESSION_MS, Authenticator
from turbine.http.bootstrap import offer_setup
from turbine.http.request_context import Viewing, app_of, runtime_of
from turbine.http.schemas import RequestSchema, Schema
from turbine.ids import new_id
from turbine.model.accounts import Principal, Role
from turbine.operations.accounts import (
    Accounts,
    check_email,
    check_password,
    hash_password,
    hash_secret,
    is_password,
    new_secret,
)
from turbine.operations.audit import line_of
from turbine.tables import accounts
from turbine.tables.accounts import NewSession

router = APIRouter(tags=["sign-in"])
AGENT_MAX = 300

Email = Annotated[str, Field(max_length=320, examples=["ada@example.com"])]
Password = Annotated[str, Field(max_length=1024, examples=["correct horse battery staple"])]


class Session(Schema):
    """Who asks, and what server this is."""

    authenticated: bool
    needs_setup: bool = Field(description="Whether the first account is still to be made, by the set-up link.")
    auth: Literal["accounts", "none", "host"]
    role: Role | None = None
    email: str | None = None
    csrf: str | None = Field(default=None, description="To be sent as X-CSRF-Token with every change.")
    version: str
    application_id: str
    database: Literal["sqlite", "postgres"]


class SignedIn(Schema):
    """The answer to a sign-in, beside its cookie."""

    role: Role
    email: str
    csrf: str


class Login(RequestSchema):
    """E-mail and password."""

    email: Email
    password: Password


class SetUp(RequestSchema):
    """The first account; the token is that of the set-up link."""

    token: str = Field(max_length=200)
    email: Email
    password: Password


class NewPassword(RequestSchema):
    """A change of one's own password."""

    current: Password
    new: Password


def authenticator_of(request: Request) -> Authenticator:
    """How this application tells who asks."""
    return request.app.state.authenticator


@router.get("/session")
async def session(request: Request) -> Session:
    """Who is signed in; the first thing that the dashboard asks."""
    rt = runtime_of(request)
    kind = authenticator_of(request).kind
    principal: Principal | None = request.scope["turbine.principal"]
    port = app_of(rt)
    needs_setup = principal is None and kind == "accounts" and await port.store.read(accounts.is_empty)
    if needs_setup and request.app.state.setup_path is not None:
        path, request.app.state.setup_path = request.app.state.setup_path, None
        await offer_setup(rt, path)
    return Session(
        authenticated=principal is not None,
        needs_setup=needs_setup,
        auth=kind,
        role=None if principal is None else principal.role,
        email=None if principal is None else principal.email,
        csrf=auth.csrf_of(request) if principal is not None and principal.session_id is not None else None,
        version=version("turbine-workflows"),
        application_id=rt.application_id,
        database="sqlite" if port.store.dialect == "sqlite" else "postgres",
    )


@router.post("/login")
async def login(asked: Login, request: Request, response: Response) -> SignedIn:
    """Sign a browser in. Too many attempts, for an account or from an address, are refused for a while."""
    _only_with_accounts(request)
    port = app_of(runtime_of(request))
    email = check_email(asked.email)
    address = _address(request)
    wait_ms = await port.store.write(
        accounts.record_login_attempt, address=address, email=email, now_ms=port.clock.now_ms()
    )
    if wait_ms:
        raise TooManyAttempts(retry_after=-(-wait_ms // 1000))
    known = await port.store.read(accounts.password_of, email=email)
    is_right = await is_password(asked.password, None if known is None else known.password)
    if known is None or not is_right or not known.enabled:
        raise NotSignedIn("E-mail address or password is wrong")
    secret, opened = _new_session(request, port)
    principal = Principal(email, known.role, email=email)
    line = line_of(opened.now_ms, principal, "session.login", email, detail={"address": address} if address else None)
    await port.store.write(accounts.sign_in, account=known.account, email=email, session=opened, line=line)
    auth.set_cookie(response, request, secret)
    return SignedIn(role=known.role, email=email, csrf=auth.csrf_of_secret(secret))


@router.post("/logout", status_code=204)
async def logout(context: Viewing, request: Request) -> Response:
    """End the session of this browser."""
    if context.principal.session_id is not None:
        port = context.change("session.logout", context.principal.name)
        await Accounts(lambda: port).revoke(context.principal.session_id)
    response = Response(status_code=204)
    auth.clear_cookie(response, request)
    return response


@router.post("/setup")
async def set_up(asked: SetUp, request: Request, response: Response) -> SignedIn:
    """Make the first account, an administrator, by the link that the start has printed. It works once."""
    _only_with_accounts(request)
    port = app_of(runtime_of(request))
    email = check_email(asked.email)
    hashed = await hash_password(check_password(asked.password))
    secret, opened = _new_session(request, port)
    line = line_of(opened.now_ms, Principal(email, Role.ADMIN), "account.setup", email)
    await port.store.write(
        accounts.set_up,
        token_hash=hash_secret(asked.token),
        id=new_id(),
        email=email,
        password=hashed,
        session=opened,
        line=line,
    )
    auth.set_cookie(response, request, secret)
    return SignedIn(role=Role.ADMIN, email=email, csrf=auth.csrf_of_secret(secret))


@router.post("/password", status_code=204)
async def password(asked: NewPassword, context: Viewing) -> Response:
    """Change one's own password; other browsers of the account are signed out."""
    email = context.principal.email
    if email is None or context.principal.session_id is None:
        raise NotAllowed("Only somebody who signed in with a password can change it")
    port = context.app
    wait_ms = await port.store.write(
        accounts.record_login_attempt, address=None, email=email, now_ms=port.clock.now_ms()
    )
    if wait_ms:
        raise TooManyAttempts(retry_after=-(-wait_ms // 1000))
    known = await port.store.read(accounts.password_of, email=email)
    if known is None or not await is_password(asked.current, known.password):
        raise NotAllowed("The current password is wrong")
    changing = context.change("account.password", email)
    await Accounts(lambda: changing).update(
        known.id, password=asked.new, kept_session=context.principal.session_id or ""
    )
    return Response(status_code=204)


def _only_with_accounts(request: Request) -> None:
    if authenticator_of(request).kind != "accounts":
        raise NotAllowed("This server has no accounts of its own; sign in where the host application does")


def _new_session(request: Request, port: App) -> tuple[str, NewSession]:
    secret = new_secret()
    now_ms = port.clock.now_ms()
    agent = request.headers.get("user-agent")
    return secret, NewSession(
        id=secrets.token_hex(8),
        token_hash=hash_secret(secret),
        address=_address(request),
        agent=None if agent is None else agent.replace("\0", "")[:AGENT_MAX],
        now_ms=now_ms,
        expires_ms=now_ms + SESSION_MS,
    )


def _address(request: Request) -> str | None:
    return request.client.host[:100] if request.client else None
