"""The global key-value store.

Values arrive encoded, and a codec that encrypts may give another text each time. So the writing transaction decodes a
stored value before it compares or validates it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.errors import Conflict, ValidationFailed
from turbine.store import Statements, Tx

SQL = Statements(Path(__file__))

HISTORY_MAX = 50
"""Writes of a key that are kept in its history, at most."""
HISTORY_CHARACTERS = 4_000_000
"""The size of a key's history, at most; two writes are always kept."""

Decode = Callable[[str], str]
"""From an encoded text to its JSON."""
Validate = Callable[[Any, str], list[dict[str, Any]]]
"""From a JSON Schema and a JSON text to `ValidationFailed.errors`."""


class KvEntry(NamedTuple):
    """A key. `value` is encoded; None for a key that has only a schema."""

    key: str
    value: str | None
    schema: str | None
    updated_ms: int


class KvChange(NamedTuple):
    """A write of a key. `value` is encoded; None for a deletion."""

    entry: int
    value: str | None
    actor: str | None
    at_ms: int


def get(tx: Tx, *, key: str) -> str | None:
    """The encoded value of a key."""
    row = tx.row(SQL.get, key=key)
    return None if row is None else row[0]


def set_(
    tx: Tx,
    *,
    key: str,
    value: str,
    json_text: str,
    now_ms: int,
    expect: str | None,
    expects_missing: bool,
    open: Decode,
    validate: Validate,
    actor: str | None = None,
) -> KvEntry | Conflict | ValidationFailed:
    """Write a key, `value` being `json_text` encoded.

    Refuses with Conflict if the stored JSON is not the expected one, and with ValidationFailed a value that does not
    fit the schema of the key.
    """
    tx.row(SQL.lock, key=key)
    row = tx.row(SQL.record, key=key)
    stored = None if row is None else KvEntry(*row)
    current = None if stored is None else stored.value
    if (expects_missing and current is not None) or (
        expect is not None and (current is None or not _is_same(open(current), expect))
    ):
        return Conflict(f"The value of {key!r} is no longer the expected one; read it again and decide anew")
    if stored is not None and stored.schema is not None:
        errors = validate(json.loads(stored.schema), json_text)
        if errors:
            return ValidationFailed(what=f"The value of key {key!r}", errors=errors)
    tx.defer(SQL.set, key=key, value=value, now=now_ms)
    _add_history(tx, key, value, actor, now_ms)
    return KvEntry(key, value, None if stored is None else stored.schema, now_ms)


def _add_history(tx: Tx, key: str, value: str | None, actor: str | None, now_ms: int) -> None:
    kept = HISTORY_MAX if value is None else max(2, min(HISTORY_MAX, HISTORY_CHARACTERS // max(1, len(value))))
    tx.defer(SQL.add_history, key=key, value=value, actor=actor, now=now_ms)
    tx.defer(SQL.trim_history, key=key, kept=kept)


def _is_same(a: str, b: str) -> bool:
    """Whether two JSON texts have the same value: keys of objects in any order, 1 is not 1.0."""
    return a == b or json.dumps(json.loads(a), sort_keys=True) == json.dumps(json.loads(b), sort_keys=True)


def set_schema(
    tx: Tx, *, key: str, schema: str | None, now_ms: int, open: Decode, validate: Validate
) -> KvEntry | ValidationFailed:
    """Set or remove the schema of a key. Refuses with ValidationFailed if the stored value does not fit."""
    tx.row(SQL.lock, key=key)
    value = get(tx, key=key)
    if schema is not None and value is not None:
        errors = validate(json.loads(schema), open(value))
        if errors:
            return ValidationFailed(what=f"The stored value of key {key!r}", errors=errors)
    tx.run(SQL.set_schema, key=key, schema=schema, now=now_ms)
    tx.run(SQL.delete_empty, key=key)
    return KvEntry(key, value, schema, now_ms)


def delete(tx: Tx, *, key: str, now_ms: int, actor: str | None = None) -> bool:
    """Delete a key with its schema; whether it existed. Its history stays."""
    if tx.run(SQL.delete, key=key) == 0:
        return False
    _add_history(tx, key, None, actor, now_ms)
    return True


def history(tx: Tx, *, key: str) -> list[KvChange]:
    """The writes of a key, newest first."""
    return [KvChange(*row) for row in tx.rows(SQL.history, key=key, limit=HISTORY_MAX)]


def delete_old_history(tx: Tx, *, before_ms: int, limit: int) -> int:
    """Delete the histories of keys that were deleted before a time. Returns how many writes."""
    return tx.run(SQL.delete_old_history, before=before_ms, limit=limit)


def page(tx: Tx, *, prefix: str, after: str | None, limit: int) -> Sequence[KvEntry]:
    """The keys with a prefix, in the order of their bytes, starting after a key."""
    low = prefix if after is None else max(prefix, after)
    high = _upper_bound(prefix)
    if high is None:
        rows = tx.rows(SQL.page, low=low, limit=limit + 1)
    else:
        rows = tx.rows(SQL.page_below, low=low, high=high, limit=limit + 1)
    entries = [KvEntry(*row) for row in rows]
    return [entry for entry in entries if entry.key != after][:limit]


def _upper_bound(prefix: str) -> str | None:
    """The first text after all those that begin with a prefix; None if there is none."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    last = ord(stem[-1]) + 1
    return stem[:-1] + ("\ue000" if last == 0xD800 else chr(last))
