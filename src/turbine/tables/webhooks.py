"""Webhooks: URLs of other programs, and the events that they subscribe to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.errors import NotFound, ValidationFailed
from turbine.masking import HIDDEN, mask_url
from turbine.model.webhooks import WebhookRecord
from turbine.store import Statements, Tx

SQL = Statements(Path(__file__))
NEWEST = (1 << 63) - 1
"""A key above every key."""


class Receiver(NamedTuple):
    """The columns of a webhook that a delivery needs; secrets are as they are stored."""

    url: str
    enabled: bool
    secret: str | None
    secret_before: str | None
    secret_before_until_ms: int | None


class WebhookChanges(NamedTuple):
    """The argument of `update`; None keeps a value. With `sets_secret` a `secret` of None removes the secret."""

    url: str | None
    events: str | None
    enabled: bool | None
    sets_secret: bool
    secret: str | None
    secret_before_until_ms: int


def create(tx: Tx, *, id: str, url: str, events: str, enabled: bool, secret: str | None, now_ms: int) -> WebhookRecord:
    """Create a webhook."""
    tx.run(SQL.create, id=id, url=url, events=events, enabled=int(enabled), secret=secret, now=now_ms)
    return _stored(tx, id)


def update(tx: Tx, *, id: str, changes: WebhookChanges, now_ms: int) -> WebhookRecord | NotFound | ValidationFailed:
    """Change a webhook. A replaced secret keeps signing beside the new one until it expires.

    The masked URL, as it is shown, keeps the stored one. Refuses any other URL with a masked password.
    """
    row = tx.row(SQL.receiver, id=id)
    is_kept = row is not None and changes.url == mask_url(row[0])
    if row is not None and not is_kept and HIDDEN in (changes.url or ""):
        message = f"has {HIDDEN} instead of the password; give the password, or the URL exactly as shown"
        return ValidationFailed(what="The record", errors=[{"path": ["url"], "message": message, "type": "url"}])
    changed = tx.run(
        SQL.update,
        id=id,
        url=None if is_kept else changes.url,
        events=changes.events,
        enabled=None if changes.enabled is None else int(changes.enabled),
        now=now_ms,
    )
    if not changed:
        return NotFound(kind="webhook", id=id)
    if changes.sets_secret and changes.secret is None:
        tx.run(SQL.remove_secret, id=id)
    elif changes.sets_secret:
        tx.run(SQL.rotate_secret, id=id, secret=changes.secret, until=changes.secret_before_until_ms)
    return _stored(tx, id)


def delete(tx: Tx, *, id: str) -> NotFound | None:
    """Delete a webhook; pending deliveries to it become dead."""
    return None if tx.run(SQL.delete, id=id) else NotFound(kind="webhook", id=id)


def get(tx: Tx, *, id: str) -> WebhookRecord | None:
    """A webhook by its id."""
    row = tx.row(SQL.get, id=id)
    return None if row is None else _record(row)


def page(tx: Tx, *, limit: int, before: int | None) -> list[tuple[int, WebhookRecord]]:
    """Webhooks with their keys, newest first, below a key."""
    rows = tx.rows(SQL.page, limit=limit, before=NEWEST if before is None else before)
    return [(row[0], _record(row)) for row in rows]


def receiver(tx: Tx, *, id: str) -> Receiver | None:
    """The URL of a webhook with its secrets."""
    row = tx.row(SQL.receiver, id=id)
    return None if row is None else Receiver(row[0], bool(row[1]), *row[2:])


def _stored(tx: Tx, id: str) -> WebhookRecord:
    record = get(tx, id=id)
    assert record is not None
    return record


def _record(row: Sequence[Any]) -> WebhookRecord:
    _, id_, url, events, enabled, secret_set, created_ms, updated_ms = row
    return WebhookRecord(
        id=id_,
        url=mask_url(url),
        events=json.loads(events),
        enabled=bool(enabled),
        secret_set=bool(secret_set),
        created=to_datetime(created_ms),
        updated=to_datetime(updated_ms),
    )
