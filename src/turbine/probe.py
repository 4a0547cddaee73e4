"""Events after their commit, for `rt.events()`, logs and traces. Nothing is decided by them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from turbine.model.workflows import Event

log = logging.getLogger("turbine")


class Probe:
    """Passes events on to listeners. Without listeners it costs one attribute look-up."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Event], None]] = []
        self.watchers: list[Callable[[], None]] = []
        """Called when the runtime has closed: no event comes until it is launched again."""

    def tell(self, event: Event) -> None:
        """Pass an event to every listener; an error of one is logged and does not reach the others."""
        for listener in list(self.listeners):
            try:
                listener(event)
            except Exception:
                log.exception("A listener of Turbine's events raised")

    def end(self) -> None:
        """Tell the watchers that no more events come."""
        for watcher in list(self.watchers):
            watcher()
