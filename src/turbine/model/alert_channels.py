"""Alert channels as people see them: never with the whole URL, which holds keys and passwords."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AlertChannelRecord:
    """A notification URL for people. Times are aware UTC datetimes."""

    id: str
    name: str
    url: str
    """Masked: the scheme, and `***` for the rest."""
    events: list[str]
    """What it hears of by itself; without any it hears of messages only that are sent to it by name."""
    enabled: bool
    created: datetime
    updated: datetime


def masked(url: str) -> str:
    """A URL of which only the scheme can be read."""
    return f"{url.partition('://')[0]}://***"
