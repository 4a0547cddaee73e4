"""The global key-value store, for code outside of runs and (through recorded steps) inside."""

from __future__ import annotations

import builtins
import json
from typing import Any

from turbine.clock import to_datetime
from turbine.codec import payload_type
from turbine.codec import plain as plain_value
from turbine.codec.schemas import check_schema, complaints
from turbine.engine.payloads import Payloads
from turbine.ids import check_name, check_text
from turbine.model.kv import KVChange, KVRecord
from turbine.model.workflows import Page
from turbine.operations.pages import check_limit
from turbine.operations.resources import Resource
from turbine.registry import UNSET
from turbine.tables import kv
from turbine.tables.kv import KvEntry


class Missing:
    """The type of `MISSING`, which expects that a key is not there."""

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
        return payload_type(type).decode(app.payloads.open(text), f"the value of key {key!r}")

    async def get_or_missing(self, key: str) -> list[str] | None:
        """The JSON text of a key in a list of one, or None: what a body records of a look."""
        app = self._app()
        text = await app.store.read(kv.get, key=_key(key))
        return None if text is None else [app.payloads.open(text)]

    async def set(self, key: str, value: Any, expect: Any = UNSET, *, by: str | None = None) -> None:
        """Write a key. With `expect` only if the stored value is the expected one (`MISSING`: only if there is none).

        `by` is who writes, for the history of the key. Raises Conflict on a mismatch, ValidationFailed for a value
        against the key's schema, ValueError for an empty key or None, SerializationError.
        """
        app = self._app()
        what = f"the value of key {key!r}"
        plain = _require_json(value, what)
        expects_missing = isinstance(expect, Missing)
        has_expectation = expect is not UNSET and not expects_missing
        await app.store.write(
            kv.set_,
            key=_key(key),
            value=app.payloads.seal(plain, what),
            json_text=plain,
            now_ms=app.clock.now_ms(),
            expect=_require_json(expect, "the expected value") if has_expectation else None,
            expects_missing=expects_missing,
            open=app.payloads.open,
            validate=_complain,
            actor=_person(by),
        )

    async def delete(self, key: str, *, by: str | None = None) -> None:
        """Remove a key and its schema; fine when there is none. Raises ValueError for an empty key."""
        app = self._app()
        await app.store.write(kv.delete, key=_key(key), now_ms=app.clock.now_ms(), actor=_person(by))

    async def history(self, key: str) -> builtins.list[KVChange]:
        """The newest writes of a key, newest first: up to 50, fewer if they are large; also of a deleted key."""
        app = self._app()
        found = await app.store.read(kv.history, key=_key(key))
        return [
            KVChange(
                key,
                None
                if one.value is None
                else payload_type(Any).decode(app.payloads.open(one.value), f"a value of key {key!r}"),
                to_datetime(one.at_ms),
                one.actor,
            )
            for one in found
        ]

    async def list(self, prefix: str = "", *, limit: int = 100, cursor: str | None = None) -> Page[KVRecord]:
        """One page of the keys that begin with exactly this text, in the order of their characters.

        A key that has a schema and no value yet is among them, with None for its value. Raises ValueError for a limit
        or cursor that can never be right.
        """
        app = self._app()
        check_limit(limit)
        after = None if cursor is None else check_name(cursor, "cursor")
        start = check_name(prefix, "prefix") if prefix else ""
        found = await app.store.read(kv.page, prefix=start, after=after, limit=limit + 1)
        items = [_record(entry, app.payloads) for entry in found[:limit]]
        return Page(items, found[limit - 1].key if len(found) > limit else None)

    async def set_schema(self, key: str, schema: Any) -> None:
        """Let a key hold only values that fit a JSON Schema; None lets it hold anything again.

        A key may have a schema before it has a value; deleting the key removes both. Raises ValidationFailed for what
        is no JSON Schema, and for a stored value that does not fit; then nothing changes.
        """
        app = self._app()
        text = None if schema is None else json.dumps(check_schema(schema, f"The schema of key {key!r}"))
        await app.store.write(
            kv.set_schema,
            key=_key(key),
            schema=text,
            now_ms=app.clock.now_ms(),
            open=app.payloads.open,
            validate=_complain,
        )


def _complain(schema: dict[str, Any], text: str) -> list[dict[str, Any]]:
    return complaints(schema, plain_value(text))


def _record(entry: KvEntry, payloads: Payloads) -> KVRecord:
    value = None
    if entry.value is not None:
        value = payload_type(Any).decode(payloads.open(entry.value), f"the value of key {entry.key!r}")
    schema = None if entry.schema is None else json.loads(entry.schema)
    return KVRecord(entry.key, value, schema, to_datetime(entry.updated_ms))


def _person(by: str | None) -> str | None:
    return None if by is None else check_text(by, "name of the person")


def _key(key: str) -> str:
    return check_name(key, "key")


def _require_json(value: Any, what: str) -> str:
    """The JSON of a value that must not be None. Raises SerializationError, ValueError for None."""
    if value is None:
        raise ValueError(f"{what} must not be None; delete the key instead")
    return payload_type(Any).encode(value, what)
