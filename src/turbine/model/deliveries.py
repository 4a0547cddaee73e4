"""Deliveries to webhooks, alert channels and product senders, their attempts, and when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment, Seconds

EVENTS = (
    "workflow.SUCCESS",
    "workflow.ERROR",
    "workflow.CANCELLED",
    "workflow.WAITING_FOR_APPROVAL",
    "workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED",
)
EVERY_EVENT = "workflow.*"
TEST_EVENT = "test"
"""The event of a test message; it cannot be subscribed to."""
BACKOFF_MS = 1000
BACKOFF_MAX_MS = 30_000


class DeliveryStatus(StrEnum):
    """The status of a delivery. Dead ones are not tried again unless they are resent."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class DeliveryKind(StrEnum):
    """The kind of receiver of a delivery."""

    WEBHOOK = "webhook"
    ALERT = "alert"
    PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """An attempt to deliver: `error` is None if the receiver accepted it, `status_code` is that of HTTP, if any."""

    number: int
    at: Moment
    status_code: int | None
    error: str | None
    duration: Seconds

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery with its attempts. Times are in UTC."""

    id: str
    kind: DeliveryKind
    target: str
    """The id of the webhook, the alert channel or the product."""
    event: str | None
    workflow_id: str | None
    status: DeliveryStatus
    attempts: list[DeliveryAttempt]
    next_at: Moment | None
    """When the next attempt is due; None if there is none."""
    created: Moment

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of an attempt: delivered if `error` is None; else it is tried again, unless the error is `final`.

    With `not_before_ms` nothing was sent, because the delivery has to wait until then.
    """

    error: str | None = None
    status_code: int | None = None
    final: bool = False
    not_before_ms: int | None = None


def backoff_ms(failed: int) -> int:
    """Returns the pause after the n-th failed attempt: one second, doubled each time, at most 30 seconds."""
    return min(BACKOFF_MS << min(failed - 1, 16), BACKOFF_MAX_MS)
