"""The global key-value store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from turbine.errors import NotFound, ValidationFailed
from turbine.http.request_context import Operating, RequestContext, Viewing
from turbine.http.schemas import Items, Json, Limit, Moment, RequestSchema, Schema
from turbine.model.kv import KVRecord
from turbine.operations.kv import MISSING, Kv
from turbine.registry import UNSET

router = APIRouter(tags=["kv"])


class Entry(Schema):
    """A key and its value."""

    key: str
    value: Json
    schema_: Json = Field(alias="schema", description="The JSON Schema that its values must fit, or null.")
    updated: Moment


class Change(Schema):
    """One write of a key."""

    value: Json = Field(description="What it held from then on; null where the key was deleted.")
    at: Moment
    by: str | None = Field(
        examples=["ada@example.com"], description="An account, a token, or `run:` and the id of a run."
    )


class NewValue(RequestSchema):
    """A value; with `expect` it is written only if the stored value is that one (null: only if there is none)."""

    value: Json
    expect: Json = None


class NewSchema(RequestSchema):
    """A JSON Schema, or null to allow any value."""

    schema_: dict[str, Any] | bool | None = Field(alias="schema")


@router.get("/kv")
async def listing(
    context: Viewing,
    prefix: Annotated[str, Query(max_length=2000)] = "",
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before.")] = None,
) -> Items[Entry]:
    """A page of keys, in the order of their characters."""
    return Items[Entry].model_validate(await context.rt.kv.list(prefix, limit=limit, cursor=cursor))


@router.get("/kv/{key:key}")
async def one(key: str, context: Viewing) -> Entry:
    """A key."""
    return Entry.model_validate(await _record(context, key))


@router.get("/kv/{key:key}/history")
async def history(key: str, context: Viewing) -> Items[Change]:
    """The newest writes of a key, newest first: up to 50, fewer if they are large. To put one back, PUT its value."""
    return Items(items=[Change.model_validate(one) for one in await context.rt.kv.history(key)])


async def _record(context: RequestContext, key: str) -> KVRecord:
    # The first key that begins with it, in order, is the key itself.
    page = await context.rt.kv.list(key, limit=1)
    if not page.items or page.items[0].key != key:
        raise NotFound(kind="key", id=key)
    return page.items[0]


@router.put("/kv/{key:key}")
async def put(key: str, asked: NewValue, context: Operating) -> Entry:
    """Write a key; 409 when the stored value is not the expected one, 422 when the value does not fit the schema."""
    if asked.value is None:
        raise ValidationFailed(
            errors=[{"path": ["value"], "message": "null is no value; DELETE the key instead", "type": "value_error"}]
        )
    expect = UNSET
    if "expect" in asked.model_fields_set:
        expect = MISSING if asked.expect is None else asked.expect
    app = context.change("kv.set", key)
    await Kv(lambda: app).set(key, asked.value, expect, by=context.principal.name)
    return Entry.model_validate(await _record(context, key))


@router.delete("/kv/{key:key}", status_code=204)
async def delete(key: str, context: Operating) -> Response:
    """Remove a key and its schema."""
    await _record(context, key)
    app = context.change("kv.delete", key)
    await Kv(lambda: app).delete(key, by=context.principal.name)
    return Response(status_code=204)


@router.put("/kv/{key:key}/schema")
async def put_schema(key: str, asked: NewSchema, context: Operating) -> Entry:
    """Let a key hold only what fits a JSON Schema, also before it has a value."""
    app = context.change("kv.schema", key)
    await Kv(lambda: app).set_schema(key, asked.schema_)
    try:
        return Entry.model_validate(await _record(context, key))
    except NotFound:  # without a value and without a schema there is no key
        return Entry(key=key, value=None, schema=None, updated=context.now())
