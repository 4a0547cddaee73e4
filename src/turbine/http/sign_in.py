"""Signing in and out, the first account, and one's own password."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from turbine.errors import NotAllowed
from turbine.http import auth
from turbine.http.auth import Authenticator
from turbine.http.bootstrap import print_setup_link
from turbine.http.request_context import Viewing, app_of, runtime_of
from turbine.http.schemas import RequestSchema, Schema
from turbine.model.accounts import Principal, Role
from turbine.operations import sign_in
from turbine.operations.sign_in import Browser, OpenedSession

router = APIRouter(tags=["sign-in"])

Email = Annotated[str, Field(max_length=320, examples=["ada@example.com"])]
Password = Annotated[str, Field(max_length=1024, examples=["correct horse battery staple"])]


class SessionResponse(Schema):
    """The signed-in account, and the server."""

    authenticated: bool
    needs_setup: bool = Field(description="Whether the first account is still to be created, by the set-up link.")
    auth: Literal["accounts", "none", "host"]
    role: Role | None = None
    email: str | None = None
    csrf: str | None = Field(default=None, description="To be sent as X-CSRF-Token with every change.")
    version: str
    application_id: str
    database: Literal["sqlite", "postgres"]


class SignInResponse(Schema):
    """The answer to a sign-in, beside its cookie."""

    role: Role
    email: str
    csrf: str


class SignInRequest(RequestSchema):
    """E-mail and password."""

    email: Email
    password: Password


class SetUpRequest(RequestSchema):
    """The first account, and the token of the set-up link."""

    token: str = Field(max_length=200)
    email: Email
    password: Password


class PasswordRequest(RequestSchema):
    """A change of one's own password."""

    current: Password
    new: Password


def authenticator_of(request: Request) -> Authenticator:
    """The authenticator of the application."""
    return request.app.state.authenticator


@router.get("/session")
async def get_session(request: Request) -> SessionResponse:
    """The signed-in account; the first request of the dashboard."""
    rt = runtime_of(request)
    kind = authenticator_of(request).kind
    principal: Principal | None = request.scope["turbine.principal"]
    app = app_of(rt)
    needs_setup = principal is None and kind == "accounts" and await sign_in.needs_setup(app)
    if needs_setup and request.app.state.setup_path is not None:
        path, request.app.state.setup_path = request.app.state.setup_path, None
        await print_setup_link(rt, path)
    return SessionResponse(
        authenticated=principal is not None,
        needs_setup=needs_setup,
        auth=kind,
        role=None if principal is None else principal.role,
        email=None if principal is None else principal.email,
        csrf=auth.csrf_of(request) if principal is not None and principal.session_id is not None else None,
        version=version("turbine-workflows"),
        application_id=rt.application_id,
        database="sqlite" if app.store.dialect == "sqlite" else "postgres",
    )


@router.post("/login")
async def log_in(credentials: SignInRequest, request: Request, response: Response) -> SignInResponse:
    """Sign a browser in. After too many attempts, for an account or from an address, 429 for a while."""
    _require_accounts(request)
    app = app_of(runtime_of(request))
    opened = await sign_in.sign_in(app, credentials.email, credentials.password, _browser(request))
    return _signed_in(opened, request, response)


@router.post("/logout", status_code=204)
async def log_out(context: Viewing, request: Request) -> Response:
    """End the session of this browser."""
    await sign_in.sign_out(context.app, context.principal)
    response = Response(status_code=204)
    auth.clear_cookie(response, request)
    return response


@router.post("/setup")
async def set_up(account: SetUpRequest, request: Request, response: Response) -> SignInResponse:
    """Create the first account, an administrator, with the link that was printed at startup. It works once."""
    _require_accounts(request)
    app = app_of(runtime_of(request))
    opened = await sign_in.set_up(app, account.token, account.email, account.password, _browser(request))
    return _signed_in(opened, request, response)


@router.post("/password", status_code=204)
async def change_password(passwords: PasswordRequest, context: Viewing) -> Response:
    """Change one's own password; other browsers of the account are signed out."""
    await sign_in.change_password(context.app, context.principal, passwords.current, passwords.new)
    return Response(status_code=204)


def _require_accounts(request: Request) -> None:
    if authenticator_of(request).kind != "accounts":
        raise NotAllowed("This server has no accounts of its own; sign in to the host application")


def _signed_in(opened: OpenedSession, request: Request, response: Response) -> SignInResponse:
    auth.set_cookie(response, request, opened.secret)
    return SignInResponse(role=opened.role, email=opened.email, csrf=auth.csrf_of_secret(opened.secret))


def _browser(request: Request) -> Browser:
    return Browser(request.client.host[:100] if request.client else None, request.headers.get("user-agent"))
