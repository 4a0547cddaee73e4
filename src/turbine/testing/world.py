"""A runtime on virtual time: a year passes in milliseconds, and the process crashes when the test says so."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from turbine.clock import span_ms, to_ms
from turbine.errors import StoreUnavailable
from turbine.ids import new_id
from turbine.registry import WorkflowBase
from turbine.runtime import Runtime
from turbine.store import Store, Tx
from turbine.testing.clock import VirtualClock
from turbine.threads import in_thread

if TYPE_CHECKING:
    from turbine.engine.execution import Execution
    from turbine.runtime.live import Live

PATIENCE = 5.0
"""Seconds of real time that virtual time waits for a body that is doing something, before it goes on without it."""
QUIET = 0.05
"""The same for a body that waits, but may still do something else."""


class World:
    """A runtime with a virtual clock: `async with World(workflows=[order]) as world: await world.advance(hours=25)`.

    Sleeps, timeouts, deadlines, retries, schedules, parking and everything else that Turbine waits for follow the
    clock, garbage collection too: runs that ended 72 hours ago are removed, unless `gc_retention` says otherwise. Waits
    inside bodies of steps (`asyncio.sleep`, the network) take real time, and the clock stands still meanwhile. The
    lease is measured in the database's own time and does not expire.
    """

    def __init__(
        self,
        database: str | None = None,
        *,
        workflows: Iterable[WorkflowBase[..., Any]] = (),
        start: datetime | None = None,
        **config_fields: Any,
    ) -> None:
        """Prepare a world; nothing is opened before `async with`.

        `database` is a URL, by default a SQLite file that is removed at the end. `start` is when virtual time begins
        (aware), by default now. All fields of `Config` are keywords here too.
        """
        self._folder: Path | None = None
        if database is None:
            self._folder = Path(tempfile.gettempdir()) / f"turbine-world-{new_id()}"
            database = f"sqlite:///{self._folder / 'turbine.db'}"
        self.clock = VirtualClock(start)
        config_fields.setdefault("shutdown_timeout", 1.0)
        self.runtime = Runtime(database, workflows=workflows, clock=self.clock, **config_fields)
        """The runtime. Queues and more workflows are declared on it before `async with`."""
        self._watched: dict[Execution, tuple[Any, float]] = {}
        """What each execution was last seen doing, and since when (in real time)."""
        self._rang = 0.0

    @property
    def now(self) -> datetime:
        """The virtual time as an aware UTC datetime."""
        return self.clock.now

    async def __aenter__(self) -> Self:
        await self.runtime.launch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.runtime.shutdown()
        finally:
            if self._folder is not None:
                await in_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # Time

    async def advance(self, span: timedelta | float | None = None, **units: float) -> None:
        """Let time pass: `advance(hours=25)` with the keywords of `timedelta`, or `advance(timedelta(days=1))`.

        The clock stops at every alarm on the way, and the runtime does all that is due before it goes on.
        """
        span_of_units = timedelta(**units)
        given_ms = span_ms(span_of_units) + (0 if span is None else span_ms(span))
        if given_ms < 0:
            raise ValueError(f"Time does not go back: {given_ms} ms")
        await self.advance_to(self.clock.now_ms() + given_ms)

    async def advance_to(self, when: datetime | int) -> None:
        """Let time pass until `when`, an aware datetime or epoch milliseconds. A time in the past changes nothing."""
        until_ms = to_ms(when, "when") if isinstance(when, datetime) else when
        await self.settle()
        while await self.ring(until_ms):
            await self.settle()
        self.clock.move_to(until_ms)
        await self.settle()

    async def ring(self, until_ms: int | None = None) -> bool:
        """Move the clock to the next alarm, if there is one (up to a time, epoch ms). What it wakes is not awaited."""
        due_ms = self.clock.next_due_ms()
        if due_ms is None or (until_ms is not None and due_ms > until_ms):
            return False
        self.clock.move_to(due_ms)
        self._rang = time.monotonic()
        return True

    async def settle(self) -> None:
        """Wait until everything that is due now is done, and every run here waits for a time, an event or a person.

        A step that does real work is waited for, but one that takes longer than 5 seconds is left behind.
        """
        calm = 0
        while calm < 2:
            live = self._live
            if live is None:
                return
            try:
                await live.store.write(_pass)  # all earlier writes are done, and their callers know
            except StoreUnavailable:
                return
            await asyncio.sleep(0)
            if live.store.depth or self._moves(live):
                calm = 0
                await asyncio.sleep(0.001)
            else:
                calm += 1

    def _moves(self, live: Live) -> bool:
        """Whether the runtime is doing something."""
        due_ms = self.clock.next_due_ms()
        if due_ms is not None and due_ms <= self.clock.now_ms():
            return True
        if not live.is_at_rest:
            return True
        executions = live.runner.executions.values()
        for ended in self._watched.keys() - set(executions):
            del self._watched[ended]
        # No short circuit: each execution must be looked at, because that notes since when it is as it is.
        return max((self._is_awaited(live, execution) for execution in executions), default=False)

    def _is_awaited(self, live: Live, execution: Execution) -> bool:
        """Whether an execution does something that virtual time has to wait for."""
        waits = list(execution.waits.values())
        is_idle = execution.is_idle and not any(wait.met for wait in waits)
        if is_idle and execution.paused_since_ms is not None:
            self._watched.pop(execution, None)
            return False
        steps = [(key[1], since) for key, (since, _) in live.app.busy_steps.items() if key[0] == execution.run]
        seen = (execution.signal, steps, [(wait.position, wait.is_paused, wait.met) for wait in waits])
        before, since = self._watched.get(execution, (None, 0.0))
        now = time.monotonic()
        if before != seen:
            self._watched[execution] = seen, now
            return True
        return now - since < (QUIET if is_idle else PATIENCE) or now - self._rang < QUIET

    @property
    def is_waiting(self) -> bool:
        """Whether every run in memory waits."""
        live = self._live
        return live is None or all(execution.is_idle for execution in live.runner.executions.values())

    # Crashes

    @property
    def _live(self) -> Live | None:
        return self.runtime._live  # pyright: ignore[reportPrivateUsage] - the test kit needs the internals

    @property
    def store(self) -> Store:
        """The store of the runtime; for tests of Turbine itself."""
        live = self._live
        assert live is not None, "the runtime of this world is not launched"
        return live.store

    async def crash(self) -> None:
        """Crash as after `kill -9`: what is not committed is lost, and nothing is cleaned up.

        Handles from before raise `StoreUnavailable`. A database in memory is lost too. Code that runs in a thread
        cannot be killed: it goes on until its next durable call.
        """
        await self.runtime._die()  # pyright: ignore[reportPrivateUsage]
        self.clock.forget_alarms()
        self._watched.clear()

    async def restart(self) -> None:
        """Launch again, after a crash, or after a shutdown if there was none. No time passes."""
        await self.runtime.shutdown()
        self.clock.forget_alarms()
        await self.runtime.launch()

    def instrument(self, put_in: Callable[[Live], None]) -> None:
        """Call `put_in` with each later launch before anything moves; for tests of Turbine itself."""
        self.runtime._instrument = put_in  # pyright: ignore[reportPrivateUsage]


def _pass(tx: Tx) -> None:
    """Write nothing: only the order of writes counts."""
