"""Alert channels: notification URLs for people, and the events that they subscribe to."""

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


class AlertMessage(NamedTuple):
    """A message to a channel; `id` is that of its delivery."""

    id: str
    run: int | None
    workflow_id: str | None
    text: str
    now_ms: int


class ChannelAddress(NamedTuple):
    """The columns of a channel that a delivery needs; the URL is as it is stored."""

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
    """Create a channel. Refuses a name that is taken."""
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
    """Change a channel; None keeps a value. Refuses a name that is taken.

    Changed quiet hours make deliveries due that wait for the end of the old ones.
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
    return Conflict(f"There is already an alert channel called {name!r}; choose another name, or update that one")


def delete(tx: Tx, *, id: str) -> NotFound | None:
    """Delete a channel; pending deliveries to it become dead."""
    return None if tx.run(SQL.delete, id=id) else NotFound(kind="alert channel", id=id)


def get(tx: Tx, *, id: str, open: Callable[[str], str]) -> AlertChannelRecord | None:
    """A channel, its URL masked; `open` undoes the payload codec."""
    row = tx.row(SQL.get, id=id)
    return None if row is None else _record(row, open)


def page(tx: Tx, *, limit: int, before: int | None, open: Callable[[str], str]) -> list[tuple[int, AlertChannelRecord]]:
    """Channels with their keys, newest first, below a key."""
    rows = tx.rows(SQL.page, limit=limit, before=NEWEST if before is None else before)
    return [(row[0], _record(row, open)) for row in rows]


def address(tx: Tx, *, id: str) -> ChannelAddress | None:
    """The URL of a channel, and when to deliver to it."""
    row = tx.row(SQL.get, id=id)
    return None if row is None else ChannelAddress(row[3], bool(row[5]), _quiet(row[9]))


def notify(tx: Tx, *, name: str, message: AlertMessage) -> str | NotFound | None:
    """Add a delivery to the channel of a name; the id of the delivery, None when the channel is disabled.

    An id that exists adds nothing: it is the same call, repeated after a crash. If that delivery is dead it is sent
    again, because its run was resumed to try again.
    """
    row = tx.row(SQL.by_name, name=name)
    if row is None:
        return NotFound(kind="alert channel", id=name)
    channel, enabled = row
    if not enabled:
        return None
    existing = deliveries.attempt_result(tx, delivery_id=message.id)
    if existing is None:
        _add_delivery(tx, channel, message, None)
    elif existing[0] == DeliveryStatus.DEAD:
        deliveries.resend(tx, delivery_id=message.id, now_ms=message.now_ms)
    return message.id


def test(tx: Tx, *, id: str, message: AlertMessage) -> NotFound | None:
    """Add a delivery of a test message, also to a disabled channel."""
    if tx.row(SQL.get, id=id) is None:
        return NotFound(kind="alert channel", id=id)
    _add_delivery(tx, id, message, TEST_EVENT)
    return None


def _add_delivery(tx: Tx, channel: str, message: AlertMessage, event: str | None) -> None:
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
    hours = json.loads(text)
    return QuietHours(hours["start"], hours["end"], hours["timezone"], tuple(hours["weekdays"]), tuple(hours["urgent"]))
