"""Keys with which programs use this API."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.http.request_context import Administering
from turbine.http.schemas import Cursor, Items, Limit, Moment, RequestSchema, Schema, When
from turbine.model.accounts import Role
from turbine.operations.tokens import Tokens

router = APIRouter(tags=["tokens"])


class Token(Schema):
    """What is known of a token."""

    id: str
    name: str
    role: Role
    expires: Moment | None
    created: Moment


class MadeToken(Token):
    """A token that was just made: the only time it is shown."""

    token: str


class NewToken(RequestSchema):
    """A token to be made; without `expires` it never ends."""

    name: str = Field(min_length=1, max_length=200, examples=["ci"])
    role: Role = Field(strict=False)
    expires: When | None = Field(default=None, strict=False)


@router.get("/tokens")
async def listing(context: Administering, limit: Limit = 50, cursor: Cursor = None) -> Items[Token]:
    """A page of tokens, newest first, without the tokens themselves."""
    return Items[Token].model_validate(await context.rt.tokens.list(limit=limit, cursor=cursor))


@router.post("/tokens", status_code=201)
async def create(asked: NewToken, context: Administering) -> MadeToken:
    """Make a token; it is shown once."""
    app = context.change("token.create", asked.name, role=asked.role, expires=asked.expires)
    return MadeToken.model_validate(await Tokens(lambda: app).create(asked.name, asked.role, asked.expires))


@router.delete("/tokens/{id:key}", status_code=204)
async def delete(id: str, context: Administering) -> Response:
    """Revoke a token."""
    known = await context.rt.tokens.get(id)
    app = context.change("token.delete", known.name)
    await Tokens(lambda: app).delete(id)
    return Response(status_code=204)
