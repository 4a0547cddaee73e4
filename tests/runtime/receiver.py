"""A real HTTP server on this machine, which keeps what it was sent and answers as a test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """`answers` are (status, headers) of the next requests, in order; then all are 204. `hold` keeps answers back."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[Any]] = set()

    def url(self, path: str = "/hook", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.let_go.set()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        await self._server.wait_closed()

    async def arrived(self, count: int) -> list[Request]:
        """The first requests, once there are so many."""
        while len(self.requests) < count:  # noqa: ASYNC110 - whoever sends them lives elsewhere
            await asyncio.sleep(0.002)
        return self.requests[:count]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            method, path, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append(Request(method, path, headers, body))
            status, extra = self.answers.pop(0) if self.answers else (204, {})
            await self.let_go.wait()
            told = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
            text = b"" if status < 300 else f"because {status}".encode()
            writer.write(f"HTTP/1.1 {status} Said\r\n{told}Content-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # whoever asked has hung up
        finally:
            self._answering.discard(task)
            writer.close()
