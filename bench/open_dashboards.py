"""How much a server does for dashboards that are open and look at nothing: `python -m bench.open_dashboards`.

So many real event streams against `turbine serve` in a process of its own, on this machine's loopback. Nothing moves in
the database; what the server's process then uses of one core is its own keeping watch, and theirs.
"""

import argparse
import asyncio
import socket
import sys
import tempfile
import time
from typing import Any

import psutil

from bench.million import make_token, served

LIMIT_PERCENT = 10.0
SETTLE_S = 5.0


def main() -> None:
    """Print how busy the server was; the exit status says whether it kept within its limit."""
    parser = argparse.ArgumentParser(prog="bench.open_dashboards", description="CPU of a server with idle dashboards.")
    parser.add_argument("url", metavar="DATABASE_URL", nargs="?", help="by default an empty SQLite file")
    parser.add_argument("--dashboards", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = words.url or f"sqlite:///{folder}/idle.db"
        token = asyncio.run(make_token(url))
        with served(url) as port:
            process = server_at(port)
            alone = busy(process, words.seconds / 2)
            used = asyncio.run(watched(process, port, token, words.dashboards, words.seconds))
    print(f"{words.dashboards} open dashboards: {used:.1f} % of one core (nobody there: {alone:.1f} %)")
    sys.exit(used > LIMIT_PERCENT)


def server_at(port: int) -> psutil.Process:
    """The process that listens there."""
    for child in psutil.Process().children(recursive=True):
        if any(one.laddr.port == port and one.status == psutil.CONN_LISTEN for one in child.net_connections()):
            return child
    raise SystemExit("the server's process was not found")


def busy(process: psutil.Process, seconds: float) -> float:
    """Percent of one core that a process used in the next seconds."""
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    return percent(process, before, began)


def percent(process: psutil.Process, before: Any, began: float) -> float:
    after = process.cpu_times()
    return 100 * (after.user + after.system - before.user - before.system) / (time.monotonic() - began)


async def watched(process: psutil.Process, port: int, token: str, count: int, seconds: float) -> float:
    """The same with so many streams open, all of which have begun; each is read as a browser would."""
    streams = [await open_stream(port, token) for _ in range(count)]
    readers = [asyncio.create_task(drain(reader)) for reader, _ in streams]
    await asyncio.sleep(SETTLE_S)
    before, began = process.cpu_times(), time.monotonic()
    await asyncio.sleep(seconds)
    used = percent(process, before, began)
    if any(reader.done() for reader in readers):
        raise SystemExit("a stream ended while it was watched")
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    for _, writer in streams:
        writer.close()
    return used


async def open_stream(port: int, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An event stream whose first bytes have come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
    writer.write(
        f"GET /api/pt/stream HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    )
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.splitlines()[0]:
        raise SystemExit(f"the stream was refused: {head!r}")
    return reader, writer


async def drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        continue


if __name__ == "__main__":
    main()
