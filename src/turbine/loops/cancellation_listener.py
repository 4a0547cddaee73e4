"""The postman: tells the executions of this process what happened to their rows elsewhere."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.loops.runner import Runner
from turbine.store import Tx
from turbine.tables import waits, workflows


class CancellationListener:
    """Cancellations and met waits that other processes wrote, or whose wake was lost."""

    def __init__(self, app: App, runner: Runner) -> None:
        self._app = app
        self._runner = runner

    async def tick(self) -> int | None:
        app = self._app
        letters, met = await app.store.read(_mail, executor=app.executor_id)
        for run, position in met:
            self._runner.nudge(run, position)
        if letters:
            for run, fence in letters:
                self._runner.cancelled(run, fence)
            await app.store.write(workflows.take_letters, letters=letters)
        return None


def _mail(tx: Tx, *, executor: str) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    return workflows.letters(tx, executor=executor), waits.met_of(tx, executor=executor)
