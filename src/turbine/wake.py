"""Wakes inside one process: hints, by kind and key, that rows have changed.

Subscribe first and read second. Losing a wake costs time, never work: every loop also ticks by itself. All calls come
from the loop that launched the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from enum import StrEnum

Listener = Callable[[], None]


class WakeKind(StrEnum):
    """The kinds of wakes, as transactions send them and as they travel between processes."""

    CANCELLED = "cancelled"
    COMMIT = "commit"
    """Something was committed; only inside a process."""
    DEADLINE = "deadline"
    DELIVERED = "delivered"
    DELIVERY = "delivery"
    DONE = "done"
    """A run is over."""
    DUE = "due"
    EVERYTHING = "everything"
    """Another process has committed something; what it was is not known."""
    QUEUE = "queue"
    SCHEDULE = "schedule"
    STATUS = "status"
    VALUE = "value"
    WAIT = "wait"


class Wakes:
    """The listeners of a process, by kind and key."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, Hashable], list[Listener]] = {}

    def subscribe(self, kind: str, key: Hashable, listener: Listener) -> Callable[[], None]:
        """Call `listener` whenever (kind, key) is published. Returns a callable that ends the subscription."""
        listeners = self._listeners.setdefault((kind, key), [])
        listeners.append(listener)

        def unsubscribe() -> None:
            if listener in listeners:
                listeners.remove(listener)
            if not listeners:
                self._listeners.pop((kind, key), None)

        return unsubscribe

    def publish(self, kind: str, key: Hashable) -> None:
        for listener in list(self._listeners.get((kind, key), ())):
            listener()

    def publish_all(self, kinds: Iterable[str]) -> None:
        """Publish every key of these kinds that is subscribed to."""
        published = set(kinds)
        for kind, key in list(self._listeners):
            if kind in published:
                self.publish(kind, key)
