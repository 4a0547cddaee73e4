"""Marks of long steps: the start of a step that takes its time is written, so that it is shown as running."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.loops.loop import Loop

SHOW_AFTER_MS = 1000
"""A step that runs longer than this is shown as running."""


class LongStepMarker(Loop):
    """Writes the start of steps that run longer than a second."""

    name = "long_step_marker"
    interval = 0.5

    def __init__(self, app: App) -> None:
        super().__init__(app.clock)
        self._app = app

    async def tick(self) -> int | None:
        app = self._app
        limit_ms = app.clock.now_ms() - SHOW_AFTER_MS
        for key, (since_ms, show) in list(app.busy_steps.items()):
            if 0 <= since_ms < limit_ms:
                app.busy_steps[key] = -1, show
                show()
        return None
