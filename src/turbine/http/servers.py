"""The server around the application, as far as event streams need it."""

from __future__ import annotations

import asyncio
from typing import Any


def uvicorn_here() -> Any | None:
    """The uvicorn server that runs in this event loop, if there is one.

    It waits for open responses before it stops, and notifies none of them: neither after a signal, nor after
    `should_exit` from another thread, nor after `--limit-max-requests`. So the streams poll it.
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
    """Whether a server was told to stop, or accepts no more connections."""
    return bool(server.should_exit) or not all(socket.is_serving() for socket in server.servers)
