"""The scheduler: takes the ticks that have come and starts their runs. There is no leader.

Every process does this for the workflows it knows. A tick is taken by moving the row's next tick on, in the transaction
that starts the run, so each is taken once however many processes look; and the run's id is made of the tick.

A tick is *missed* when it came while no process looked: of these the schedule's `catch_up` says which are made up.
Ticks that come while a process looks are all taken, however late its transaction is.

A process looks at least every second, and at each tick that it knows of. It was *absent* when its last look is more
than five seconds ago, and so is a tick that nobody has taken: it was stopped, the machine was suspended, its event loop
was blocked, the clock was set forward, or the database did not answer (a look counts when it was answered). Then all
ticks up to now were missed. Another process that was awake has taken them as they came, so none is left.

Absence is told by the clock that ticks are told by: a monotonic one stands still while a machine is suspended, and does
not notice that a clock was set. Under a clock that stands still until a test moves it, a process is never absent.
"""

from __future__ import annotations

import asyncio
import logging
import random
from itertools import islice, takewhile

from turbine.clock import to_datetime
from turbine.cron import Cron
from turbine.engine.app import App
from turbine.engine.outside import accept_stored, encoded, for_anyone
from turbine.engine.starting import prepare
from turbine.errors import ValidationFailed
from turbine.ids import check_id
from turbine.model.schedules import CatchUp, Overlap, run_id
from turbine.model.workflows import Event, WorkflowStatus
from turbine.registry import StartOptions
from turbine.store import Tx
from turbine.tables import schedules
from turbine.tables.run_starts import Start, StartedRun
from turbine.tables.schedules import Firing, ScheduleRow

log = logging.getLogger("turbine")

SCHEDULES_MAX = 100
"""Schedules looked at in one tick."""
CATCH_UP_MAX = 1000
"""Missed ticks that are made up, at most."""
TICKS_MAX = 1000
"""Ticks of one schedule that are taken in one transaction."""
ABSENCE_MS = 5000
"""A process that has not looked for longer than this was absent."""
COURTESY_MS = 1000
"""How long a process that comes leaves ticks alone that it would skip: another one may be about to take them."""


class Scheduler:
    """Starts the runs of schedules whose workflows this process knows."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._here_since_ms = app.clock.now_ms()
        """What came before that was missed."""
        self._was_absent = False
        self._looked_ms = self._here_since_ms
        self._chance = random.Random()

    async def tick(self) -> int | None:
        app = self._app
        if app.is_draining():
            return None
        now_ms = app.clock.now_ms()
        due, next_ms = await app.store.read(_look, workflows=app.registry.names(), now_ms=now_ms)
        self._notice_absence(due, now_ms)
        left = [row for row in due if self._is_left(row, now_ms)]
        firings = [self._decide(row, now_ms) for row in due if row not in left]
        if firings:
            await asyncio.gather(*(self._fire(firing) for firing in firings))
            return now_ms
        if left:
            next_ms = min(self._here_since_ms + COURTESY_MS, next_ms or self._here_since_ms + COURTESY_MS)
        return next_ms

    def _notice_absence(self, due: list[ScheduleRow], now_ms: int) -> None:
        """Let what came up to now be missed if this process was absent. In `due` the oldest tick comes first."""
        oldest_ms = due[0].next_ms if due and not self._app.clock.is_virtual else None
        if oldest_ms is not None and now_ms - max(self._looked_ms, oldest_ms) > ABSENCE_MS:
            self._here_since_ms = now_ms
            self._was_absent = True
        self._looked_ms = now_ms
        # A clock that was set back must not make what comes now look missed.
        self._here_since_ms = min(self._here_since_ms, now_ms)

    async def has_due(self) -> bool:
        """Whether a tick has come that is to be taken now."""
        now_ms = self._app.clock.now_ms()
        due, _ = await self._app.store.read(_look, workflows=self._app.registry.names(), now_ms=now_ms)
        return any(not self._is_left(row, now_ms) for row in due)

    def _is_left(self, row: ScheduleRow, now_ms: int) -> bool:
        """Whether a process that was here before us may be about to take what we would skip."""
        is_missed = row.next_ms is not None and row.next_ms <= self._here_since_ms
        may_skip = row.catch_up == CatchUp.NONE or self._was_absent
        return is_missed and may_skip and now_ms < self._here_since_ms + COURTESY_MS

    def _decide(self, row: ScheduleRow, now_ms: int) -> Firing:
        assert row.next_ms is not None
        error = None
        starts: list[Start] = []
        ticks: list[int] = []
        next_ms = None
        try:
            ticks, next_ms = self._ticks(row, row.next_ms, now_ms)
        except ValidationFailed as failure:  # written by another version, or the zone is not on this machine
            error = _told(failure)
        may_overlap = row.overlap != Overlap.SKIP
        for tick in ticks if may_overlap else ticks[-1:]:
            try:
                starts.append(self._start(row, tick))
                error = None
            except Exception as failure:  # noqa: BLE001 - users' types and signatures; the schedule goes on
                error = _told(failure)
        if error is not None:
            log.warning("Schedule %s of workflow %s could not start its run: %s", row.run_name, row.workflow, error)
        return Firing(
            schedule=row.schedule,
            expected_ms=row.next_ms,
            seen_ms=row.updated_ms,
            next_ms=next_ms,
            last_ms=ticks[-1] if ticks else None,
            is_over=row.cron_expression is None,
            error=error,
            may_overlap=may_overlap,
            starts=starts,
        )

    def _ticks(self, row: ScheduleRow, first_ms: int, now_ms: int) -> tuple[list[int], int | None]:
        """The ticks to take now, and the one to wait for."""
        if row.cron_expression is None:
            return [first_ms], None
        cron = Cron(row.cron_expression, row.timezone or "UTC")
        ticks: list[int] = []
        if first_ms <= self._here_since_ms:
            count = {CatchUp.LAST: 1, CatchUp.NONE: 0, CatchUp.ALL: CATCH_UP_MAX}[CatchUp(row.catch_up)]
            ticks = cron.latest(first_ms - 1, self._here_since_ms, count) if count else []
        begin_ms = max(first_ms - 1, self._here_since_ms)
        later = list(islice(takewhile(lambda tick: tick <= now_ms, cron.ticks(begin_ms)), TICKS_MAX))
        return [*ticks, *later], cron.next_ms(later[-1] if len(later) == TICKS_MAX else max(now_ms, begin_ms))

    def _start(self, row: ScheduleRow, tick: int) -> Start:
        app = self._app
        definition = app.registry.get(row.workflow)
        assert definition is not None
        arguments = accept_stored(definition, app, row.input, tick)
        options = StartOptions(
            id=check_id(run_id(row.run_name, tick)), delay=self._chance.random() * row.jitter_ms / 1000
        )
        start = prepare(app, definition, options, encoded(app, definition, arguments), arguments)
        return for_anyone(start)._replace(schedule_id=row.id)

    async def _fire(self, firing: Firing) -> None:
        app = self._app
        results: list[StartedRun | Exception] | None = await app.store.write(schedules.fire, firing=firing)
        for row, result in zip(firing.starts, results or [], strict=False):
            if isinstance(result, Exception):
                log.warning("The scheduled run %s was not started: %s", row.id, result)
            elif result.is_new and app.probe.listeners:
                status = WorkflowStatus(row.status)
                app.probe.tell(Event(f"workflow.{status}", row.id, row.name, status, None, to_datetime(row.created_ms)))


def _look(tx: Tx, *, workflows: list[str], now_ms: int) -> tuple[list[ScheduleRow], int | None]:
    due = schedules.due(tx, workflows=workflows, now_ms=now_ms, limit=SCHEDULES_MAX)
    return due, schedules.next_due(tx, workflows=workflows, after_ms=now_ms)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
