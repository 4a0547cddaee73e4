"""A server that is told to end waits for open answers: event streams end by themselves, and runs drain."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

PROGRAM = """
import asyncio, contextlib, os, signal, sys, threading
import turbine, uvicorn
from fastapi import FastAPI

PORT = int(sys.argv[1])

@turbine.step
async def work() -> str:
    open("begun", "w").close()
    while not os.path.exists("door"):
        await asyncio.sleep(0.01)
    return "worked"

@turbine.workflow(triggerable=True)
async def job() -> str:
    return await work()

SETTINGS = dict(workflows=[job], auth="none", shutdown_timeout=60)
URL = "sqlite:///shop.db"

def server_of(app, **settings):
    return uvicorn.Server(uvicorn.Config(app, port=PORT, log_level="warning", **settings))
"""
SERVERS = {
    "uvicorn": """
app, rt = turbine.new_app(URL, **SETTINGS)
server_of(app).run()
""",
    "uvicorn in a thread": """
app, rt = turbine.new_app(URL, **SETTINGS)
server = server_of(app)
signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
thread = threading.Thread(target=server.run)
thread.start()
thread.join()
""",
    "the caller launches before the server": """
app, rt = turbine.new_app(URL, lifespan=False, **SETTINGS)
async def main():
    async with rt:
        await server_of(app).serve()
asyncio.run(main())
""",
    "the caller launches in its lifespan": """
@contextlib.asynccontextmanager
async def lifespan(app):
    async with rt:
        yield
app = FastAPI(lifespan=lifespan)
rt = turbine.setup(app, URL, lifespan=False, **SETTINGS)
server_of(app).run()
""",
    "hypercorn": """
from hypercorn.asyncio import serve
from hypercorn.config import Config
app, rt = turbine.new_app(URL, **SETTINGS)
config = Config()
config.bind = [f"127.0.0.1:{PORT}"]
asyncio.run(serve(app, config))
""",
}


@pytest.mark.crash
@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", SERVERS)
def test_open_event_streams_hold_no_server_up_and_runs_drain(tmp_path: Path, unused_port, kind: str) -> None:
    if kind == "hypercorn" and importlib.util.find_spec("hypercorn") is None:
        pytest.skip("hypercorn is not installed")
    (tmp_path / "program.py").write_text(PROGRAM + SERVERS[kind])
    base = f"http://127.0.0.1:{unused_port}/api/pt"
    with (tmp_path / "out").open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "program.py", str(unused_port)], cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + 120
        while True:
            assert server.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < until
            try:
                if httpx.get(f"{base}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        assert 201 == httpx.post(f"{base}/trigger", json={"name": "job", "input": None, "id": "one"}).status_code
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        with httpx.stream("GET", f"{base}/stream", timeout=120) as stream:
            lines = stream.iter_lines()
            next(lines)
            server.send_signal(signal.SIGTERM)
            for _ in lines:  # and then it ends, by itself
                pass
        (tmp_path / "door").touch()
        assert server.wait(timeout=120) in (0, -signal.SIGTERM), (tmp_path / "out").read_text()
    finally:
        server.kill()
        server.wait()
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        rows = connection.execute("select status, recovery_attempts from pt_runs where id = 'one'").fetchall()
    assert [("SUCCESS", 1)] == rows, (tmp_path / "out").read_text()
    assert "Traceback" not in (tmp_path / "out").read_text()
