"""People who may sign in, and the browsers in which they have."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.http.request_context import Administering
from turbine.http.schemas import Cursor, Items, Limit, Moment, RequestSchema, Schema, given
from turbine.http.sign_in import Email, Password
from turbine.model.accounts import Role
from turbine.operations.accounts import Accounts

router = APIRouter(tags=["accounts"])


class Account(Schema):
    """Somebody who signs in with e-mail and password."""

    id: str
    email: str
    role: Role
    enabled: bool
    created: Moment
    last_login: Moment | None


class NewAccount(RequestSchema):
    """An account to be made."""

    email: Email
    password: Password
    role: Role = Field(default=Role.VIEWER, strict=False)


class AccountChange(RequestSchema):
    """What is to be changed of an account."""

    role: Role = Field(default=Role.VIEWER, strict=False)
    enabled: bool = True
    password: Password = ""


class Session(Schema):
    """A browser that is signed in."""

    id: str
    account_id: str
    email: str
    address: str | None
    agent: str | None
    created: Moment
    seen: Moment
    expires: Moment


@router.get("/accounts")
async def listing(context: Administering, limit: Limit = 50, cursor: Cursor = None) -> Items[Account]:
    """A page of accounts, the oldest first."""
    return Items[Account].model_validate(await context.rt.accounts.list(limit=limit, cursor=cursor))


@router.post("/accounts", status_code=201)
async def create(asked: NewAccount, context: Administering) -> Account:
    """Make an account."""
    app = context.change("account.create", asked.email[:320], role=asked.role)
    return Account.model_validate(await Accounts(lambda: app).create(asked.email, asked.password, asked.role))


@router.patch("/accounts/{id:key}")
async def change(id: str, asked: AccountChange, context: Administering) -> Account:
    """Change role, password or whether an account may sign in, at once for all its sessions."""
    changes = given(asked)
    known = await context.rt.accounts.get(id)
    told = {name: value for name, value in changes.items() if name != "password"}
    app = context.change("account.update", known.email, password="changed" if "password" in changes else None, **told)
    kept = context.principal.session_id or "" if known.email == context.principal.email else ""
    return Account.model_validate(await Accounts(lambda: app).update(id, **changes, kept_session=kept))


@router.delete("/accounts/{id:key}", status_code=204)
async def delete(id: str, context: Administering) -> Response:
    """Remove an account; its sessions end."""
    known = await context.rt.accounts.get(id)
    app = context.change("account.delete", known.email)
    await Accounts(lambda: app).delete(id)
    return Response(status_code=204)


@router.get("/sessions")
async def sessions(context: Administering) -> Items[Session]:
    """The browsers that are signed in, newest first."""
    return Items[Session].model_validate(await context.rt.accounts.sessions())


@router.delete("/sessions/{id:key}", status_code=204)
async def revoke(id: str, context: Administering) -> Response:
    """Sign a browser out."""
    app = context.change("session.revoke", id)
    await Accounts(lambda: app).revoke(id)
    return Response(status_code=204)
