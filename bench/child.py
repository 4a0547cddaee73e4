"""Fresh interpreters: every measurement starts in a process that has done nothing before.

The upper half is used by whoever starts a child, the lower half runs in the child. They exchange lines of JSON over a
pipe of their own, because the libraries under measurement print what they like. Only the standard library is imported
here: whatever this module loads would weigh on the memory figures.
"""

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.case import Place

ROOT = Path(__file__).resolve().parent.parent
FD_VARIABLE = "BENCH_LINK_FD"


class ChildFailed(Exception):
    """A child died, fell silent or raised; the text is the last thing it said."""


class Child:
    """A process that runs `module:function` on a place; leaving the `with` block ends it and all it has started.

    A child of the harness leads a process group, its own children stay in that group, so none outlives it.
    """

    def __init__(self, target: str, place: Place) -> None:
        self.target = target
        self._errors = Path(place.folder) / f"stderr-{time.monotonic_ns()}.txt"
        self._leads_group = FD_VARIABLE not in os.environ
        read_fd, write_fd = os.pipe()
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from bench.child import main; main()", target, json.dumps(place.to_json())],
                cwd=place.folder,
                env={**clean_environment(), FD_VARIABLE: str(write_fd)},
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                pass_fds=[write_fd],
                start_new_session=self._leads_group,
            )
        os.close(write_fd)
        self._fd = read_fd
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        os.close(self._fd)

    def hear(self, timeout_s: float) -> dict[str, Any]:
        """The next line of the child; raises ChildFailed when it died, raised, or said nothing for `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ChildFailed(f"{self.target} said nothing for {timeout_s:.0f} s")
            chunk = os.read(self._fd, 65536)
            if not chunk:
                raise ChildFailed(f"{self.target} ended without an answer: {self._last_words()}")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        facts: dict[str, Any] = json.loads(line)
        if "failed" in facts:
            raise ChildFailed(facts["failed"])
        return facts

    def tell(self) -> None:
        """Let a child go on that waits in `listen`."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL to the child and what it has started: the death that no program can prepare for."""
        if self._leads_group:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def _last_words(self) -> str:
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self.process.wait()}"


def clean_environment() -> dict[str, str]:
    """The environment without settings of the measured libraries: only their defaults are measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TURBINE_", "DBOS", "PG"))}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}


def say(**facts: Any) -> None:
    """One line to whoever started this process."""
    os.write(int(os.environ[FD_VARIABLE]), json.dumps(facts).encode() + b"\n")


def listen() -> None:
    """Wait until whoever started this process says go."""
    sys.stdin.buffer.readline()


def resident_mb() -> float:
    """Memory of this process that is in RAM, in MB of 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run the function named on the command line and send its figures; a failure is sent as one line of text."""
    target, place = sys.argv[1], Place(**json.loads(sys.argv[2]))
    try:
        figures = resolve(target)(place)
    except Exception as error:  # noqa: BLE001 (the edge of the child: whatever went wrong is told to the parent)
        traceback.print_exc()
        say(failed=f"{type(error).__name__}: {error}".splitlines()[0][:300])
    else:
        say(**(figures or {}))
    # Leftover threads of a library must not keep the child: what was measured has been sent.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def resolve(target: str) -> Callable[[Place], dict[str, float] | None]:
    module, function = target.split(":")
    return getattr(importlib.import_module(module), function)
