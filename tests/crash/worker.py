"""A process of the crash tests: it launches a runtime, says so, and does what its parent writes to it, line by line.

    python worker.py '{"url": …, "journal": …, "config": {…}, "workflows": null or [names]}'

Lines are JSON both ways. The first one it writes is {"ready": pid}; every command carries a number, and its answer too.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import samples
from journal import ACKNOWLEDGED

import turbine
from turbine.registry import WorkflowBase


def main(kind: Callable[..., Worker], level: int = logging.WARNING) -> None:
    """Be a worker of this kind, as the first argument says."""
    arguments = json.loads(sys.argv[1])
    die_with_parent()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    samples.open_journal(arguments["journal"])
    asyncio.run(kind(arguments["url"], arguments["workflows"], **arguments["config"]).live())


def die_with_parent() -> None:
    """The kernel ends us with our parent, even if we are stopped then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG


class Worker:
    """A runtime, and the commands that its parent may give."""

    def __init__(self, url: str, names: list[str] | None, **config: Any) -> None:
        self._workflows = {
            workflow.name: workflow
            for workflow in vars(samples).values()
            if isinstance(workflow, WorkflowBase) and (names is None or workflow.name in names)
        }
        self._rt = turbine.Runtime(url, workflows=list(self._workflows.values()), **config)
        self._tasks: set[asyncio.Task[None]] = set()
        self._flooding = False

    async def live(self) -> None:
        await self._rt.launch()
        self._say(ready=os.getpid())
        reader = asyncio.StreamReader(limit=2**24)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command = json.loads(line)
            task = asyncio.create_task(self._obey(command))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if command["do"] == "leave":
                await task
                return

    async def _obey(self, command: dict[str, Any]) -> None:
        number, word = command.pop("number"), command.pop("do")
        try:
            answer = await getattr(self, word)(**command)
        except Exception as error:
            self._say(number=number, error=repr(error))
            raise
        self._say(number=number, answer=answer)

    def _say(self, **words: Any) -> None:
        print(json.dumps(words), flush=True)

    async def start(self, runs: list[tuple[str, str, list[Any]]]) -> int:
        """Start runs (workflow, id, arguments), or join those that were started before."""
        await asyncio.gather(*(self._start(*run) for run in runs))
        return len(runs)

    async def _start(self, name: str, workflow_id: str, arguments: list[Any]) -> None:
        await self._rt.run(self._workflows[name].options(id=workflow_id), *arguments)
        samples.journal.note(ACKNOWLEDGED, workflow_id)

    async def results(self, ids: list[str], timeout: float) -> dict[str, Any]:
        """The end of each run: its value, or the name of the error that waiting for it raises."""
        return dict(zip(ids, await asyncio.gather(*(self._result(id_, timeout) for id_ in ids)), strict=True))

    async def _result(self, workflow_id: str, timeout: float) -> Any:
        try:
            return await self._rt.retrieve(workflow_id).result(timeout)
        except turbine.WorkflowFailed as error:
            return f"WorkflowFailed {error.type_name} {error.message}"
        except turbine.TurbineError as error:
            return type(error).__name__

    async def flood(self, tag: str, batch: int, pause: float) -> None:
        """Start runs of `lookup`, batch by batch, until told to stop."""
        self._flooding = True
        number = 0
        while self._flooding:
            await self.start([("lookup", f"{tag}-{n}", [n]) for n in range(number, number + batch)])
            number += batch
            await asyncio.sleep(pause)

    async def dry_up(self) -> None:
        self._flooding = False

    async def explain(self, id: str) -> str:
        return (await self._rt.explain(id)).reason

    async def leave(self) -> None:
        """Shut down in good order."""
        await self._rt.shutdown()


if __name__ == "__main__":
    main(Worker)
