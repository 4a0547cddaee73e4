"""What webhooks and alert channels share: both hear of events, can be switched off, and have a field nobody reads."""

from __future__ import annotations

from typing import Any

from turbine.http.schemas import Moment, RequestSchema, Schema, given


class Listener(Schema):
    """Whoever hears of events."""

    id: str
    events: list[str]
    enabled: bool
    created: Moment
    updated: Moment


def changes_of(asked: RequestSchema, *, hidden: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a request changes, and how the audit tells it: of the hidden field only that it was changed."""
    changes = given(asked)
    return changes, {name: "changed" if name == hidden else value for name, value in changes.items()}
