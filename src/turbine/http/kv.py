"""The global key-value store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from turbine.errors import NotFound, ValidationFailed
from turbine.http.request_context import Operating, Viewing
from turbine.http.schemas import Json, Limit, RequestSchema
from turbine.model.kv import KVChange, KVRecord
from turbine.model.workflows import Page
from turbine.operations.kv import MISSING, delete_key, set_key, set_key_schema
from turbine.registry import UNSET

router = APIRouter(tags=["kv"])


class ValueRequest(RequestSchema):
    """A value; with `expect` it is written only if the stored value is that one (null: only if there is none)."""

    value: Json
    expect: Json = None


class KeySchemaRequest(RequestSchema):
    """A JSON Schema, or null to allow any value."""

    schema_: dict[str, Any] | bool | None = Field(alias="schema")


@router.get("/kv")
async def list_keys(
    context: Viewing,
    prefix: Annotated[str, Query(max_length=2000)] = "",
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the previous page.")] = None,
) -> Page[KVRecord]:
    """A page of keys, in the order of their characters."""
    return await context.rt.kv.list(prefix, limit=limit, cursor=cursor)


@router.get("/kv/{key:key}")
async def get_key(key: str, context: Viewing) -> KVRecord:
    """A key."""
    # The first key with this prefix, in order, is the key itself.
    page = await context.rt.kv.list(key, limit=1)
    if not page.items or page.items[0].key != key:
        raise NotFound(kind="key", id=key)
    return page.items[0]


@router.get("/kv/{key:key}/history")
async def get_history(key: str, context: Viewing) -> Page[KVChange]:
    """The newest writes of a key, newest first: up to 50, fewer if they are large. To restore one, PUT its value."""
    return Page(await context.rt.kv.history(key))


@router.put("/kv/{key:key}")
async def put_key(key: str, request: ValueRequest, context: Operating) -> KVRecord:
    """Write a key; 409 when the stored value is not the expected one, 422 when the value does not fit the schema."""
    if request.value is None:
        raise ValidationFailed(
            errors=[
                {"path": ["value"], "message": "null is not a value; DELETE the key instead", "type": "value_error"}
            ]
        )
    expect = UNSET
    if "expect" in request.model_fields_set:
        expect = MISSING if request.expect is None else request.expect
    return await set_key(context.app, key, request.value, expect, actor=context.principal)


@router.delete("/kv/{key:key}", status_code=204)
async def delete(key: str, context: Operating) -> Response:
    """Delete a key and its schema."""
    if not await delete_key(context.app, key, actor=context.principal):
        raise NotFound(kind="key", id=key)
    return Response(status_code=204)


@router.put("/kv/{key:key}/schema")
async def put_schema(key: str, request: KeySchemaRequest, context: Operating) -> KVRecord:
    """Let a key hold only values that fit a JSON Schema, also before it has a value."""
    return await set_key_schema(context.app, key, request.schema_, actor=context.principal)
