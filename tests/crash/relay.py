"""A way to a Postgres server that can go silent or break: what a network between them would do.

Silence is worse than a cut, because neither side is told: a cable that was pulled, a firewall that forgot a connection,
a machine that is gone.
"""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
LOOK = 0.05
FORGOTTEN = 20.0
"""Seconds after which the server finds out that the other end of a forgotten connection is gone."""


class _Line:
    """One connection through the relay."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server = socket.socket(socket.AF_UNIX)
        self.is_cut = False
        self.silent_until = 0.0
        self.ends_then = False
        """Whether it is over then, or what was held back arrives late."""


class Relay:
    """The network of one process: all its connections go through here."""

    def __init__(self, server: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="turbine-relay-"))  # the path of a unix socket must be short
        self._server = server
        self._lines: set[_Line] = set()
        self._lock = threading.Lock()
        self._is_silent = False
        self._is_deaf = False
        self._is_closed = False
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.folder / SOCKET))
        self._listening.listen(100)
        threading.Thread(target=self._accept, daemon=True).start()

    def hush(self, *, answers_only: bool = False) -> None:
        """Let nothing pass, on old connections and new ones, until `speak`; or let the server hear and not answer."""
        self._is_deaf, self._is_silent = answers_only, not answers_only

    def speak(self) -> None:
        """What was held back arrives late, and everything passes again."""
        self._is_deaf = self._is_silent = False

    def forget(self) -> None:
        """Let nothing pass on the connections that there are, ever again; new ones work."""
        self._silence_all(FORGOTTEN, ends_then=True)

    def delay(self, seconds: float) -> None:
        """Let what is on its way on the connections that there are arrive so much later; new ones work at once."""
        self._silence_all(seconds, ends_then=False)

    def _silence_all(self, seconds: float, *, ends_then: bool) -> None:
        with self._lock:
            for line in self._lines:
                if not line.ends_then:
                    line.silent_until, line.ends_then = time.monotonic() + seconds, ends_then

    def cut(self) -> None:
        """Break all connections that there are."""
        with self._lock:
            for line in self._lines:
                line.is_cut = True

    def close(self) -> None:
        self._is_closed = True
        self.cut()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        shutil.rmtree(self.folder)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end of the test
            while not self._is_closed:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(_Line(client),), daemon=True).start()

    def _serve(self, line: _Line) -> None:
        with self._lock:
            self._lines.add(line)
        try:
            # Either end may go away at any moment; then the other one is told, and that is all there is to do.
            with line.client, line.server, contextlib.suppress(OSError):
                if self._connect(line):
                    self._carry(line)
        finally:
            with self._lock:
                self._lines.discard(line)

    def _connect(self, line: _Line) -> bool:
        while self._is_silent:
            if line.is_cut:
                return False
            time.sleep(LOOK)
        line.server.connect(str(self._server / SOCKET))
        return True

    def _carry(self, line: _Line) -> None:
        while not line.is_cut:
            if time.monotonic() < line.silent_until:
                time.sleep(LOOK)
                continue
            if line.ends_then:
                return
            open_ends = [] if self._is_silent else [line.client] if self._is_deaf else [line.client, line.server]
            ready, _, _ = select.select(open_ends, [], [], LOOK)
            for source in ready:
                if self._is_silent or time.monotonic() < line.silent_until:
                    break
                data = source.recv(65536)
                if not data:
                    return
                (line.server if source is line.client else line.client).sendall(data)
