"""Alert channels: a text for people, through the service of an Apprise URL.

Apprise blocks and only returns success or failure, so each message is sent in a thread, and the warnings that Apprise
logs meanwhile are the reason of a failure.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

from turbine.clock import Clock, to_datetime, to_ms
from turbine.codec import describe_error
from turbine.masking import HIDDEN, scrub
from turbine.model.alert_channels import QuietHours
from turbine.model.deliveries import EVERY_EVENT, TEST_EVENT, AttemptResult
from turbine.platform import after_fork_in_child
from turbine.store import Store
from turbine.tables import alert_channels
from turbine.tables.deliveries import ClaimedDelivery
from turbine.threads import Threads

THREADS = 8
REASON_MAX = 500
_EVENT_TEXTS = {
    "workflow.SUCCESS": "completed successfully",
    "workflow.ERROR": "failed",
    "workflow.CANCELLED": "was cancelled",
    "workflow.WAITING_FOR_APPROVAL": "is waiting for approval",
    "workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED": "exceeded its maximum number of recovery attempts",
}


class AlertTransport:
    """Sends messages to alert channels."""

    def __init__(self, store: Store, clock: Clock, open: Callable[[str], str]) -> None:
        self._store = store
        self._clock = clock
        self._open = open
        self._threads = Threads(THREADS, "turbine-alert")

    async def deliver(self, held: ClaimedDelivery) -> AttemptResult:
        address = await self._store.read(alert_channels.address, id=held.target)
        if address is None:
            return AttemptResult("the alert channel was deleted", final=True)
        url, is_enabled, quiet = address
        if not is_enabled and held.event != TEST_EVENT:
            return AttemptResult("the alert channel is disabled; enable it and send this again", final=True)
        if quiet is not None and _can_wait(held, quiet):
            quiet_until = quiet.until(to_datetime(self._clock.now_ms()))
            if quiet_until is not None:
                return AttemptResult(not_before_ms=to_ms(quiet_until))
        text = text_of(held, self._open)
        return await self._threads.run(_notify, self._open(url), text)

    async def close(self) -> None:
        """Accept no more messages; one that is being sent ends by itself."""
        self._threads.close()


def _can_wait(held: ClaimedDelivery, quiet: QuietHours) -> bool:
    """Whether quiet hours apply to a message: not to an urgent event, and not to one that is sent by hand."""
    is_manual = held.event in (None, TEST_EVENT) or held.attempts_before > 0
    return not is_manual and not {held.event, EVERY_EVENT} & set(quiet.urgent)


def text_of(held: ClaimedDelivery, open: Callable[[str], str]) -> str:
    """The message itself, or one line about an event of a run."""
    if held.message is not None:
        return open(held.message)
    event = _EVENT_TEXTS.get(held.event or "", f"reached {held.run_status}")
    by = "" if held.assignees is None else f" by {' or '.join(json.loads(held.assignees))}"
    error = "" if held.error is None else f": {describe_error(held.error)}"
    return f"[Turbine] Workflow {held.name} ({held.workflow_id}) {event}{by}{error}"


def is_usable(url: str) -> bool:
    """Whether Apprise knows the service of a URL, and the URL has all that the service needs."""
    return _service(url) is not None


def _service(url: str) -> Any:
    with _loading:
        apprise = _apprise()
    with _warnings():
        return apprise.Apprise.instantiate(url)


_loading = threading.Lock()


def _forked() -> None:
    """Replace the lock in a forked child, where the thread that held it does not exist."""
    global _loading  # noqa: PLW0603
    _loading = threading.Lock()


after_fork_in_child(_forked)


@cache
def _apprise() -> Any:
    """Apprise with its hundred services, which take most of a second to load."""
    import apprise

    with warnings.catch_warnings():
        # One of the services still looks for a module that Python 3.13 has removed, and works without it.
        warnings.filterwarnings("ignore", "'imghdr'", DeprecationWarning)
        apprise.Apprise.instantiate("json://localhost")  # pyright: ignore[reportUnknownMemberType]
    return apprise


def _notify(url: str, text: str) -> AttemptResult:
    service = _service(url)
    if service is None:
        return AttemptResult("Apprise does not understand the channel's URL; update it", final=True)
    with _warnings() as reasons:
        is_sent = bool(service.notify(body=text))
    if is_sent:
        return AttemptResult()
    reason = _without_secrets("; ".join(reasons), url) or "it gave no reason"
    return AttemptResult(f"the service did not take the message: {reason}"[:REASON_MAX])


@contextmanager
def _warnings() -> Generator[list[str]]:
    """The warnings of Apprise in this thread; they reach no other log, because they quote the URL."""
    thread = threading.get_ident()
    messages: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        if record.levelno >= logging.WARNING:
            messages.append(record.getMessage())
        return False

    logger = logging.getLogger("apprise")
    logger.addFilter(keep)
    try:
        yield messages
    finally:
        logger.removeFilter(keep)


def _without_secrets(text: str, url: str) -> str:
    """The text without the parts of the URL that may be a key or a password."""
    for part in re.split(r"[^\w.-]+", url.partition("://")[2]):
        if len(part) >= 6:
            text = text.replace(part, HIDDEN)
    return scrub(text, url)
