"""Looking at rows until they say what somebody waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from turbine.engine.app import App

POLL = 1.0
"""Seconds between looks when no wake is heard."""

T = TypeVar("T")


async def look_until(
    app: App,
    kind: str,
    key: Hashable,
    look: Callable[[], Awaitable[T | None]],
    *,
    timeout: float | None = None,
    poll: float = POLL,
) -> T | None:
    """The first answer of `look` that is not None; None when there was none in time, after one look at least.

    It looks again at each wake of (kind, key), and after `poll` seconds without any. What `look` raises, this raises.
    """
    loop = asyncio.get_running_loop()
    if loop is not app.loop:  # of a step that runs a loop of its own; wakes are published in that of the runtime
        looking = look_until(app, kind, key, look, timeout=timeout, poll=poll)
        return await asyncio.wrap_future(app.ask(looking))
    until = None if timeout is None else loop.time() + timeout
    changed = asyncio.Event()
    unsubscribe = app.wakes.subscribe(kind, key, changed.set)
    try:
        while True:
            changed.clear()
            answer = await look()
            if answer is not None:
                return answer
            left = poll if until is None else min(poll, until - loop.time())
            if left <= 0:
                return None
            app.store.poll_eagerly()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await changed.wait()
    finally:
        unsubscribe()
