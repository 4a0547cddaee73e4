"""Alert channels: who hears of runs as a person, through any service that Apprise knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turbine.actions import notifications
from turbine.actions.events import check_enabled, events_json, quiet_json, refused, workflows_json
from turbine.actions.nouns import Noun
from turbine.actions.pages import after_key, check_limit
from turbine.engine.port import Port
from turbine.errors import NotFound
from turbine.ids import check_name, new_id
from turbine.model.alert_channels import AlertChannelRecord, QuietHours
from turbine.model.workflows import Page
from turbine.registry import UNSET
from turbine.senders.alert import is_usable
from turbine.tables import alert_channels
from turbine.threads import in_thread


class AlertChannels(Noun):
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
        port = self._port()
        record: Any = await port.store.write(
            alert_channels.create,
            id=new_id(),
            name=_checked_name(name),
            url=await _sealed(url, port),
            events=events_json(events, "channel", least=0),
            enabled=check_enabled(enabled),
            workflows=workflows_json(workflows),
            quiet=quiet_json(quiet),
            now_ms=port.clock.now_ms(),
            open=port.payloads.open,
        )
        return record

    async def get(self, id: str) -> AlertChannelRecord:
        """One channel, its URL masked. Raises NotFound."""
        port = self._port()
        found = await port.store.read(
            alert_channels.get, id=check_name(id, "alert channel id"), open=port.payloads.open
        )
        if found is None:
            raise NotFound(kind="alert channel", id=id)
        return found

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[AlertChannelRecord]:
        """One page of channels, newest first. Raises ValueError for a limit or cursor that can never be right."""
        port = self._port()
        before = after_key(cursor)
        found = await port.store.read(
            alert_channels.page, limit=check_limit(limit) + 1, before=before, open=port.payloads.open
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
        port = self._port()
        record: Any = await port.store.write(
            alert_channels.update,
            id=check_name(id, "alert channel id"),
            name=None if name is UNSET else _checked_name(name),
            url=None if url is UNSET else await _sealed(url, port),
            events=None if events is UNSET else events_json(events, "channel", least=0),
            enabled=None if enabled is UNSET else check_enabled(enabled),
            workflows=None if workflows is UNSET else workflows_json(workflows),
            quiet=None if quiet is UNSET else quiet_json(quiet),
            now_ms=port.clock.now_ms(),
            open=port.payloads.open,
        )
        return record

    async def delete(self, id: str) -> None:
        """Remove a channel; what is still to be delivered to it is dead at its next attempt. Raises NotFound."""
        await self._port().store.write(alert_channels.delete, id=check_name(id, "alert channel id"))

    async def test(self, id: str) -> None:
        """Send a test message, also to a channel that is disabled or quiet, and wait until the service has taken it.

        Raises NotFound, and DeliveryFailed after the last attempt.
        """
        port = self._port()
        await notifications.test(port, check_name(id, "alert channel id"))


def _checked_name(name: str) -> str:
    try:
        return check_name(name, "channel name")
    except (TypeError, ValueError) as error:
        raise refused("name", str(error), "name") from error


async def _sealed(url: str, port: Port) -> str:
    """The URL as it is stored: under the payload codec, if there is one, because it holds keys and passwords."""
    is_text = isinstance(url, str) and url.isprintable() and len(url) <= 2000  # pyright: ignore[reportUnnecessaryIsInstance]
    if not is_text or "://" not in url or not await in_thread(is_usable, url):
        raise refused("url", "is no URL that Apprise understands; see its list of services", "url")
    return port.payloads.seal(url, "the channel's URL")
