"""`turbine serve`, `account` and `token`, as their users start them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import turbine
from turbine.cli.app import app

TURBINE = str(Path(sys.executable).with_name("turbine"))
PROGRAM = """
import turbine

@turbine.step
async def note(path: str) -> None:
    open(path, "a").write("x")

@turbine.workflow(triggerable=True)
async def nap(path: str) -> str:
    await note(path)
    await turbine.sleep(0.2)
    await turbine.recv("go", timeout=30, default=None)
    return "done"

rt = turbine.Runtime("sqlite:///shop.db", workflows=[nap], lease=2)
app, _ = turbine.new_app("sqlite:///shop.db", workflows=[nap], auth="none")
nothing = 3
"""


def turbine_command(*arguments: str, folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [TURBINE, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False, **options)


@contextmanager
def serving(folder: Path, port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    (folder / "shop.py").write_text(PROGRAM)
    with (folder / "out.txt").open("w") as out:
        server = subprocess.Popen(
            [TURBINE, "serve", *arguments, "--port", str(port)],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 40
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/api/pt/health").status_code == 200:
                    break
            except httpx.TransportError:
                assert server.poll() is None, (folder / "out.txt").read_text()
                assert time.monotonic() < until, (folder / "out.txt").read_text()
            time.sleep(0.05)
        yield server
    finally:
        if server.poll() is None:
            server.kill()
        server.wait()


def test_a_runtime_is_served_until_it_is_told_to_end_and_goes_on_at_the_next_start(tmp_path, unused_port) -> None:
    base = f"http://127.0.0.1:{unused_port}"
    with serving(tmp_path, unused_port, "shop:rt") as server:
        printed = (tmp_path / "out.txt").read_text()
        link = re.search(rf"{base}(/_/turbine/setup)\?token=(\S+)", printed)
        assert link is not None, printed
        with httpx.Client(base_url=f"{base}/api/pt/") as client:
            asked = {"token": link[2], "email": "ada@example.com", "password": "correct horse"}
            csrf = client.post("setup", json=asked).json()["csrf"]
            client.headers["x-csrf-token"] = csrf
            body = {"name": "nap", "input": str(tmp_path / "notes"), "id": "n1"}
            assert 201 == client.post("trigger", json=body).status_code
            while not (tmp_path / "notes").exists():
                time.sleep(0.01)
            with client.stream("GET", "stream") as stream:
                lines = stream.iter_lines()
                next(lines)
                server.send_signal(signal.SIGTERM)
                assert any("run" in line or line == "" for line in lines)  # and then it ends, by itself
        assert 0 == server.wait(timeout=120)
    with serving(tmp_path, unused_port, "shop:rt") as server:
        assert "setup?token" not in (tmp_path / "out.txt").read_text()
        made = turbine_command(
            "token", "create", "ci", "--role", "operator", "--expires", "30d", "--json",
            "--database", "sqlite:///shop.db", folder=tmp_path,
        )  # fmt: skip
        token = json.loads(made.stdout)
        assert {"id", "token"} <= token.keys()
        with httpx.Client(base_url=f"{base}/api/pt/", headers={"authorization": f"Bearer {token['token']}"}) as client:
            assert 200 == client.post("workflows/n1/send", json={"topic": "go", "message": 1}).status_code
            while client.get("workflows/n1").json()["status"] != "SUCCESS":
                time.sleep(0.01)
        assert "x" == (tmp_path / "notes").read_text()
        server.send_signal(signal.SIGINT)
        assert 0 == server.wait(timeout=120)


@turbine.workflow
async def elsewhere(number: int) -> int:
    return number


async def run_elsewhere(folder: Path, *ids: str) -> None:
    async with turbine.Runtime(f"sqlite:///{folder}/shop.db", workflows=[elsewhere]) as rt:
        for id_ in ids:
            await (await rt.run(elsewhere.options(id=id_), 1)).result()


def events(base: str, last_id: str | None, ends: Callable[[str, dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The runs that the stream tells, until an event (or the first mark) for which `ends` holds."""
    told: list[dict[str, Any]] = []
    headers = {} if last_id is None else {"last-event-id": last_id}
    with httpx.stream("GET", f"{base}/api/pt/stream", headers=headers, timeout=20) as stream:
        event: dict[str, str] = {}
        for line in stream.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
                continue
            data = {"id": event.get("id"), **json.loads(event.get("data", "{}"))}
            if event.get("event") == "run" or "event" not in event:
                told.append(data)
            if ends(event.get("event", ""), data):
                return told
            event = {}
    raise AssertionError(f"the stream ended after {told}")


def test_a_stream_goes_on_where_it_was_when_the_server_was_killed_and_started_anew(tmp_path, unused_port) -> None:
    base = f"http://127.0.0.1:{unused_port}"
    with serving(tmp_path, unused_port, "shop:rt", "--auth", "none") as server:
        asyncio.run(run_elsewhere(tmp_path, "before"))
        mark = events(base, None, lambda _, data: data["id"] is not None)[-1]["id"]
        server.send_signal(signal.SIGKILL)
        assert -signal.SIGKILL == server.wait(timeout=120)
    asyncio.run(run_elsewhere(tmp_path, "missed-1", "missed-2"))
    with serving(tmp_path, unused_port, "shop:rt", "--auth", "none") as server:
        told = events(base, mark, lambda kind, _: kind == "changed")
        assert {("missed-1", "SUCCESS"), ("missed-2", "SUCCESS")} <= {
            (one.get("workflow_id"), one.get("status")) for one in told
        }
        server.send_signal(signal.SIGINT)
        assert 0 == server.wait(timeout=120)


def seconds_used(server: subprocess.Popen[str]) -> float:
    columns = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_fifty_dashboards_that_look_at_nothing_cost_next_to_nothing(tmp_path, unused_port) -> None:
    with serving(tmp_path, unused_port, "shop:rt", "--auth", "none") as server, ExitStack() as stack:
        for _ in range(50):
            stream = stack.enter_context(socket.create_connection(("127.0.0.1", unused_port), timeout=20))
            stream.sendall(f"GET /api/pt/stream HTTP/1.1\r\nhost: 127.0.0.1:{unused_port}\r\n\r\n".encode())
            assert b" 200 " in stream.recv(4096).splitlines()[0]
        time.sleep(2)
        before = seconds_used(server)
        time.sleep(10)
        assert seconds_used(server) - before < 1


def test_several_workers_serve_one_application(tmp_path, unused_port) -> None:
    with serving(tmp_path, unused_port, "shop:app", "--workers", "2") as server:
        until = time.monotonic() + 30
        while True:
            executors = httpx.get(f"http://127.0.0.1:{unused_port}/api/pt/executors").json()["items"]
            if len({one["process_id"] for one in executors}) == 2:
                break
            assert time.monotonic() < until
            time.sleep(0.1)
        server.send_signal(signal.SIGTERM)
        assert 0 == server.wait(timeout=120)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shop"], "module:name"),
        (["nowhere:app"], "no module 'nowhere'"),
        (["shop:other"], "no 'other'"),
        (["shop:nothing"], "neither an ASGI application nor a runtime"),
        (["shop:rt", "--auth", "none", "--host", "0.0.0.0"], "this machine only"),
        (["shop:rt", "--auth", "open"], "accounts or none"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(tmp_path, arguments, told) -> None:
    (tmp_path / "shop.py").write_text(PROGRAM)
    ended = turbine_command("serve", *arguments, folder=tmp_path)
    assert 2 == ended.returncode
    assert told in ended.stderr
    assert 1 == len(ended.stderr.strip().splitlines())


def test_accounts_are_kept_from_the_command_line(database_url) -> None:
    def run(*arguments: str, typed: str = "") -> Any:
        return CliRunner().invoke(app, [*arguments, "--database", database_url], input=typed, prog_name="turbine")

    made = run("account", "create", "Ada@example.com", "--role", "admin", "--password-stdin", "--json",
               typed="correct horse\n")  # fmt: skip
    assert ("ada@example.com", "admin") == tuple(json.loads(made.stdout)[name] for name in ("email", "role"))
    again = run("account", "create", "ada@example.com", "--password-stdin", typed="correct horse")
    assert (1, True) == (again.exit_code, "already" in again.stderr)
    assert 1 == run("account", "create", "bob@example.com", "--password-stdin", typed="short").exit_code
    assert 2 == run("account", "create", "bob@example.com").exit_code
    assert 1 == run("account", "change", "ada@example.com", "--disable").exit_code
    assert 0 == run("account", "create", "bob@example.com", "--password-stdin", typed="correct horse").exit_code
    assert 0 == run("account", "delete", "bob@example.com").exit_code
    assert "bob" not in run("account", "list").stdout
    token = json.loads(run("token", "create", "ci", "--role", "viewer", "--json").stdout)
    listed = json.loads(run("token", "list", "--json").stdout)["items"]
    assert [token["id"]] == [one["id"] for one in listed]
    assert "token" not in listed[0]
    assert 0 == run("token", "delete", token["id"]).exit_code
    assert 2 == run("token", "create", "ci", "--expires", "soon").exit_code
