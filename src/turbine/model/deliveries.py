"""What leaves the process: records of deliveries and attempts, what an attempt came to, and when the next is due."""

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
"""The event of a test message; nobody can listen to it."""
BACKOFF_MS = 1000
BACKOFF_MAX_MS = 30_000


class DeliveryStatus(StrEnum):
    """Where a delivery stands. Dead ones are not tried again unless somebody asks."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class DeliveryKind(StrEnum):
    """Which way a delivery goes."""

    WEBHOOK = "webhook"
    ALERT = "alert"
    PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One try: `error` is None when the receiver took it, `status_code` is that of HTTP where there is one."""

    number: int
    at: Moment
    status_code: int | None
    error: str | None
    duration: Seconds

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """Something outgoing, as its row tells it. Times are aware UTC datetimes."""

    id: str
    kind: DeliveryKind
    target: str
    """The id of the webhook, the alert channel or the product."""
    event: str | None
    workflow_id: str | None
    status: DeliveryStatus
    attempts: list[DeliveryAttempt]
    next_at: Moment | None
    """When the next attempt is due; None when there is none."""
    created: Moment

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What one attempt came to: delivered without an `error`; with one, tried again unless that is `final`.

    With `not_before_ms` it was none: nothing was sent, because it has to wait until then.
    """

    error: str | None = None
    status_code: int | None = None
    final: bool = False
    not_before_ms: int | None = None


def backoff_ms(failed: int) -> int:
    """The pause after the n-th attempt that failed: one second, then twice as long each time, at most 30 seconds."""
    return min(BACKOFF_MS << min(failed - 1, 16), BACKOFF_MAX_MS)
