"""Requests to an ASGI application in this process.

Unlike httpx's own transport it hands an answer on block by block, so that a download is never held in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

BLOCKS_AHEAD = 4
"""Blocks that the application may be ahead of the reader."""
Messages = asyncio.Queue[Message | Exception | None]
"""What an application sends; at its end None, or the exception that it raised."""


class AsgiTransport(httpx.AsyncBaseTransport):
    """Hands requests to an application; its exceptions are raised here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        messages: Messages = asyncio.Queue(BLOCKS_AHEAD)
        body = await request.aread()
        task = asyncio.create_task(self._answer(request, body, messages))
        start = _checked(await messages.get())
        if start is None:
            raise RuntimeError("the application ended without an answer")
        return httpx.Response(start["status"], headers=start["headers"], stream=_Blocks(messages, task))

    async def _answer(self, request: httpx.Request, body: bytes, messages: Messages) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        end: Exception | None = None
        try:
            await self._app(_scope(request), receive, messages.put)
        except Exception as error:  # noqa: BLE001 - raised where the answer is read
            end = error
        await messages.put(end)


class _Blocks(httpx.AsyncByteStream):
    """The body of an answer."""

    def __init__(self, messages: Messages, task: asyncio.Task[None]) -> None:
        self._messages = messages
        self._task = task

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (message := _checked(await self._messages.get())) is not None:
            if block := message.get("body"):
                yield block

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


def _checked(message: Message | Exception | None) -> Message | None:
    if isinstance(message, Exception):
        raise message
    return message


def _scope(request: httpx.Request) -> dict[str, Any]:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 0),
        "server": (url.host, 80),
    }
