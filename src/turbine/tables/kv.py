"""The global key-value store.

Values are sealed when they come here, and a seal may give another text each time. So what is compared or checked is
opened first, in the transaction that writes.
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
"""Writes of a key that are remembered, at most."""
HISTORY_CHARACTERS = 4_000_000
"""How much all of them together may take; two are always kept."""

Open = Callable[[str], str]
"""The JSON of a sealed text."""
Complain = Callable[[Any, str], list[dict[str, Any]]]
"""What of a JSON text does not fit a JSON Schema, as `ValidationFailed.errors`."""


class Entry(NamedTuple):
    """A key as stored. `value` is sealed; None for a key that has only a schema."""

    key: str
    value: str | None
    schema: str | None
    updated_ms: int


class Change(NamedTuple):
    """One write of a key. `value` is sealed; None where it was deleted."""

    entry: int
    value: str | None
    actor: str | None
    at_ms: int


def get(tx: Tx, *, key: str) -> str | None:
    """The sealed value of a key."""
    row = tx.row(SQL.get, key=key)
    return None if row is None else row[0]


def set_(
    tx: Tx,
    *,
    key: str,
    value: str,
    plain: str,
    now_ms: int,
    expect: str | None,
    expects_missing: bool,
    open: Open,
    complain: Complain,
    actor: str | None = None,
) -> Entry | Conflict | ValidationFailed:
    """Write a key, `value` sealed and `plain` its JSON; with an expectation only if the stored JSON is that one.

    Refuses with ValidationFailed what does not fit the schema of the key.
    """
    tx.row(SQL.lock, key=key)
    row = tx.row(SQL.record, key=key)
    stored = None if row is None else Entry(*row)
    found = None if stored is None or stored.value is None else stored.value
    if (expects_missing and found is not None) or (
        expect is not None and (found is None or not _is_same(open(found), expect))
    ):
        return Conflict(f"The value of {key!r} is not the expected one any more; read it again and decide anew")
    if stored is not None and stored.schema is not None:
        errors = complain(json.loads(stored.schema), plain)
        if errors:
            return ValidationFailed(what=f"The value of key {key!r}", errors=errors)
    tx.defer(SQL.set, key=key, value=value, now=now_ms)
    _remember(tx, key, value, actor, now_ms)
    return Entry(key, value, None if stored is None else stored.schema, now_ms)


def _remember(tx: Tx, key: str, value: str | None, actor: str | None, now_ms: int) -> None:
    kept = HISTORY_MAX if value is None else max(2, min(HISTORY_MAX, HISTORY_CHARACTERS // max(1, len(value))))
    tx.defer(SQL.remember, key=key, value=value, actor=actor, now=now_ms)
    tx.defer(SQL.trim_history, key=key, kept=kept)


def _is_same(one: str, other: str) -> bool:
    """Whether two JSON texts are the same value: keys of objects in any order, 1 is not 1.0."""
    return one == other or json.dumps(json.loads(one), sort_keys=True) == json.dumps(json.loads(other), sort_keys=True)


def set_schema(
    tx: Tx, *, key: str, schema: str | None, now_ms: int, open: Open, complain: Complain
) -> Entry | ValidationFailed:
    """Give a key a schema, or take it away; refuses with ValidationFailed if its value does not fit."""
    tx.row(SQL.lock, key=key)
    value = get(tx, key=key)
    if schema is not None and value is not None:
        errors = complain(json.loads(schema), open(value))
        if errors:
            return ValidationFailed(what=f"The stored value of key {key!r}", errors=errors)
    tx.run(SQL.set_schema, key=key, schema=schema, now=now_ms)
    tx.run(SQL.forget_empty, key=key)
    return Entry(key, value, schema, now_ms)


def delete(tx: Tx, *, key: str, now_ms: int, actor: str | None = None) -> bool:
    """Remove a key and its schema; whether it was there. What it held stays in its history."""
    if tx.run(SQL.delete, key=key) == 0:
        return False
    _remember(tx, key, None, actor, now_ms)
    return True


def history(tx: Tx, *, key: str) -> list[Change]:
    """What a key held, newest first."""
    return [Change(*row) for row in tx.rows(SQL.history, key=key, limit=HISTORY_MAX)]


def forget_deleted(tx: Tx, *, before_ms: int, limit: int) -> int:
    """Forget what keys held that were deleted before a time; how many entries."""
    return tx.run(SQL.forget_deleted, before=before_ms, limit=limit)


def page(tx: Tx, *, prefix: str, after: str | None, limit: int) -> Sequence[Entry]:
    """Keys that begin with a text, in the order of their bytes, starting after a key."""
    low = prefix if after is None else max(prefix, after)
    high = _behind(prefix)
    if high is None:
        rows = tx.rows(SQL.page, low=low, limit=limit + 1)
    else:
        rows = tx.rows(SQL.page_below, low=low, high=high, limit=limit + 1)
    entries = [Entry(*row) for row in rows]
    return [entry for entry in entries if entry.key != after][:limit]


def _behind(prefix: str) -> str | None:
    """The first text behind all that begin with a prefix; None when there is none."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    last = ord(stem[-1]) + 1
    return stem[:-1] + ("\ue000" if last == 0xD800 else chr(last))
