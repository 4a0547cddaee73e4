"""People who may sign in, and the browsers in which they have."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.actions.accounts import Accounts
from turbine.http.desk import Administering
from turbine.http.shapes import Asked, Cursor, Items, Limit, Moment, Shape, given
from turbine.http.sign_in import Email, Password
from turbine.model.accounts import Role

router = APIRouter(tags=["accounts"])


class Account(Shape):
    """Somebody who signs in with e-mail and password."""

    id: str
    email: str
    role: Role
    enabled: bool
    created: Moment
    last_login: Moment | None


class NewAccount(Asked):
    """An account to be made."""

    email: Email
    password: Password
    role: Role = Field(default=Role.VIEWER, strict=False)


class AccountChange(Asked):
    """What is to be changed of an account."""

    role: Role = Field(default=Role.VIEWER, strict=False)
    enabled: bool = True
    password: Password = ""


class Session(Shape):
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
async def listing(desk: Administering, limit: Limit = 50, cursor: Cursor = None) -> Items[Account]:
    """A page of accounts, the oldest first."""
    return Items[Account].model_validate(await desk.rt.accounts.list(limit=limit, cursor=cursor))


@router.post("/accounts", status_code=201)
async def create(asked: NewAccount, desk: Administering) -> Account:
    """Make an account."""
    port = desk.change("account.create", asked.email[:320], role=asked.role)
    return Account.model_validate(await Accounts(lambda: port).create(asked.email, asked.password, asked.role))


@router.patch("/accounts/{id:key}")
async def change(id: str, asked: AccountChange, desk: Administering) -> Account:
    """Change role, password or whether an account may sign in, at once for all its sessions."""
    changes = given(asked)
    known = await desk.rt.accounts.get(id)
    told = {name: value for name, value in changes.items() if name != "password"}
    port = desk.change("account.update", known.email, password="changed" if "password" in changes else None, **told)
    kept = desk.caller.session_id or "" if known.email == desk.caller.email else ""
    return Account.model_validate(await Accounts(lambda: port).update(id, **changes, kept_session=kept))


@router.delete("/accounts/{id:key}", status_code=204)
async def delete(id: str, desk: Administering) -> Response:
    """Remove an account; its sessions end."""
    known = await desk.rt.accounts.get(id)
    port = desk.change("account.delete", known.email)
    await Accounts(lambda: port).delete(id)
    return Response(status_code=204)


@router.get("/sessions")
async def sessions(desk: Administering) -> Items[Session]:
    """The browsers that are signed in, newest first."""
    return Items[Session].model_validate(await desk.rt.accounts.sessions())


@router.delete("/sessions/{id:key}", status_code=204)
async def revoke(id: str, desk: Administering) -> Response:
    """Sign a browser out."""
    port = desk.change("session.revoke", id)
    await Accounts(lambda: port).revoke(id)
    return Response(status_code=204)
