"""A process of the schedule tests: its clock stands still until its parent says what time it is, or is the real one.

python schedule_worker.py '{"url": …, "journal": …, "config": {"now_ms": …, …}, "workflows": null}'
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import samples
from worker import Worker, main

import turbine
from turbine import Schedule
from turbine.clock import to_datetime
from turbine.testing import VirtualClock

HOLD = "hold"
"""While there is a file of this name beside the journal, all that is under way stays so."""


class ToldClock(VirtualClock):
    """It shows what it was told last; as the clock of a machine may, it can also be set back."""

    def move_to(self, when_ms: int) -> int:
        with self._lock:
            self._now_ms = min(self._now_ms, when_ms)
        return super().move_to(when_ms)


@turbine.workflow(triggerable=True)
async def wall(tick: datetime) -> str:
    return await ring(tick)


@turbine.workflow(triggerable=True)
async def interval(tick: datetime) -> str:
    return await ring(tick)


@turbine.workflow(triggerable=True)
async def plain(tick: datetime) -> str:
    return tick.isoformat()


async def ring(tick: datetime) -> str:
    here = turbine.current()
    with samples.journal.body(here.workflow_id, "-", here.attempt, 0):
        while (samples.folder / HOLD).exists():  # noqa: ASYNC110 - the parent is in another process
            await asyncio.sleep(0.01)
    return tick.isoformat()


class ScheduleWorker(Worker):
    """It takes the ticks that come by its clock."""

    def __init__(self, url: str, names: None, *, now_ms: int | None, **config: Any) -> None:
        self._clock = None if now_ms is None else ToldClock(to_datetime(now_ms))
        super().__init__(url, [], clock=self._clock, gc_retention=None, **config)
        for workflow in (wall, interval, plain):
            self._rt.register(workflow)

    async def plan(self, workflow: str, cron: str, zone: str, catch_up: str = "none", name: str | None = None) -> None:
        """Make a schedule; by default one that makes up nothing: a tick that is not taken when it comes is lost."""
        cron_ticks = Schedule.cron(cron, zone, catch_up=catch_up)
        await self._rt.schedules.create(workflow, cron_ticks, name=name or workflow)

    async def move(self, now_ms: int) -> None:
        """Set the clock; answered when all that has come due by then is taken."""
        assert self._clock is not None
        self._clock.move_to(now_ms)
        await self._rt.wait_idle()


if __name__ == "__main__":
    main(ScheduleWorker)
