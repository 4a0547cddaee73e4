"""Alert channels: notification URLs for people, and what they hear of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.errors import Conflict, NotFound
from turbine.model.alert_channels import AlertChannelRecord, QuietHours, masked
from turbine.model.deliveries import TEST_EVENT, DeliveryKind, DeliveryStatus
from turbine.store import Statements, Tx
from turbine.tables import deliveries
from turbine.tables.deliveries import NewDelivery

SQL = Statements(Path(__file__))
NEWEST = (1 << 63) - 1
"""A key above every key."""


class Message(NamedTuple):
    """Something that a person shall read; `id` is that of its delivery."""

    id: str
    run: int | None
    workflow_id: str | None
    text: str
    now_ms: int


class Address(NamedTuple):
    """What a delivery needs of a channel; the URL is as it is stored."""

    url: str
    is_enabled: bool
    quiet: QuietHours | None


def create(
    tx: Tx,
    *,
    id: str,
    name: str,
    url: str,
    events: str,
    enabled: bool,
    workflows: str,
    quiet: str,
    now_ms: int,
    open: Callable[[str], str],
) -> AlertChannelRecord | Conflict:
    """Add a channel; it hears of what happens from this transaction on. Refuses a name that is taken."""
    if not tx.run(
        SQL.create,
        id=id,
        name=name,
        url=url,
        events=events,
        enabled=int(enabled),
        workflows=workflows,
        quiet=quiet,
        now=now_ms,
    ):
        return _taken(name)
    return _stored(tx, id, open)


def update(
    tx: Tx,
    *,
    id: str,
    name: str | None,
    url: str | None,
    events: str | None,
    enabled: bool | None,
    workflows: str | None,
    quiet: str | None,
    now_ms: int,
    open: Callable[[str], str],
) -> AlertChannelRecord | NotFound | Conflict:
    """Change a channel; None keeps what is there. Refuses a name that another one has.

    With other quiet hours, what waits for the end of those before is looked at anew.
    """
    holder = None if name is None else tx.row(SQL.by_name, name=name)
    if holder is not None and holder[0] != id:
        return _taken(name)
    flag = None if enabled is None else int(enabled)
    if not tx.run(
        SQL.update,
        id=id,
        name=name,
        url=url,
        events=events,
        enabled=flag,
        workflows=workflows,
        quiet=quiet,
        now=now_ms,
    ):
        return NotFound(kind="alert channel", id=id)
    if quiet is not None:
        deliveries.expedite(tx, target=id, now_ms=now_ms)
    return _stored(tx, id, open)


def _taken(name: str | None) -> Conflict:
    return Conflict(f"There is an alert channel called {name!r} already; take another name, or update that one")


def delete(tx: Tx, *, id: str) -> NotFound | None:
    """Remove a channel; what is still to be delivered to it ends as dead."""
    return None if tx.run(SQL.delete, id=id) else NotFound(kind="alert channel", id=id)


def get(tx: Tx, *, id: str, open: Callable[[str], str]) -> AlertChannelRecord | None:
    """One channel, its URL masked; `open` undoes the payload codec."""
    row = tx.row(SQL.get, id=id)
    return None if row is None else _record(row, open)


def page(tx: Tx, *, limit: int, before: int | None, open: Callable[[str], str]) -> list[tuple[int, AlertChannelRecord]]:
    """Channels, newest first, from below a key; with their keys."""
    rows = tx.rows(SQL.page, limit=limit, before=NEWEST if before is None else before)
    return [(row[0], _record(row, open)) for row in rows]


def address(tx: Tx, *, id: str) -> Address | None:
    """What a delivery needs of a channel."""
    row = tx.row(SQL.get, id=id)
    return None if row is None else Address(row[3], bool(row[5]), _quiet(row[9]))


def notify(tx: Tx, *, name: str, message: Message) -> str | NotFound | None:
    """Leave a message for the channel of a name; the id of its delivery, None when the channel is disabled.

    Under an id that is there already no second message is left: it is the same one, asked for again after a crash. One
    that is dead is sent again, because whoever asks once more has been resumed to do so.
    """
    row = tx.row(SQL.by_name, name=name)
    if row is None:
        return NotFound(kind="alert channel", id=name)
    channel, enabled = row
    if not enabled:
        return None
    known = deliveries.attempt_result(tx, delivery_id=message.id)
    if known is None:
        _leave(tx, channel, message, None)
    elif known[0] == DeliveryStatus.DEAD:
        deliveries.resend(tx, delivery_id=message.id, now_ms=message.now_ms)
    return message.id


def test(tx: Tx, *, id: str, message: Message) -> NotFound | None:
    """Leave a test message for a channel, also for one that is disabled."""
    if tx.row(SQL.get, id=id) is None:
        return NotFound(kind="alert channel", id=id)
    _leave(tx, id, message, TEST_EVENT)
    return None


def _leave(tx: Tx, channel: str, message: Message, event: str | None) -> None:
    row = NewDelivery(
        message.id,
        DeliveryKind.ALERT,
        channel,
        event,
        message.run,
        message.workflow_id,
        None,
        message.text,
        message.now_ms,
    )
    deliveries.add(tx, [row])


def _stored(tx: Tx, id: str, open: Callable[[str], str]) -> AlertChannelRecord:
    record = get(tx, id=id, open=open)
    assert record is not None
    return record


def _record(row: Sequence[Any], open: Callable[[str], str]) -> AlertChannelRecord:
    _, id_, name, url, events, enabled, created_ms, updated_ms, workflows, quiet = row
    return AlertChannelRecord(
        id=id_,
        name=name,
        url=masked(open(url)),
        events=json.loads(events),
        enabled=bool(enabled),
        created=to_datetime(created_ms),
        updated=to_datetime(updated_ms),
        workflows=[] if workflows is None else json.loads(workflows),
        quiet=_quiet(quiet),
    )


def _quiet(text: str | None) -> QuietHours | None:
    if text is None:
        return None
    found = json.loads(text)
    return QuietHours(found["start"], found["end"], found["timezone"], tuple(found["weekdays"]), tuple(found["urgent"]))
