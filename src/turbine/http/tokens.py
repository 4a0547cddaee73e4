"""API tokens: keys with which programs use this API."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from turbine.http.request_context import Administering
from turbine.http.schemas import Cursor, Limit, RequestSchema, When
from turbine.model.accounts import Role, TokenRecord
from turbine.model.workflows import Page
from turbine.operations.tokens import Tokens

router = APIRouter(tags=["tokens"])


class ApiTokenRequest(RequestSchema):
    """A new token; without `expires` it never expires."""

    name: str = Field(min_length=1, max_length=200, examples=["ci"])
    role: Role = Field(strict=False)
    expires: When | None = Field(default=None, strict=False)


@router.get("/tokens", response_model_exclude={"items": {"__all__": {"token"}}})
async def list_tokens(context: Administering, limit: Limit = 50, cursor: Cursor = None) -> Page[TokenRecord]:
    """A page of tokens, newest first, without the tokens themselves."""
    return await context.rt.tokens.list(limit=limit, cursor=cursor)


@router.post("/tokens", status_code=201)
async def create_token(request: ApiTokenRequest, context: Administering) -> TokenRecord:
    """Create a token; it is shown only once."""
    return await context.acting(Tokens).create(request.name, request.role, request.expires)


@router.delete("/tokens/{id:key}", status_code=204)
async def revoke_token(id: str, context: Administering) -> Response:
    """Revoke a token."""
    await context.acting(Tokens).delete(id)
    return Response(status_code=204)
