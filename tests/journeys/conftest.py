"""What journeys have in common: runtimes on the test's database, and somebody who hears notifications."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from turbine import Runtime

# What several tests share stands beside them.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def launch(database_url, turbine_runtime):
    """Launches a runtime with these workflows on the test's database; it ends with the test."""

    async def launch(*workflows: Any, **settings: Any) -> Runtime:
        return await turbine_runtime(database_url, workflows=workflows, **settings)

    return launch


class Ear:
    """A tiny HTTP server that hears the plain JSON of alert channels."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.status = 200
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        self.heard.append((await reader.readexactly(length)).decode())
        writer.write(f"HTTP/1.1 {self.status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def ear():
    ear = Ear()
    server = await asyncio.start_server(ear.answer, "127.0.0.1", 0)
    ear.url = f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    yield ear
    server.close()
    await server.wait_closed()
