"""Webhooks as people see them."""

from __future__ import annotations

from dataclasses import dataclass

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """A signed URL for machines. The secret is never read out again. Times are aware UTC datetimes."""

    id: str
    url: str
    """With `***` where it has a password; an update that gives it so leaves it as it is."""
    events: list[str]
    enabled: bool
    secret_set: bool
    created: Moment
    updated: Moment

    __pydantic_config__ = DESCRIBED
