"""The processes that a test starts and kills, and what it says to them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from journal import Mark, read_marks

current_scope = Path(__file__).parent


def wait_for(holds: Callable[[], Any], seconds: float) -> None:
    """Until it holds, or patience ends; what is demanded is asserted afterwards."""
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)


class Worker:
    """A process with a runtime; see worker.py for what it does, or the program that stands in for it."""

    def __init__(
        self,
        url: str,
        journal: Path,
        log: Path,
        workflows: list[str] | None,
        config: dict[str, Any],
        program: str = "worker.py",
        environment: dict[str, str] | None = None,
    ) -> None:
        arguments = {"url": url, "journal": str(journal), "workflows": workflows, "config": config}
        self.log = log
        self.killed_ns: int | None = None
        """When it was killed; it may have lived for a moment longer."""
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, str(current_scope / program), json.dumps(arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=None if environment is None else {**os.environ, **environment},
            )
        self.pid = self._process.pid

    def wait_ready(self) -> Worker:
        if self._line() != {"ready": self.pid}:
            raise AssertionError(f"worker {self.pid} did not launch:\n{self.log.read_text()}")
        return self

    def _line(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        return json.loads(text) if text.endswith("\n") else None

    def post(self, do: str, **arguments: Any) -> int:
        """Give a command and go on; the number asks for its answer. A worker that is dead does not hear it."""
        self._number += 1
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"number": self._number, "do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        return self._number

    def answer(self, number: int) -> Any:
        """The answer to a command; AssertionError when it failed, or the worker died."""
        while number not in self._answers:
            line = self._line()
            if line is None:
                raise AssertionError(f"worker {self.pid} died before it answered:\n{self.log.read_text()}")
            self._answers[line["number"]] = line
        answer = self._answers.pop(number)
        if "error" in answer:
            raise AssertionError(f"worker {self.pid} failed: {answer['error']}\n{self.log.read_text()}")
        return answer["answer"]

    def ask(self, do: str, **arguments: Any) -> Any:
        return self.answer(self.post(do, **arguments))

    def start(self, workflow: str, workflow_id: str, *arguments: Any) -> None:
        self.ask("start", runs=[(workflow, workflow_id, arguments)])

    def result(self, workflow_id: str, timeout: float = 20) -> Any:
        return self.ask("results", ids=[workflow_id], timeout=timeout)[workflow_id]

    def kill(self) -> None:
        """SIGKILL, whatever it is doing; it is gone when this returns. A worker may be killed twice."""
        if self._process.returncode is None:
            self.killed_ns = time.monotonic_ns()
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def stop(self) -> None:
        """SIGSTOP: it is silent and still there. Returns when the kernel has stopped all of its threads."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def leave(self) -> None:
        """Shut down in good order."""
        self.ask("leave")
        if self._process.wait(120) != 0:
            raise AssertionError(f"worker {self.pid} did not end well:\n{self.log.read_text()}")

    def wait_dead(self) -> int:
        """Until it ends by itself; its exit status."""
        return self._process.wait(120)

    def exit_status(self) -> int | None:
        """None while it lives."""
        return self._process.poll()


class Crew:
    """All workers of a test and what they left behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.workers: list[Worker] = []

    def hire(
        self,
        url: str,
        *,
        workflows: list[str] | None = None,
        journal: str = "journal",
        program: str = "worker.py",
        environment: dict[str, str] | None = None,
        **config: Any,
    ) -> Worker:
        """Start a worker. It is launching when this returns; `wait_ready` waits for that."""
        config.setdefault("park_after", 0.1)
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = Worker(url, self.folder / journal, log, workflows, config, program, environment)
        self.workers.append(worker)
        return worker

    def marks(self, kind: str | None = None) -> list[Mark]:
        return [mark for mark in read_marks(self.journal) if kind in (None, mark.kind)]

    def wait_for_mark(self, kind: str, run: str, stage: int, process: int, seconds: float = 20) -> Mark:
        """The first mark of this kind; AssertionError when it does not come in time."""
        until = time.monotonic() + seconds
        while True:
            for mark in self.marks(kind):
                if (mark.run, mark.stage, mark.process) == (run, stage, process):
                    return mark
            if time.monotonic() > until:
                raise AssertionError(f"no {kind} of stage {stage} of {run} in process {process}:\n{self.logs()}")
            time.sleep(0.01)

    def open_gate(self, worker: Worker) -> None:
        (self.folder / f"gate-{worker.pid}").touch()

    def logs(self) -> str:
        return "\n".join(f"== worker {worker.pid}\n{worker.log.read_text()}" for worker in self.workers)

    def tracebacks(self) -> list[str]:
        """Logs in which an error was not understood."""
        return [text for worker in self.workers if "Traceback" in (text := worker.log.read_text())]
