"""Webhooks: URLs that receive events of runs as signed POST requests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from turbine.clock import to_datetime
from turbine.delivery.addresses import AddressRefused, check_literal
from turbine.delivery.signatures import key_of
from turbine.delivery.webhook import WebhookTransport
from turbine.engine.app import App
from turbine.errors import DeliveryFailed, NotFound
from turbine.ids import check_name, new_id
from turbine.masking import mask_url, scrub
from turbine.model.deliveries import TEST_EVENT, AttemptResult, DeliveryAttempt, DeliveryKind
from turbine.model.pages import after_key, check_limit, page_of
from turbine.model.webhooks import WebhookRecord
from turbine.model.workflows import Page
from turbine.operations.audit_entries import audit_act, given
from turbine.operations.events import check_enabled, events_json, refused
from turbine.operations.resources import Resource
from turbine.registry import UNSET
from turbine.tables import webhooks
from turbine.tables.deliveries import ClaimedDelivery
from turbine.tables.webhooks import Receiver, WebhookChanges

ROTATION_MS = 24 * 3600 * 1000
"""How long a replaced secret still signs beside the new one."""
URL_MAX = 2000


class Webhooks(Resource):
    """Signed URLs for machines: `rt.webhooks`."""

    async def create(
        self, *, url: str, events: Sequence[str], secret: str | None = None, enabled: bool = True
    ) -> WebhookRecord:
        """Add a webhook for these events, `workflow.SUCCESS` … or `workflow.*`; it receives those that follow.

        Its secret signs every body and cannot be read again. Raises ValidationFailed for a URL that is not an http URL
        or names a private address, for no event or an unknown one, and for a secret that is empty or is not base64
        after `whsec_`.
        """
        app = self._app()
        checked = _checked_url(url, app)
        return await app.store.write_audited(
            self._audit("webhook.create", mask_url(checked), events=events),
            webhooks.create,
            id=new_id(),
            url=checked,
            events=events_json(events, "webhook", least=1),
            enabled=check_enabled(enabled),
            secret=_sealed(secret, app),
            now_ms=app.clock.now_ms(),
        )

    async def get(self, id: str) -> WebhookRecord:
        """One webhook. Raises NotFound."""
        record = await self._app().store.read(webhooks.get, id=check_name(id, "webhook id"))
        if record is None:
            raise NotFound(kind="webhook", id=id)
        return record

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[WebhookRecord]:
        """One page of webhooks, newest first. Raises ValueError for an invalid limit or cursor."""
        rows = await self._app().store.read(webhooks.page, limit=check_limit(limit) + 1, before=after_key(cursor))
        return page_of(rows, limit)

    async def update(
        self,
        id: str,
        *,
        url: str = UNSET,
        events: Sequence[str] = UNSET,
        secret: str | None = UNSET,
        enabled: bool = UNSET,
    ) -> WebhookRecord:
        """Change the given fields of a webhook. Raises NotFound, and ValidationFailed as `create` does.

        A replaced secret signs for 24 more hours beside the new one, so that receivers can change over; `secret=None`
        removes it at once.
        """
        app = self._app()
        now_ms = app.clock.now_ms()
        changes = WebhookChanges(
            url=None if url is UNSET else _checked_url(url, app),
            events=None if events is UNSET else events_json(events, "webhook", least=1),
            enabled=None if enabled is UNSET else check_enabled(enabled),
            sets_secret=secret is not UNSET,
            secret=None if secret is UNSET else _sealed(secret, app),
            secret_before_until_ms=now_ms + ROTATION_MS,
        )
        detail = given(
            url=UNSET if url is UNSET else mask_url(url),
            events=events,
            enabled=enabled,
            secret=UNSET if secret is UNSET else "changed",
        )
        record: Any = await app.store.write_audited(
            self._audit("webhook.update", id, **detail),
            webhooks.update,
            id=check_name(id, "webhook id"),
            changes=changes,
            now_ms=now_ms,
        )
        return record

    async def delete(self, id: str) -> None:
        """Remove a webhook; pending deliveries to it are dead at their next attempt. Raises NotFound."""
        audit = self._audit("webhook.delete", id)
        await self._app().store.write_audited(audit, webhooks.delete, id=check_name(id, "webhook id"))

    async def test(self, id: str) -> DeliveryAttempt:
        """Send a signed `test` event once, also to a disabled webhook, and return the receiver's answer.

        It is no delivery: it is neither kept nor repeated. Raises NotFound, and DeliveryFailed with the answer of a
        receiver that refuses it.
        """
        app = self._app()
        receiver = await app.store.read(webhooks.receiver, id=check_name(id, "webhook id"))
        if receiver is None:
            raise NotFound(kind="webhook", id=id)
        await audit_act(app, self._actor, "webhook.test", id, url=mask_url(receiver.url))
        began, now_ms = time.monotonic(), app.clock.now_ms()
        result = await _attempt(app, receiver, _test_event(id, now_ms))
        duration = timedelta(seconds=time.monotonic() - began)
        if result.error is not None:
            raise DeliveryFailed(f"The test event was refused after {duration.total_seconds():.1f} s: {result.error}")
        return DeliveryAttempt(1, to_datetime(now_ms), result.status_code, None, duration)


async def _attempt(app: App, receiver: Receiver, held: ClaimedDelivery) -> AttemptResult:
    transport = WebhookTransport(app.store, app.clock, app.config, app.payloads.open)
    try:
        return await transport.attempt(receiver, held)
    finally:
        await transport.close()


def _test_event(id: str, now_ms: int) -> ClaimedDelivery:
    """A delivery of no run, which has no row."""
    return ClaimedDelivery(
        delivery=0,
        id=f"msg_{new_id().replace('-', '')}",
        kind=DeliveryKind.WEBHOOK,
        target=id,
        event=TEST_EVENT,
        workflow_id=None,
        name=None,
        run_status=None,
        output=None,
        error=None,
        message=None,
        attempts=0,
        attempts_before=0,
        created_ms=now_ms,
    )


def _checked_url(url: str, app: App) -> str:
    is_text = isinstance(url, str) and url.isprintable() and " " not in url  # pyright: ignore[reportUnnecessaryIsInstance]
    if not is_text or len(url) > URL_MAX:
        raise refused("url", f"must be a URL of at most {URL_MAX} printable characters without spaces", "url")
    import httpx

    parts, complaint = None, ""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        complaint = scrub(str(error), url)
    if parts is None:  # not within `except`: what httpx says may quote a piece of a password
        raise refused("url", f"is not a URL: {complaint}", "url")
    port_is_right = parts.port is None or 1 <= parts.port <= 65535
    if parts.scheme not in ("http", "https") or not parts.host or not port_is_right:
        raise refused("url", "must begin with http:// or https:// and name a host", "url")
    if not app.config.allow_private_addresses:
        try:
            check_literal(parts.raw_host.decode("ascii"))
        except AddressRefused as error:
            raise refused("url", str(error), "private_address") from error
    return url


def _sealed(secret: str | None, app: App) -> str | None:
    """The secret as it is stored: sealed by the payload codec, if there is one."""
    if secret is None:
        return None
    if not isinstance(secret, str) or not secret or not secret.isprintable() or len(secret) > 1000:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("secret", "must be 1 to 1000 printable characters, or None", "secret")
    try:
        key_of(secret)
    except ValueError as error:
        raise refused("secret", str(error), "secret") from error
    return app.payloads.seal(secret, "the secret")
