"""The server around the application, as far as event streams have to know it."""

from __future__ import annotations

import asyncio
from typing import Any


def uvicorn_here() -> Any | None:
    """The uvicorn server that runs in this event loop, if one does.

    It waits for open answers before it ends, and tells none of them that it wants to: not when it is asked by a signal,
    nor by `should_exit` from another thread, nor after `--limit-max-requests`. So the streams look by themselves.
    """
    for task in asyncio.all_tasks():
        step: Any = task.get_coro()
        while step is not None:
            frame = getattr(step, "cr_frame", None)
            server = None if frame is None else frame.f_locals.get("self")
            if hasattr(server, "should_exit") and hasattr(server, "servers"):
                return server
            step = getattr(step, "cr_await", None)
    return None


def is_ending(server: Any) -> bool:
    """Whether a server is told to end, or takes nothing new any more."""
    return bool(server.should_exit) or not all(one.is_serving() for one in server.servers)
