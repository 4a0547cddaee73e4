"""Signing in and out, and making the first account."""

from __future__ import annotations

import secrets
from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from turbine.actions.accounts import (
    Accounts,
    check_email,
    check_password,
    hash_password,
    hash_secret,
    is_password,
    new_secret,
)
from turbine.actions.audit import line_of
from turbine.engine.port import Port
from turbine.errors import NotAllowed, NotSignedIn, TooManyAttempts
from turbine.http import doors
from turbine.http.desk import Viewing, port_of, runtime_of
from turbine.http.doors import SESSION_MS, Doors
from turbine.http.first_start import offer_setup
from turbine.http.shapes import Asked, Shape
from turbine.ids import new_id
from turbine.model.accounts import Caller, Role
from turbine.tables import accounts
from turbine.tables.accounts import NewSession

router = APIRouter(tags=["sign-in"])
AGENT_MAX = 300

Email = Annotated[str, Field(max_length=320, examples=["ada@example.com"])]
Password = Annotated[str, Field(max_length=1024, examples=["correct horse battery staple"])]


class Session(Shape):
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


class SignedIn(Shape):
    """The answer to a sign-in, beside its cookie."""

    role: Role
    email: str
    csrf: str


class Login(Asked):
    """E-mail and password."""

    email: Email
    password: Password


class SetUp(Asked):
    """The first account; the token is that of the set-up link."""

    token: str = Field(max_length=200)
    email: Email
    password: Password


class NewPassword(Asked):
    """A change of one's own password."""

    current: Password
    new: Password


def doors_of(request: Request) -> Doors:
    """How this application tells who asks."""
    return request.app.state.doors


@router.get("/session")
async def session(request: Request) -> Session:
    """Who is signed in; the first thing that the dashboard asks."""
    rt = runtime_of(request)
    kind = doors_of(request).kind
    caller: Caller | None = request.scope["turbine.caller"]
    port = port_of(rt)
    needs_setup = caller is None and kind == "accounts" and await port.store.read(accounts.is_empty)
    if needs_setup and request.app.state.setup_path is not None:
        path, request.app.state.setup_path = request.app.state.setup_path, None
        await offer_setup(rt, path)
    return Session(
        authenticated=caller is not None,
        needs_setup=needs_setup,
        auth=kind,
        role=None if caller is None else caller.role,
        email=None if caller is None else caller.email,
        csrf=doors.csrf_of(request) if caller is not None and caller.session_id is not None else None,
        version=version("turbine-workflows"),
        application_id=rt.application_id,
        database="sqlite" if port.store.dialect == "sqlite" else "postgres",
    )


@router.post("/login")
async def login(asked: Login, request: Request, response: Response) -> SignedIn:
    """Sign a browser in. Too many attempts, for an account or from an address, are refused for a while."""
    _only_with_accounts(request)
    port = port_of(runtime_of(request))
    email = check_email(asked.email)
    address = _address(request)
    wait_ms = await port.store.write(accounts.knock, address=address, email=email, now_ms=port.clock.now_ms())
    if wait_ms:
        raise TooManyAttempts(retry_after=-(-wait_ms // 1000))
    known = await port.store.read(accounts.password_of, email=email)
    is_right = await is_password(asked.password, None if known is None else known.password)
    if known is None or not is_right or not known.enabled:
        raise NotSignedIn("E-mail address or password is wrong")
    secret, opened = _new_session(request, port)
    caller = Caller(email, known.role, email=email)
    line = line_of(opened.now_ms, caller, "session.login", email, detail={"address": address} if address else None)
    await port.store.write(accounts.sign_in, account=known.account, email=email, session=opened, line=line)
    doors.set_cookie(response, request, secret)
    return SignedIn(role=known.role, email=email, csrf=doors.csrf_of_secret(secret))


@router.post("/logout", status_code=204)
async def logout(desk: Viewing, request: Request) -> Response:
    """End the session of this browser."""
    if desk.caller.session_id is not None:
        port = desk.change("session.logout", desk.caller.actor)
        await Accounts(lambda: port).revoke(desk.caller.session_id)
    response = Response(status_code=204)
    doors.clear_cookie(response, request)
    return response


@router.post("/setup")
async def set_up(asked: SetUp, request: Request, response: Response) -> SignedIn:
    """Make the first account, an administrator, by the link that the start has printed. It works once."""
    _only_with_accounts(request)
    port = port_of(runtime_of(request))
    email = check_email(asked.email)
    hashed = await hash_password(check_password(asked.password))
    secret, opened = _new_session(request, port)
    line = line_of(opened.now_ms, Caller(email, Role.ADMIN), "account.setup", email)
    await port.store.write(
        accounts.set_up,
        token_hash=hash_secret(asked.token),
        id=new_id(),
        email=email,
        password=hashed,
        session=opened,
        line=line,
    )
    doors.set_cookie(response, request, secret)
    return SignedIn(role=Role.ADMIN, email=email, csrf=doors.csrf_of_secret(secret))


@router.post("/password", status_code=204)
async def password(asked: NewPassword, desk: Viewing) -> Response:
    """Change one's own password; other browsers of the account are signed out."""
    email = desk.caller.email
    if email is None or desk.caller.session_id is None:
        raise NotAllowed("Only somebody who signed in with a password can change it")
    port = desk.port
    wait_ms = await port.store.write(accounts.knock, address=None, email=email, now_ms=port.clock.now_ms())
    if wait_ms:
        raise TooManyAttempts(retry_after=-(-wait_ms // 1000))
    known = await port.store.read(accounts.password_of, email=email)
    if known is None or not await is_password(asked.current, known.password):
        raise NotAllowed("The current password is wrong")
    changing = desk.change("account.password", email)
    await Accounts(lambda: changing).update(known.id, password=asked.new, kept_session=desk.caller.session_id or "")
    return Response(status_code=204)


def _only_with_accounts(request: Request) -> None:
    if doors_of(request).kind != "accounts":
        raise NotAllowed("This server has no accounts of its own; sign in where the host application does")


def _new_session(request: Request, port: Port) -> tuple[str, NewSession]:
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
