"""Wakes inside one process: hints, by kind and key, that rows have changed.

Whoever waits subscribes first and reads second. Losing a wake costs time, never work: every loop also has a slow poll.
All calls come from the loop that launched the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

Listener = Callable[[], None]


class Wakes:
    """Who waits for what."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, Hashable], list[Listener]] = {}

    def subscribe(self, kind: str, key: Hashable, listener: Listener) -> Callable[[], None]:
        """Call `listener` whenever (kind, key) is published; returns what ends the subscription."""
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
        """Something may have happened to any key of these kinds: everybody looks."""
        wanted = set(kinds)
        for kind, key in list(self._listeners):
            if kind in wanted:
                self.publish(kind, key)

    def awaited(self, kind: str) -> list[Hashable]:
        """The keys of a kind that somebody waits for."""
        return [key for known, key in self._listeners if known == kind]
