"""A crash at every write: does a workflow end the same whenever its process dies?

A first trial is undisturbed, and its writes are counted. Then, for each of them, one trial dies just before that write
is committed, and another just after. Each is started again as a new process would be, and must leave the same rows.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from turbine.errors import StoreUnavailable
from turbine.registry import WorkflowBase
from turbine.store.crash_point import SimulatedCrash
from turbine.store.job import Job
from turbine.testing.mentioned import with_mentioned
from turbine.testing.rows import Rows, difference, prospect, snapshot
from turbine.testing.scratch_databases import scratch_databases
from turbine.testing.world import World

if TYPE_CHECKING:
    from turbine.registry import StepDefinition
    from turbine.runtime import Runtime
    from turbine.runtime.live import Live

RUN_ID = "crash-everywhere"
START = datetime(2026, 1, 1, tzinfo=UTC)
ALARMS_MAX = 20_000
STUCK_AFTER = 30.0
"""Seconds of real time without progress after which a run counts as stuck."""
HOUSEKEEPING = (
    "turbine.store",
    "turbine.tables.audit",
    "turbine.tables.maintenance",
    "turbine.tables.executors",
    "turbine.tables.logs",
    "turbine.tables.registry",
    "turbine.tables.search",
    "turbine.tables.storage",
    "turbine.testing",
)
"""Modules whose writes are about processes, not about runs: a run cannot notice a crash there."""
PROGRESS = ("begin", "begin_upload", "retry_set_aside", "acknowledge_cancellation", "declare")
"""Writes that only show progress, or that are repeated at every look."""

Side = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class CrashReport:
    """The result of `crash_everywhere`."""

    crash_points: int
    """How many trials crashed: twice as many as the undisturbed one had writes."""
    differences: tuple[str, ...] = ()
    """What the crashes changed; empty, because a difference raises AssertionError."""


async def crash_everywhere(
    workflow: WorkflowBase[..., Any],
    /,
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    database: str | None = None,
    workflows: Iterable[WorkflowBase[..., Any]] = (),
    prepare: Callable[[Runtime], None] | None = None,
    **config_fields: Any,
) -> CrashReport:
    """Run a workflow twice for each of its writes, crash before and after that write, and demand the same final rows.

    Time is virtual, so the workflow may sleep for days. After each crash it is started again with the same id; the body
    of a step may run at most once more. Raises AssertionError with the first difference, or when the run waits for
    something that never comes: its messages and approvals must come from runs of its own, or time out.

    `kwargs` are the workflow's arguments by keyword, since other keywords belong to this function.

    Steps must give the same outcome in each trial (`turbine.uuid4`, `random` and `now` are allowed for). Workflows that
    its code mentions are registered too; name others in `workflows`. `prepare` declares queues and the like on each
    runtime before its launch; all fields of `Config` are keywords too.

    `database`: by default temporary SQLite files; for a `sqlite:///` URL files beside that one, for a Postgres URL a
    schema of its own in that database. All of them are removed at the end, and the database itself is not touched.
    """
    program = _Program(
        workflow.options(id=RUN_ID),
        args,
        dict(kwargs or {}),
        with_mentioned(workflow, workflows),
        prepare,
        {"gc_retention": None, "application_version": RUN_ID, **config_fields},
    )
    points = 0
    async with scratch_databases(database) as databases:
        control = await _trial(program, await databases.fresh(), CrashPlan(None))
        if (text := _overrun(control)) is not None:
            raise AssertionError(f"In the undisturbed trial: {text}")
        for number in range(1, control.plan.count + 1):
            for side in get_args(Side):
                trial = await _trial(program, await databases.fresh(), CrashPlan(number, side))
                points += trial.plan.has_crashed
                text = difference(control.rows, trial.rows) or _overrun(trial)
                if text is not None:
                    raise AssertionError(f"After a crash {trial.plan}: {text}")
    return CrashReport(points)


@dataclass(frozen=True, slots=True)
class _Program:
    """The program that each trial runs."""

    workflow: WorkflowBase[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    workflows: list[WorkflowBase[..., Any]]
    prepare: Callable[[Runtime], None] | None
    config_fields: dict[str, Any]


class CrashPlan:
    """Counts the writes of runs, and crashes at one of them."""

    def __init__(self, number: int | None, side: Side = "before") -> None:
        self.number = number
        self.side = side
        self.count = 0
        self.is_armed = False
        self.has_crashed = False
        self._described = "a write"

    def before(self, jobs: Sequence[Job]) -> None:
        if not self.is_armed or not any(_is_of_runs(job) for job in jobs):
            return
        self.count += 1
        if self.count == self.number:
            self._described = ", ".join(_description(job) for job in jobs)
            if self.side == "before":
                self._crash()

    def after(self, jobs: Sequence[Job]) -> None:
        if self.is_armed and self.count == self.number and any(_is_of_runs(job) for job in jobs):
            self._crash()

    def _crash(self) -> None:
        self.has_crashed = True
        raise SimulatedCrash

    def __str__(self) -> str:
        return f"{self.side} write {self.number} ({self._described})"


def _is_of_runs(job: Job) -> bool:
    module, name = job.function.__module__, job.function.__name__
    return not module.startswith(HOUSEKEEPING) and name not in PROGRESS


def _description(job: Job) -> str:
    module = job.function.__module__.rpartition(".")[2]
    names = [str(value) for value in _identifying(job.argument) if value][:2]
    return f"{module}.{job.function.__name__.strip('_')}({', '.join(names)})"


def _identifying(argument: Any) -> list[Any]:
    """The values that identify a write: position and name of a step, or name and status of a run."""
    for value in (argument, *(cast("tuple[Any, ...]", argument) if isinstance(argument, tuple) else ())):
        fields = [getattr(value, field, None) for field in ("position", "name", "status")]
        if any(fields):
            return fields
    return []


@dataclass(frozen=True, slots=True)
class _Trial:
    """The result of one trial."""

    plan: CrashPlan
    rows: Rows
    bodies: Counter[tuple[str, str, str, int]]
    """How often each attempt of each step ran: run, position, name, number of the attempt."""


def _overrun(trial: _Trial) -> str | None:
    for (run, position, name, attempt), count in trial.bodies.items():
        allowed = 1 + trial.plan.has_crashed
        if count > allowed:
            return f"attempt {attempt} of step {name!r} at {position} of {run} ran {count} times, {allowed} are allowed"
    return None


async def _trial(program: _Program, database: str, plan: CrashPlan) -> _Trial:
    """One run from its start to its end, with the planned crash."""
    bodies: Counter[tuple[str, str, str, int]] = Counter()
    world = World(database, workflows=program.workflows, start=START, **program.config_fields)
    if program.prepare is not None:
        program.prepare(world.runtime)

    def count(workflow_id: str, position: str, step: StepDefinition, attempt: int) -> None:
        if step.checkpoint:
            bodies[workflow_id, position, step.name, attempt] += 1

    def put_in(live: Live) -> None:
        live.app.on_step_begin = count
        live.store.writer.batch_max = 1  # each write is a commit of its own, so that it can crash at each
        if not plan.has_crashed:
            live.store.writer.crash_point = plan

    world.instrument(put_in)
    async with world:
        plan.is_armed = True
        await _start(world, program)
        await _to_the_end(world, program, plan)
        rows = await world.store.read(snapshot)
    return _Trial(plan, rows, bodies)


async def _start(world: World, program: _Program) -> None:
    try:
        await world.runtime.run(program.workflow, *program.args, **program.kwargs)
    except StoreUnavailable:  # the start itself crashed
        await _start_again(world, program)


async def _start_again(world: World, program: _Program) -> None:
    """Launch the next process, which recovers the run, and repeat the start with the same id."""
    await world.crash()
    await world.restart()
    await world.runtime.run(program.workflow, *program.args, **program.kwargs)


async def _to_the_end(world: World, program: _Program, plan: CrashPlan) -> None:
    """Let time pass until nothing is left to do; replace the process once it has crashed."""
    first = world.store
    quiet_since = time.monotonic()
    for _ in range(ALARMS_MAX):
        await world.settle()
        if plan.has_crashed and world.store is first:
            await _start_again(world, program)
            first = None
            continue
        ahead = await world.store.read(prospect)
        if not ahead.open and not ahead.has_deliveries:
            return
        if ahead.is_moved_by_time or ahead.has_deliveries:
            if await world.ring():
                quiet_since = time.monotonic()
                continue
            if not ahead.open:
                return  # the deliveries that are left cannot leave this process
        elif world.is_waiting:
            raise AssertionError(await _why_it_waits(world, ahead.open))
        if time.monotonic() - quiet_since > STUCK_AFTER:
            raise AssertionError(await _why_it_waits(world, ahead.open))
        await asyncio.sleep(0.01)
    raise AssertionError(f"It did not end after {ALARMS_MAX:,} alarms")


async def _why_it_waits(world: World, open_runs: Sequence[str]) -> str:
    explanations = [f"{id_}: {(await world.runtime.explain(id_)).text}" for id_ in open_runs]
    return "It does not come to an end, and no time will help. " + " ".join(explanations)
