"""Polling: reads rows until they hold what a caller waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from turbine.engine.app import App

POLL = 1.0
"""Seconds between reads without a wake."""

T = TypeVar("T")


async def poll_until(
    app: App,
    kind: str,
    key: Hashable,
    read: Callable[[], Awaitable[T | None]],
    *,
    timeout: float | None = None,
    poll: float = POLL,
) -> T | None:
    """Returns the first result of `read` that is not None, or None after the timeout; it reads at least once.

    It reads again at each wake of (kind, key), and after `poll` seconds without one. Raises what `read` raises.
    """
    loop = asyncio.get_running_loop()
    if loop is not app.loop:  # a step with a loop of its own; wakes are published in the loop of the runtime
        polling = poll_until(app, kind, key, read, timeout=timeout, poll=poll)
        return await asyncio.wrap_future(app.ask(polling))
    until = None if timeout is None else loop.time() + timeout
    changed = asyncio.Event()
    unsubscribe = app.wakes.subscribe(kind, key, changed.set)
    try:
        while True:
            changed.clear()
            result = await read()
            if result is not None:
                return result
            left = poll if until is None else min(poll, until - loop.time())
            if left <= 0:
                return None
            app.store.poll_eagerly()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await changed.wait()
    finally:
        unsubscribe()
