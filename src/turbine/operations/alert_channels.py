"""Alert channels: people who are notified of events of runs, through any service that Apprise supports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from turbine.delivery.alert import is_usable
from turbine.engine.app import App
from turbine.errors import NotFound
from turbine.ids import check_name, new_id
from turbine.model.alert_channels import AlertChannelRecord, QuietHours
from turbine.model.pages import after_key, check_limit, page_of
from turbine.model.workflows import Page
from turbine.operations import notifications
from turbine.operations.audit_entries import given
from turbine.operations.events import check_enabled, events_json, quiet_json, refused, workflows_json
from turbine.operations.resources import Resource
from turbine.registry import UNSET
from turbine.tables import alert_channels
from turbine.threads import in_thread


class AlertChannels(Resource):
    """Notification URLs for people: `rt.alert_channels`."""

    async def create(
        self,
        *,
        name: str,
        url: str,
        events: Sequence[str] = (),
        enabled: bool = True,
        workflows: Sequence[str] = (),
        quiet: QuietHours | None = None,
    ) -> AlertChannelRecord:
        """Add a channel under a unique name: an Apprise URL such as `slack://…`, `mailto://…` or `ntfy://…`.

        Without events it receives only what `send_notification` sends to its name. `workflows` limits its events to
        workflows of these names, in which `*` matches anything. During `quiet` hours events wait, durably, until the
        hours end; urgent ones, `send_notification`, `test` and deliveries that are sent again never wait. Raises
        ValidationFailed for a URL that Apprise does not understand, unknown events and invalid quiet hours; Conflict
        for a name that is taken.
        """
        app = self._app()
        columns: dict[str, Any] = {
            "name": _checked_name(name),
            "url": await _sealed(url, app),
            "events": events_json(events, "channel", least=0),
            "enabled": check_enabled(enabled),
            "workflows": workflows_json(workflows),
            "quiet": quiet_json(quiet),
        }
        detail: dict[str, Any] = {
            "events": events,
            "workflows": workflows or None,
            "quiet": quiet and asdict(quiet),
        }
        record: Any = await app.store.write_audited(
            self._audit("alert_channel.create", name, **detail),
            alert_channels.create,
            id=new_id(),
            **columns,
            now_ms=app.clock.now_ms(),
            open=app.payloads.open,
        )
        return record

    async def get(self, id: str) -> AlertChannelRecord:
        """One channel, its URL masked. Raises NotFound."""
        app = self._app()
        record = await app.store.read(alert_channels.get, id=check_name(id, "alert channel id"), open=app.payloads.open)
        if record is None:
            raise NotFound(kind="alert channel", id=id)
        return record

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[AlertChannelRecord]:
        """One page of channels, newest first. Raises ValueError for an invalid limit or cursor."""
        app = self._app()
        rows = await app.store.read(
            alert_channels.page, limit=check_limit(limit) + 1, before=after_key(cursor), open=app.payloads.open
        )
        return page_of(rows, limit)

    async def update(
        self,
        id: str,
        *,
        name: str = UNSET,
        url: str = UNSET,
        events: Sequence[str] = UNSET,
        enabled: bool = UNSET,
        workflows: Sequence[str] = UNSET,
        quiet: QuietHours | None = UNSET,
    ) -> AlertChannelRecord:
        """Change the given fields of a channel. Raises NotFound, and what `create` raises.

        With other quiet hours, or None for none, waiting events follow the new hours at once.
        """
        app = self._app()
        changes: dict[str, Any] = {
            "name": None if name is UNSET else _checked_name(name),
            "url": None if url is UNSET else await _sealed(url, app),
            "events": None if events is UNSET else events_json(events, "channel", least=0),
            "enabled": None if enabled is UNSET else check_enabled(enabled),
            "workflows": None if workflows is UNSET else workflows_json(workflows),
            "quiet": None if quiet is UNSET else quiet_json(quiet),
        }
        detail = given(
            name=name,
            url=UNSET if url is UNSET else "changed",
            events=events,
            enabled=enabled,
            workflows=workflows,
            quiet=UNSET if quiet is UNSET else "none" if quiet is None else asdict(quiet),
        )
        record: Any = await app.store.write_audited(
            self._audit("alert_channel.update", id, **detail),
            alert_channels.update,
            id=check_name(id, "alert channel id"),
            **changes,
            now_ms=app.clock.now_ms(),
            open=app.payloads.open,
        )
        return record

    async def delete(self, id: str) -> None:
        """Remove a channel; pending deliveries to it are dead at their next attempt. Raises NotFound."""
        audit = self._audit("alert_channel.delete", id)
        await self._app().store.write_audited(audit, alert_channels.delete, id=check_name(id, "alert channel id"))

    async def test(self, id: str) -> None:
        """Send a test message, also to a disabled or quiet channel, and return when the service has accepted it.

        Raises NotFound, and DeliveryFailed after the last attempt.
        """
        audit = self._audit("alert_channel.test", id)
        await notifications.test(self._app(), check_name(id, "alert channel id"), audit)


def _checked_name(name: str) -> str:
    try:
        return check_name(name, "channel name")
    except (TypeError, ValueError) as error:
        raise refused("name", str(error), "name") from error


async def _sealed(url: str, app: App) -> str:
    """The URL as it is stored: sealed by the payload codec, if there is one, because it holds keys and passwords."""
    is_text = isinstance(url, str) and url.isprintable() and len(url) <= 2000  # pyright: ignore[reportUnnecessaryIsInstance]
    if not is_text or "://" not in url or not await in_thread(is_usable, url):
        raise refused("url", "is not a URL that Apprise understands; see its list of services", "url")
    return app.payloads.seal(url, "the channel's URL")
