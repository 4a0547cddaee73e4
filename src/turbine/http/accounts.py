"""Accounts: people who may sign in, and the browsers in which they are signed in."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.http.request_context import Administering
from turbine.http.schemas import Cursor, Limit, RequestSchema, given
from turbine.http.sign_in import Email, Password
from turbine.model.accounts import AccountRecord, Role, SessionRecord
from turbine.model.workflows import Page
from turbine.operations.accounts import Accounts

router = APIRouter(tags=["accounts"])


class AccountRequest(RequestSchema):
    """A new account."""

    email: Email
    password: Password
    role: Role = Field(default=Role.VIEWER, strict=False)


class AccountChangeRequest(RequestSchema):
    """The fields to change."""

    role: Role = Field(default=Role.VIEWER, strict=False)
    enabled: bool = True
    password: Password = ""


@router.get("/accounts")
async def list_accounts(context: Administering, limit: Limit = 50, cursor: Cursor = None) -> Page[AccountRecord]:
    """A page of accounts, the oldest first."""
    return await context.rt.accounts.list(limit=limit, cursor=cursor)


@router.post("/accounts", status_code=201)
async def create_account(request: AccountRequest, context: Administering) -> AccountRecord:
    """Create an account."""
    return await context.acting(Accounts).create(request.email, request.password, request.role)


@router.patch("/accounts/{id:key}")
async def update_account(id: str, request: AccountChangeRequest, context: Administering) -> AccountRecord:
    """Change the role or the password, or disable sign-in; counts at once for all sessions of the account."""
    return await context.acting(Accounts).update(id, **given(request))


@router.delete("/accounts/{id:key}", status_code=204)
async def delete_account(id: str, context: Administering) -> Response:
    """Delete an account; its sessions end."""
    await context.acting(Accounts).delete(id)
    return Response(status_code=204)


@router.get("/sessions")
async def list_sessions(context: Administering) -> Page[SessionRecord]:
    """The browsers that are signed in, newest first."""
    return await context.rt.accounts.sessions()


@router.delete("/sessions/{id:key}", status_code=204)
async def revoke_session(id: str, context: Administering) -> Response:
    """Sign a browser out."""
    await context.acting(Accounts).revoke(id)
    return Response(status_code=204)
