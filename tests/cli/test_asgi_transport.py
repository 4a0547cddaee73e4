"""Requests to an application in this process: streamed answers, and exceptions."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from turbine.cli.asgi_transport import BLOCKS_AHEAD, AsgiTransport


async def test_a_download_is_read_block_by_block() -> None:
    sent = 0

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async with httpx.AsyncClient(transport=AsgiTransport(application), base_url="http://app") as http:
        async with http.stream("GET", "/") as response:
            blocks = response.aiter_raw()
            assert b"x" == await anext(blocks)
            await asyncio.sleep(0)
            assert sent <= BLOCKS_AHEAD + 2
            assert 99 == len([block async for block in blocks])
        async with http.stream("GET", "/") as response:  # left before its end
            assert 200 == response.status_code


async def test_what_an_application_raises_is_raised_in_the_command() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 500, "headers": []})
        raise LookupError("shelf")

    async with httpx.AsyncClient(transport=AsgiTransport(application), base_url="http://app") as http:
        for path in ("/", "/late"):
            with pytest.raises(LookupError, match="shelf"):
                await http.get(path)
