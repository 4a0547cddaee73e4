"""What webhooks and alert channels may be told to hear of, and how a wrong field of theirs is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence

from turbine.errors import ValidationFailed
from turbine.model.deliveries import EVENTS, EVERY_EVENT


def refused(field: str, message: str, kind: str) -> ValidationFailed:
    """The error for one field of a record."""
    return ValidationFailed(what="The record", errors=[{"path": [field], "message": message, "type": kind}])


def events_json(events: Sequence[str], who: str, *, least: int) -> str:
    """The stored list of events, each once; ValidationFailed for an unknown one or for too few."""
    if isinstance(events, str):
        raise refused("events", f"must be a list, such as [{events!r}]", "list_type")
    known = (*EVENTS, EVERY_EVENT)
    for event in events:
        if event not in known:
            raise refused("events", f"{event!r} is unknown; known are {', '.join(known)}", "unknown_event")
    if len(events) < least:
        raise refused("events", f"a {who} needs at least one event", "too_short")
    return json.dumps(list(dict.fromkeys(events)))


def check_enabled(enabled: bool) -> bool:
    """The flag itself; ValidationFailed for what is none."""
    if not isinstance(enabled, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("enabled", "must be True or False", "bool_type")
    return enabled
