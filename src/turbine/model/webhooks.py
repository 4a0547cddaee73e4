"""Webhooks, without their secrets."""

from __future__ import annotations

from dataclasses import dataclass

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """A URL that receives signed events. The secret is never shown again. Times are in UTC."""

    id: str
    url: str
    """With `***` for a password; an update with `***` keeps the password."""
    events: list[str]
    enabled: bool
    secret_set: bool
    created: Moment
    updated: Moment

    __pydantic_config__ = DESCRIBED
