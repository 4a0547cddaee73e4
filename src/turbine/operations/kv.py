"""The global key-value store: for code outside of runs and, through recorded steps, inside."""

from __future__ import annotations

import builtins
import json
from typing import Any

from turbine.clock import to_datetime
from turbine.codec import json_value, payload_type
from turbine.codec.schemas import check_schema, complaints
from turbine.engine.app import App
from turbine.engine.payloads import Payloads
from turbine.ids import check_name, check_text
from turbine.model.accounts import Actor
from turbine.model.kv import KVChange, KVRecord
from turbine.model.pages import check_limit, page_of
from turbine.model.workflows import Page
from turbine.operations.audit_entries import audit_of
from turbine.operations.resources import Resource
from turbine.registry import UNSET
from turbine.tables import kv
from turbine.tables.kv import KvEntry


class Missing:
    """The type of `MISSING`, which expects that a key has no value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Kv(Resource):
    """Typed get, set with compare-and-set, delete. Durable when a call returns; not part of any replay by itself."""

    async def get(self, key: str, type: Any = Any, default: Any = None) -> Any:
        """The value of a key, decoded as `type`; `default` when there is none. Raises ValidationFailed, ValueError."""
        app = self._app()
        text = await app.store.read(kv.get, key=_key(key))
        if text is None:
            return default
        return payload_type(type).decode(app.payloads.open(text), _value_of(key))

    async def get_or_missing(self, key: str) -> list[str] | None:
        """The JSON text of a value in a list of one, or None: the record that a body makes of a read."""
        app = self._app()
        text = await app.store.read(kv.get, key=_key(key))
        return None if text is None else [app.payloads.open(text)]

    async def set(self, key: str, value: Any, expect: Any = UNSET, *, by: str | None = None) -> None:
        """Write a key. With `expect` only if the stored value is the expected one (`MISSING`: only if there is none).

        `by` is the author in the history of the key. Raises Conflict on a mismatch, ValidationFailed for a value that
        does not fit the key's schema, ValueError for an empty key or None, SerializationError.
        """
        await _write(self._app(), key, value, expect, by, self._actor)

    async def delete(self, key: str, *, by: str | None = None) -> None:
        """Remove a key and its schema; no error when there is none. Raises ValueError for an empty key."""
        await delete_key(self._app(), key, by=by, actor=self._actor)

    async def history(self, key: str) -> builtins.list[KVChange]:
        """The newest writes of a key, newest first: up to 50, fewer if they are large; also of a deleted key."""
        app = self._app()
        rows = await app.store.read(kv.history, key=_key(key))
        return [KVChange(key, _opened(row.value, key, app.payloads), to_datetime(row.at_ms), row.actor) for row in rows]

    async def list(self, prefix: str = "", *, limit: int = 100, cursor: str | None = None) -> Page[KVRecord]:
        """One page of the keys that begin with exactly this text, in the order of their characters.

        A key that has a schema and no value yet is among them, with None for its value. Raises ValueError for an
        invalid limit or cursor.
        """
        app = self._app()
        check_limit(limit)
        after = None if cursor is None else check_name(cursor, "cursor")
        start = check_name(prefix, "prefix") if prefix else ""
        rows = await app.store.read(kv.page, prefix=start, after=after, limit=limit + 1)
        return page_of([(row.key, _record(row, app.payloads)) for row in rows], limit)

    async def set_schema(self, key: str, schema: Any) -> None:
        """Let a key hold only values that fit a JSON Schema; None lets it hold anything again.

        A key may have a schema before it has a value; deleting the key removes both. Raises ValidationFailed for an
        invalid JSON Schema, and for a stored value that does not fit; then nothing changes.
        """
        await set_key_schema(self._app(), key, schema, actor=self._actor)


async def set_key(
    app: App, key: str, value: Any, expect: Any = UNSET, *, by: str | None = None, actor: Actor | None = None
) -> KVRecord:
    """Write a key; see `Kv.set`. The author in its history is `by`, or else the actor."""
    return _record(await _write(app, key, value, expect, by, actor), app.payloads)


async def _write(app: App, key: str, value: Any, expect: Any, by: str | None, actor: Actor | None) -> KvEntry:
    json_text = _require_json(value, _value_of(key))
    expects_missing = isinstance(expect, Missing)
    has_expectation = expect is not UNSET and not expects_missing
    entry: Any = await app.store.write_audited(
        audit_of(app, actor, "kv.set", key),
        kv.set_,
        key=_key(key),
        value=app.payloads.seal(json_text, _value_of(key)),
        json_text=json_text,
        now_ms=app.clock.now_ms(),
        expect=_require_json(expect, "the expected value") if has_expectation else None,
        expects_missing=expects_missing,
        open=app.payloads.open,
        validate=_complain,
        actor=_author(by, actor),
    )
    return entry


async def delete_key(app: App, key: str, *, by: str | None = None, actor: Actor | None = None) -> bool:
    """Remove a key and its schema; whether it existed. See `Kv.delete`."""
    return await app.store.write_audited(
        audit_of(app, actor, "kv.delete", key),
        kv.delete,
        key=_key(key),
        now_ms=app.clock.now_ms(),
        actor=_author(by, actor),
    )


async def set_key_schema(app: App, key: str, schema: Any, *, actor: Actor | None = None) -> KVRecord:
    """Set the schema of a key; see `Kv.set_schema`."""
    text = None if schema is None else json.dumps(check_schema(schema, f"The schema of key {key!r}"))
    entry: Any = await app.store.write_audited(
        audit_of(app, actor, "kv.schema", key),
        kv.set_schema,
        key=_key(key),
        schema=text,
        now_ms=app.clock.now_ms(),
        open=app.payloads.open,
        validate=_complain,
    )
    return _record(entry, app.payloads)


def _complain(schema: dict[str, Any], text: str) -> list[dict[str, Any]]:
    return complaints(schema, json_value(text))


def _record(entry: KvEntry, payloads: Payloads) -> KVRecord:
    schema = None if entry.schema is None else json.loads(entry.schema)
    return KVRecord(entry.key, _opened(entry.value, entry.key, payloads), schema, to_datetime(entry.updated_ms))


def _opened(value: str | None, key: str, payloads: Payloads) -> Any:
    return None if value is None else payload_type(Any).decode(payloads.open(value), _value_of(key))


def _value_of(key: str) -> str:
    return f"the value of key {key!r}"


def _author(by: str | None, actor: Actor | None) -> str | None:
    if by is None:
        return None if actor is None else actor.name
    return check_text(by, "name of the author")


def _key(key: str) -> str:
    return check_name(key, "key")


def _require_json(value: Any, what: str) -> str:
    """The JSON of a value that must not be None. Raises SerializationError, ValueError for None."""
    if value is None:
        raise ValueError(f"{what} must not be None; delete the key instead")
    return payload_type(Any).encode(value, what)
