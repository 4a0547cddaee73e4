"""The seam for those who watch: events after their commit, for `rt.events()`, logs and traces. It decides nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

from turbine.model.workflows import Event

log = logging.getLogger("turbine")


class Probe:
    """Tells listeners what happened. Without listeners it costs one attribute look-up."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Event], None]] = []
        self.watchers: list[Callable[[], None]] = []
        """Hear that the runtime has closed: nothing is told any more, until it is launched again."""

    def tell(self, event: Event) -> None:
        """Hand an event to every listener; one that raises is logged and hurts nobody else."""
        for listener in list(self.listeners):
            try:
                listener(event)
            except Exception:
                log.exception("A listener of Turbine's events raised")

    def end(self) -> None:
        """Tell those who watch that nothing more comes."""
        for watcher in list(self.watchers):
            watcher()
