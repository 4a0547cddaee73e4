"""Keys with which programs use this API."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.actions.tokens import Tokens
from turbine.http.desk import Administering
from turbine.http.shapes import Asked, Cursor, Items, Limit, Moment, Shape, When
from turbine.model.accounts import Role

router = APIRouter(tags=["tokens"])


class Token(Shape):
    """What is known of a token."""

    id: str
    name: str
    role: Role
    expires: Moment | None
    created: Moment


class MadeToken(Token):
    """A token that was just made: the only time it is shown."""

    token: str


class NewToken(Asked):
    """A token to be made; without `expires` it never ends."""

    name: str = Field(min_length=1, max_length=200, examples=["ci"])
    role: Role = Field(strict=False)
    expires: When | None = Field(default=None, strict=False)


@router.get("/tokens")
async def listing(desk: Administering, limit: Limit = 50, cursor: Cursor = None) -> Items[Token]:
    """A page of tokens, newest first, without the tokens themselves."""
    return Items[Token].model_validate(await desk.rt.tokens.list(limit=limit, cursor=cursor))


@router.post("/tokens", status_code=201)
async def create(asked: NewToken, desk: Administering) -> MadeToken:
    """Make a token; it is shown once."""
    port = desk.change("token.create", asked.name, role=asked.role, expires=asked.expires)
    return MadeToken.model_validate(await Tokens(lambda: port).create(asked.name, asked.role, asked.expires))


@router.delete("/tokens/{id:key}", status_code=204)
async def delete(id: str, desk: Administering) -> Response:
    """Revoke a token."""
    known = await desk.rt.tokens.get(id)
    port = desk.change("token.delete", known.name)
    await Tokens(lambda: port).delete(id)
    return Response(status_code=204)
