"""Messages for people: written as deliveries in one transaction, and followed until they are delivered or dead."""

from __future__ import annotations

import hashlib
from typing import Any

from turbine.engine.app import App
from turbine.errors import DeliveryFailed, NotFound
from turbine.ids import check_name, check_text, new_id
from turbine.model.deliveries import DeliveryStatus
from turbine.queries.poll_until import poll_until
from turbine.store.store import Audit
from turbine.tables import alert_channels, deliveries
from turbine.tables.alert_channels import AlertMessage

TEST_TEXT = "[Turbine] This is a test message. The alert channel works."


async def send(
    app: App,
    channel: str,
    message: str,
    *,
    wait: bool,
    run: int | None = None,
    workflow_id: str | None = None,
    place: str | None = None,
) -> None:
    """Send a text to a channel as it is, also in its quiet hours; a disabled channel gets nothing.

    Durable before anything is sent. At one `place` of a run it is one delivery, even if a crash repeats the call.
    Raises NotFound for an unknown name, ValueError for an empty text, and with `wait` DeliveryFailed after the last
    attempt.
    """
    text = check_text(message, "message")
    if not text:
        raise ValueError("the message is empty")
    delivery_id = _fresh_id() if place is None else _id_of(f"{workflow_id} {run} {place}")
    row = AlertMessage(delivery_id, run, workflow_id, app.payloads.seal(text, "the message"), app.clock.now_ms())
    sent: Any = await app.store.write(alert_channels.notify, name=check_name(channel, "channel name"), message=row)
    if wait and sent is not None:
        await _wait_until_delivered(app, delivery_id, f"The message to {channel!r}")


async def test(app: App, channel_id: str, audit: Audit | None) -> None:
    """Send a fixed text to a channel and wait until it is delivered. Raises NotFound, DeliveryFailed."""
    text = app.payloads.seal(TEST_TEXT, "the message")
    row = AlertMessage(_fresh_id(), None, None, text, app.clock.now_ms())
    await app.store.write_audited(audit, alert_channels.test, id=channel_id, message=row)
    await _wait_until_delivered(app, row.id, "The test message")


def _fresh_id() -> str:
    return f"msg_{new_id().replace('-', '')}"


def _id_of(place: str) -> str:
    return f"msg_{hashlib.sha256(place.encode()).hexdigest()[:32]}"


async def _wait_until_delivered(app: App, delivery_id: str, what: str) -> None:
    """Return when any process has made a delivery. Raises DeliveryFailed when it is dead."""

    async def look() -> bool | None:
        row = await app.store.read(deliveries.attempt_result, delivery_id=delivery_id)
        if row is None:
            raise NotFound(kind="delivery", id=delivery_id)
        status, attempts, error = row
        if status == DeliveryStatus.DEAD:
            raise DeliveryFailed(
                f"{what} was not delivered (delivery {delivery_id}, attempts {attempts}): {error};"
                " fix the channel, then send it again"
            )
        return True if status == DeliveryStatus.DELIVERED else None

    await poll_until(app, "delivered", delivery_id, look)
