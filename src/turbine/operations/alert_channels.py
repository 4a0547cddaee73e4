"""Alert channels: who hears of runs as a person, through any service that Apprise knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turbine.delivery.alert import is_usable
from turbine.engine.app import App
from turbine.errors import NotFound
from turbine.ids import check_name, new_id
from turbine.model.alert_channels import AlertChannelRecord, QuietHours
from turbine.model.workflows import Page
from turbine.operations import notifications
from turbine.operations.events import check_enabled, events_json, quiet_json, refused, workflows_json
from turbine.operations.pages import after_key, check_limit
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
        """Add a channel: an Apprise URL such as `slack://…`, `mailto://…` or `ntfy://…`, under a name of its own.

        Without events it hears only what `send_notification` sends to its name; with `workflows`, names in which `*`
        is anything, of events of those only. In `quiet` hours events wait, durably, until these are over; urgent ones,
        `send_notification`, `test` and what somebody sends again by hand never wait. Raises ValidationFailed for a URL
        that Apprise does not understand, unknown events and quiet hours that cannot be; Conflict for a name that is
        taken.
        """
        app = self._app()
        record: Any = await app.store.write(
            alert_channels.create,
            id=new_id(),
            name=_checked_name(name),
            url=await _sealed(url, app),
            events=events_json(events, "channel", least=0),
            enabled=check_enabled(enabled),
            workflows=workflows_json(workflows),
            quiet=quiet_json(quiet),
            now_ms=app.clock.now_ms(),
            open=app.payloads.open,
        )
        return record

    async def get(self, id: str) -> AlertChannelRecord:
        """One channel, its URL masked. Raises NotFound."""
        app = self._app()
        found = await app.store.read(alert_channels.get, id=check_name(id, "alert channel id"), open=app.payloads.open)
        if found is None:
            raise NotFound(kind="alert channel", id=id)
        return found

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[AlertChannelRecord]:
        """One page of channels, newest first. Raises ValueError for a limit or cursor that can never be right."""
        app = self._app()
        before = after_key(cursor)
        found = await app.store.read(
            alert_channels.page, limit=check_limit(limit) + 1, before=before, open=app.payloads.open
        )
        items = [record for _, record in found[:limit]]
        return Page(items, str(found[limit - 1][0]) if len(found) > limit else None)

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
        """Change a channel; what is not named stays. Raises NotFound, and what `create` raises.

        With other quiet hours, or None for none, what waits for the end of those before goes by the new ones at once.
        """
        app = self._app()
        record: Any = await app.store.write(
            alert_channels.update,
            id=check_name(id, "alert channel id"),
            name=None if name is UNSET else _checked_name(name),
            url=None if url is UNSET else await _sealed(url, app),
            events=None if events is UNSET else events_json(events, "channel", least=0),
            enabled=None if enabled is UNSET else check_enabled(enabled),
            workflows=None if workflows is UNSET else workflows_json(workflows),
            quiet=None if quiet is UNSET else quiet_json(quiet),
            now_ms=app.clock.now_ms(),
            open=app.payloads.open,
        )
        return record

    async def delete(self, id: str) -> None:
        """Remove a channel; what is still to be delivered to it is dead at its next attempt. Raises NotFound."""
        await self._app().store.write(alert_channels.delete, id=check_name(id, "alert channel id"))

    async def test(self, id: str) -> None:
        """Send a test message, also to a channel that is disabled or quiet, and wait until the service has taken it.

        Raises NotFound, and DeliveryFailed after the last attempt.
        """
        app = self._app()
        await notifications.test(app, check_name(id, "alert channel id"))


def _checked_name(name: str) -> str:
    try:
        return check_name(name, "channel name")
    except (TypeError, ValueError) as error:
        raise refused("name", str(error), "name") from error


async def _sealed(url: str, app: App) -> str:
    """The URL as it is stored: under the payload codec, if there is one, because it holds keys and passwords."""
    is_text = isinstance(url, str) and url.isprintable() and len(url) <= 2000  # pyright: ignore[reportUnnecessaryIsInstance]
    if not is_text or "://" not in url or not await in_thread(is_usable, url):
        raise refused("url", "is no URL that Apprise understands; see its list of services", "url")
    return app.payloads.seal(url, "the channel's URL")
