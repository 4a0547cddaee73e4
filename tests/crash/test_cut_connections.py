"""The connection to Postgres breaks around commits, before the server hears of them or after it has carried them out.

Between the workers and the server stands a proxy that knows when a commit passes, so both cases happen often.
"""

from __future__ import annotations

import contextlib
import random
import re
import select
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from crew import Crew
from evidence import Rows
from journal import ACKNOWLEDGED, BEGIN

pytestmark = [pytest.mark.crash, pytest.mark.postgres]

SOCKET = ".s.PGSQL.5432"
DECIDING = b"with mark as"
"""How a statement begins that is a transaction of its own."""
SECONDS = 3.0
ENOUGH = 3
"""Cuts of each kind that make the test worth its name."""
SHARE_OF_COMMITS = 0.15
SECONDS_FOR_AN_ANSWER = 2.0


class Proxy:
    """A way to the server that breaks when a commit passes, for some of them."""

    def __init__(self, folder: Path, server: Path, chance: random.Random) -> None:
        self.is_cutting = False
        self.cuts: Counter[str] = Counter()
        self._server = server
        self._chance = chance
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end of the test
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # One of the two may go away at any moment; then the other one is told, and that is all there is to do.
        commits = [b"commit\0", DECIDING]
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(str(self._server / SOCKET))
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    data = source.recv(65536)
                    if not data or (source is client and self._cut(data, server, commits)):
                        return
                    (server if source is client else client).sendall(data)

    def _cut(self, data: bytes, server: socket.socket, commits: list[bytes]) -> bool:
        # Once it is prepared the statement goes by the name that its Parse message gave it.
        named = re.findall(rb"(_pg3_\w+)\0(?:commit\0|" + DECIDING + rb")", data)
        commits.extend(name + b"\0" for name in named)
        is_commit = any(commit in data for commit in commits)
        if not self.is_cutting or not is_commit or self._chance.random() > SHARE_OF_COMMITS:
            return False
        when = self._chance.choice(["before", "after"])
        if when == "after":
            server.sendall(data)
            server.settimeout(SECONDS_FOR_AN_ANSWER)
            server.recv(65536)
        self.cuts[when] += 1
        return True


@pytest.fixture
def proxy(postgres_url: str, chance: random.Random) -> Iterator[tuple[Proxy, str]]:
    """The proxy, and the URL that leads through it."""
    folder = Path(tempfile.mkdtemp(prefix="turbine-proxy-"))  # the path of a unix socket must be short
    (host,) = parse_qs(urlsplit(postgres_url).query)["host"]
    proxy = Proxy(folder, Path(host), chance)
    yield proxy, postgres_url.replace(host, str(folder))
    proxy.close()
    shutil.rmtree(folder)


def test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten(
    crew: Crew, postgres_url: str, proxy: tuple[Proxy, str]
) -> None:
    cutter, url = proxy
    crew.hire(url).wait_ready().leave()
    Rows(postgres_url).watch()
    team = [crew.hire(url).wait_ready() for _ in range(2)]

    cutter.is_cutting = True
    floods = [worker.post("flood", tag=f"run-{worker.pid}", batch=10, pause=0.02) for worker in team]
    team[0].post("start", runs=[("background", "background", []), ("blocking_background", "blocking", [])])
    team[1].post(
        "start", runs=[("write_letters", "writer", ["reader"]), ("lineage", "lineage", []), ("nap", "nap", [])]
    )
    until = time.monotonic() + 10 * SECONDS
    time.sleep(SECONDS)
    while min(cutter.cuts["before"], cutter.cuts["after"]) <= ENOUGH and time.monotonic() < until:
        time.sleep(0.2)
    cutter.is_cutting = False

    for worker, flood in zip(team, floods, strict=True):
        worker.ask("dry_up")
        worker.answer(flood)
    ids = sorted({mark.run for mark in crew.marks(ACKNOWLEDGED)})
    results = team[0].ask("results", ids=ids, timeout=120)
    for worker in team:
        worker.leave()
    print(f"{len(ids)} runs, cuts: {dict(cutter.cuts)}")
    squares = {id_: int(id_.rpartition("-")[2]) ** 2 for id_ in ids if id_.startswith("run-")}
    assert squares == {id_: result for id_, result in results.items() if id_ in squares}
    assert {"background", "blocking", "writer", "lineage", "nap"} == set(ids) - squares.keys()
    assert [] == Rows(postgres_url)("select id, status from pt_runs where status <> 'SUCCESS'")
    assert [] == Rows(postgres_url)("select run, body from pt_messages where consumed_position is null")
    assert [] == Rows(postgres_url).rewritten()
    assert [] == crew.tracebacks()
    twice = Counter((mark.run, mark.position, mark.attempt) for mark in crew.marks(BEGIN))
    assert {} == {key: count for key, count in twice.items() if count > 1}, "nobody died, and a body ran twice"
    assert min(cutter.cuts["before"], cutter.cuts["after"]) > ENOUGH
