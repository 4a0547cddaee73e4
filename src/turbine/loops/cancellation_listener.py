"""The postman: tells the executions of this process what happened to their rows elsewhere."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.loops.runner import Runner
from turbine.store import Tx
from turbine.tables import runs, waits


class CancellationListener:
    """Cancellations and met waits that other processes wrote, or whose wake was lost."""

    def __init__(self, app: App, runner: Runner) -> None:
        self._app = app
        self._runner = runner

    async def tick(self) -> int | None:
        app = self._app
        cancelled, met = await app.store.read(_mail, executor=app.executor_id)
        for run, position in met:
            self._runner.nudge(run, position)
        for run, fence in cancelled:
            self._runner.cancelled(run, fence)
            app.store.post(runs.acknowledge_cancellation, (run, fence))
        return None


def _mail(tx: Tx, *, executor: str) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    return runs.pending_cancellations(tx, executor=executor), waits.met_of(tx, executor=executor)
