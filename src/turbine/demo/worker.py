"""A process that takes an inventory: the example of the documentation, started as a user would start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from turbine.platform import own_group

LAST_LINES = 20


class WorkerFailed(Exception):
    """A worker ended by itself with an error; the text has its last lines."""


class Worker:
    """One start of the process. Leaving the `with` block kills it if it still runs."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as lines:
            self._process = subprocess.Popen(
                # -P: the script does not import modules of its own folder.
                [sys.executable, "-P", str(example()), *arguments],
                # The settings in the environment are meant for the user's programs.
                env={name: value for name, value in os.environ.items() if not name.startswith("TURBINE_")},
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=lines,
                **own_group(),  # Ctrl-C in the terminal is handled here
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        """Whether the process is alive. Raises WorkerFailed when it ended by itself with an error."""
        code = self._process.poll()
        if code is None:
            return True
        if code != 0:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
            raise WorkerFailed("\n".join([f"the worker ended with exit code {code}; its last lines:", *lines]))
        return False

    def kill(self) -> None:
        """Kill -9 it; the process is gone when this returns."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def example() -> Path:
    """The source of the example: within an installed package, else in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "examples" / "inventory.py"
    return installed if installed.exists() else package.parents[1] / "examples" / "inventory.py"
