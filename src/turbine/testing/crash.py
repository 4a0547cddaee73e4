"""Death at every write: does a workflow end the same whenever its process dies?

One life is undisturbed, and its writes are counted. Then, for each of them, a new life dies just before that write is
committed, and another one just after; it is started again as a new process would, and must leave the same rows.
"""

from __future__ import annotations

import asyncio
import inspect
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote

from turbine.errors import StoreUnavailable
from turbine.ids import new_id
from turbine.registry import StepBase, WorkflowBase
from turbine.store.writer import Job, SimulatedCrash
from turbine.testing.rows import Rows, difference, prospect, snapshot
from turbine.testing.world import World
from turbine.threads import in_thread

if TYPE_CHECKING:
    from turbine.engine.execution import Execution
    from turbine.registry import StepDefinition
    from turbine.runtime import Runtime
    from turbine.runtime.live import Live

RUN_ID = "crash-everywhere"
START = datetime(2026, 1, 1, tzinfo=UTC)
ALARMS_MAX = 20_000
STUCK_AFTER = 30.0
"""Seconds of real time without a sign of life after which a run counts as stuck."""
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
"""Rooms whose writes are about processes, not about runs: a death there is nothing that a run could notice."""
PROGRESS = ("begin", "begin_upload", "retry_set_aside", "acknowledge_cancellation", "declare")
"""Writes that are made for people who look, or that are made again whenever somebody looks."""

Side = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class CrashReport:
    """What `crash_everywhere` did."""

    crash_points: int
    """How many lives died: twice as many as the undisturbed life had writes, if none came out differently."""
    differences: tuple[str, ...] = ()
    """What the deaths changed; empty, or there would have been an AssertionError."""


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
    """Run a workflow once for each of its writes, dying before and after that write, and demand the same final rows.

    Time is virtual, so it may sleep for days. Whoever started it starts it again after each death, with the same id; a
    step's body may run at most once more. Raises AssertionError with the first difference, or when the run waits for
    what nobody sends: its messages and approvals must come from runs of its own, or run out.

    `kwargs` are the workflow's arguments by keyword, since keywords of its own go to this function.

    Steps must give the same outcome in each life (for `turbine.uuid4`, `random` and `now` allowance is made). Workflows
    that its code mentions are found by themselves, others are named in `workflows`. `prepare` declares queues and the
    like on each runtime before its launch; all fields of `Config` are keywords too.

    `database`: by default temporary SQLite files; for a `sqlite:///` URL files beside that one, for a Postgres URL a
    schema of its own in that database. All of them are removed at the end, and what is in the database is not touched.
    """
    program = _Program(
        workflow.options(id=RUN_ID),
        args,
        dict(kwargs or {}),
        _with_children(workflow, workflows),
        prepare,
        {"gc_retention": None, "application_version": RUN_ID, **config_fields},
    )
    points = 0
    async with places(database) as found:
        control = await _live(program, await found.fresh(), _Plan(None))
        if (told := _overrun(control, control)) is not None:
            raise AssertionError(f"In the undisturbed life: {told}")
        for number in range(1, control.plan.count + 1):
            for side in _SIDES:
                incarnation = await _live(program, await found.fresh(), _Plan(number, side))
                points += incarnation.plan.is_dead
                told = difference(control.rows, incarnation.rows) or _overrun(control, incarnation)
                if told is not None:
                    raise AssertionError(f"After a death {incarnation.plan}: {told}")
    return CrashReport(points)


_SIDES: tuple[Side, Side] = ("before", "after")


@dataclass(frozen=True, slots=True)
class _Program:
    """What is run in each life."""

    workflow: WorkflowBase[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    workflows: list[WorkflowBase[..., Any]]
    prepare: Callable[[Runtime], None] | None
    config_fields: dict[str, Any]


class _Plan:
    """The fate of a life: it counts the writes of runs, and dies at one of them."""

    def __init__(self, number: int | None, side: Side = "before") -> None:
        self.number = number
        self.side = side
        self.count = 0
        self.is_armed = False
        self.is_dead = False
        self.what = "a write"

    def before(self, jobs: Sequence[Job]) -> None:
        if not self.is_armed or not any(_is_of_runs(job) for job in jobs):
            return
        self.count += 1
        if self.count == self.number:
            self.what = ", ".join(_told(job) for job in jobs)
            if self.side == "before":
                self._die()

    def after(self, jobs: Sequence[Job]) -> None:
        if self.is_armed and self.count == self.number and any(_is_of_runs(job) for job in jobs):
            self._die()

    def _die(self) -> None:
        self.is_dead = True
        raise SimulatedCrash

    def __str__(self) -> str:
        return f"{self.side} write {self.number} ({self.what})"


def _is_of_runs(job: Job) -> bool:
    module, name = job.function.__module__, job.function.__name__
    return not module.startswith(HOUSEKEEPING) and name not in PROGRESS


def _told(job: Job) -> str:
    room = job.function.__module__.rpartition(".")[2]
    names = [str(value) for value in _texts(job.argument) if value][:2]
    return f"{room}.{job.function.__name__.strip('_')}({', '.join(names)})"


def _texts(argument: Any) -> list[Any]:
    """What tells which write it is: position and name of a step, or the name of a run."""
    for one in (argument, *(cast("tuple[Any, ...]", argument) if isinstance(argument, tuple) else ())):
        fields = [getattr(one, field, None) for field in ("position", "name", "status")]
        if any(fields):
            return fields
    return []


@dataclass(frozen=True, slots=True)
class _Incarnation:
    """What a life left behind."""

    plan: _Plan
    rows: Rows
    bodies: Counter[tuple[str, str, str, int]]
    """How often each attempt of each step ran: run, position, name, number of the attempt."""


def _overrun(control: _Incarnation, incarnation: _Incarnation) -> str | None:
    for (run, position, name, attempt), count in incarnation.bodies.items():
        allowed = 1 + incarnation.plan.is_dead
        if count > allowed:
            return f"attempt {attempt} of step {name!r} at {position} of {run} ran {count} times, {allowed} are allowed"
    return None


async def _live(program: _Program, database: str, plan: _Plan) -> _Incarnation:
    """One run from its start to its end, with the death that is planned for it."""
    bodies: Counter[tuple[str, str, str, int]] = Counter()
    world = World(database, workflows=program.workflows, start=START, **program.config_fields)
    if program.prepare is not None:
        program.prepare(world.runtime)

    def count(execution: Execution, position: str, step: StepDefinition, attempt: int) -> None:
        if step.checkpoint:
            bodies[execution.id, position, step.name, attempt] += 1

    def put_in(live: Live) -> None:
        live.app.begun = count
        live.store.writer.batch_max = 1  # each write is a commit of its own: every place is a place to die
        if not plan.is_dead:
            live.store.writer.crash_point = plan

    world.instrument(put_in)
    async with world:
        plan.is_armed = True
        await _start(world, program)
        await _to_the_end(world, program, plan)
        rows = await world.store.read(snapshot)
    return _Incarnation(plan, rows, bodies)


async def _start(world: World, program: _Program) -> None:
    try:
        await world.runtime.run(program.workflow, *program.args, **program.kwargs)
    except StoreUnavailable:  # it died over this: whoever wanted the run starts it again
        await _start_again(world, program)


async def _start_again(world: World, program: _Program) -> None:
    """The next process: it recovers what it finds, and the caller repeats his start with the same id."""
    await world.crash()
    await world.restart()
    await world.runtime.run(program.workflow, *program.args, **program.kwargs)


async def _to_the_end(world: World, program: _Program, plan: _Plan) -> None:
    """Let time pass until nothing is left to be done; a process that died is replaced."""
    first = world.store
    quiet_since = time.monotonic()
    for _ in range(ALARMS_MAX):
        await world.settle()
        if plan.is_dead and world.store is first:
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
                return  # what is left of the deliveries has no way out of this process
        elif world.is_waiting:
            raise AssertionError(await _why_it_waits(world, ahead.open))
        if time.monotonic() - quiet_since > STUCK_AFTER:
            raise AssertionError(await _why_it_waits(world, ahead.open))
        await asyncio.sleep(0.01)
    raise AssertionError(f"It did not end after {ALARMS_MAX:,} alarms")


async def _why_it_waits(world: World, open_runs: Sequence[str]) -> str:
    told = [f"{id_}: {(await world.runtime.explain(id_)).text}" for id_ in open_runs]
    return "It does not come to an end, and no time will help. " + " ".join(told)


class _Places:
    """Databases to live in, one after the other, which leave no trace."""

    def __init__(self, folder: Path | None, url: str, admin: str, schema: str) -> None:
        self._folder = folder
        self._url = url
        self._admin = admin
        self._schema = schema
        self._count = 0

    async def fresh(self) -> str:
        """The URL of an empty database."""
        self._count += 1
        if self._folder is not None:
            await in_thread(shutil.rmtree, self._folder / str(self._count - 1), ignore_errors=True)
            return f"sqlite:///{self._folder / str(self._count) / 'turbine.db'}"
        await in_thread(self._empty_schema)
        return self._url

    def _empty_schema(self) -> None:
        """Keep the tables, which take long to make, and drop the rows."""
        from psycopg import sql

        from turbine.store.postgres import Source

        with Source(self._admin).connect() as connection:
            schema = sql.Identifier(self._schema)
            connection.execute(sql.SQL("create schema if not exists {}").format(schema))
            names = connection.execute(
                "select tablename from pg_tables where schemaname = %s and tablename <> 'pt_migrations'",
                (self._schema,),
            ).fetchall()
            # For so few rows `delete` is many times quicker than `truncate`, which makes new files.
            deletes = [sql.SQL("delete from {}").format(sql.Identifier(self._schema, name)) for (name,) in names]
            if deletes:
                connection.execute(sql.SQL("; ").join(deletes))

    async def remove(self) -> None:
        if self._folder is not None:
            await in_thread(shutil.rmtree, self._folder, ignore_errors=True)
        else:
            await in_thread(self._drop_schema)

    def _drop_schema(self) -> None:
        from psycopg import sql

        from turbine.store.postgres import Source

        with Source(self._admin).connect() as connection:
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(self._schema)))


@asynccontextmanager
async def places(database: str | None) -> AsyncGenerator[_Places]:
    """Empty databases of the kind of `database`, beside it."""
    schema = f"turbine_crash_{new_id().replace('-', '')}"
    if database is None or database.startswith("sqlite:"):
        beside = None if database is None else Path(database.removeprefix("sqlite:///")).parent
        if beside is not None:
            beside.mkdir(parents=True, exist_ok=True)
        found = _Places(Path(tempfile.mkdtemp(prefix="turbine-crash-", dir=beside)), "", "", "")
    else:
        search_path = quote(f"-csearch_path={schema}")
        joint = "&" if "?" in database else "?"
        found = _Places(None, f"{database}{joint}options={search_path}", database, schema)
    try:
        yield found
    finally:
        await found.remove()


def _with_children(
    workflow: WorkflowBase[..., Any], others: Iterable[WorkflowBase[..., Any]]
) -> list[WorkflowBase[..., Any]]:
    """A workflow, those given, and all that their code mentions by name."""
    found: dict[str, WorkflowBase[..., Any]] = {}
    waiting = [workflow, *others]
    while waiting:
        one = waiting.pop(0)
        if one.definition.fn is not None and one.name not in found:
            found[one.name] = type(one)(one.definition)
            waiting.extend(_mentioned(one.definition.fn, set()))
    return list(found.values())


def _mentioned(fn: Any, seen: set[Any]) -> list[WorkflowBase[..., Any]]:
    """The workflows that a function uses by name, and those of the functions and steps beside it that it uses."""
    fn = inspect.unwrap(getattr(fn, "__func__", fn))
    if not inspect.isfunction(fn) or fn in seen:
        return []
    seen.add(fn)
    names = _names(fn.__code__)
    around = {**fn.__globals__, **inspect.getclosurevars(fn).nonlocals}
    values = [around[name] for name in names if name in around]
    values += [getattr(value, name, None) for value in values if inspect.ismodule(value) for name in names]
    found: list[WorkflowBase[..., Any]] = []
    for value in values:
        if isinstance(value, WorkflowBase):
            found.append(cast("WorkflowBase[..., Any]", value))
        elif isinstance(value, StepBase):
            found.extend(_mentioned(cast("StepBase[..., Any]", value).fn, seen))
        elif inspect.isfunction(value) and value.__module__ == fn.__module__:
            found.extend(_mentioned(value, seen))
    return found


def _names(code: CodeType) -> set[str]:
    """All names that some code uses, in what it nests (comprehensions, lambdas, inner functions) too."""
    names = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names
