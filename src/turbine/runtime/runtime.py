"""The runtime: composes the rooms around one database, and owns launch and shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, cast

from turbine.clock import Clock, SystemClock, span_ms
from turbine.codec import payload_type
from turbine.config import Config, Database, database_url
from turbine.delivery.products import ProductSender
from turbine.engine.app import App
from turbine.engine.handles import Handle, RunReader, Stored
from turbine.errors import (
    AlreadyLaunched,
    ForkedProcess,
    QueueNotFound,
    RegistrationConflict,
    ShuttingDown,
    TurbineError,
)
from turbine.forking import tell_after_fork
from turbine.ids import check_id, check_name, new_id
from turbine.loops.lease import Lease
from turbine.model.approvals import ApprovalRecord
from turbine.model.exports import History
from turbine.model.queues import Queue, RateLimit
from turbine.model.run_filter import RunFilter
from turbine.model.steps import StepInfo
from turbine.model.workflows import Event, Explanation, Page, RegisteredWorkflow, Status
from turbine.operations import backup as backups
from turbine.operations import forks, garbage, messages, notifications, runs, triggers, vacuum
from turbine.operations import queues as queueing
from turbine.operations.accounts import Accounts
from turbine.operations.alert_channels import AlertChannels
from turbine.operations.approvals import Approvals
from turbine.operations.deliveries import Deliveries
from turbine.operations.failures import Failures
from turbine.operations.kv import Kv
from turbine.operations.products import Products
from turbine.operations.retention import Retention
from turbine.operations.schedules import Schedules
from turbine.operations.tokens import Tokens
from turbine.operations.webhooks import Webhooks
from turbine.probe import Probe
from turbine.queries import explain, exports, registered, results, run_details
from turbine.queries import runs as run_queries
from turbine.queries.audit import Audit
from turbine.queries.logs import Logs
from turbine.registry import UNSET, Registry, WorkflowBase, WorkflowDefinition
from turbine.registry import workflow as declare_workflow
from turbine.runtime.live import UNWIND, Live
from turbine.runtime.signals import SIGNALS
from turbine.store import Store, open_store
from turbine.threads import in_thread, made_in_thread

log = logging.getLogger("turbine")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Attached(Protocol):
    """Something at the edge that belongs to a launch."""

    def open(self) -> None: ...

    def close(self) -> None:
        """Called from any thread, and more than once."""
        ...


class Runtime:
    """Durable workflows in this process, on one database.

    Use it as `async with Runtime("sqlite:///shop.db", workflows=[place_order]) as rt`, or call `launch` and `shutdown`.
    Everything it promises is in the database: another process with the same code goes on where this one ends.
    """

    def __init__(
        self,
        database: Database | None = None,
        *,
        workflows: Iterable[WorkflowBase[..., Any]] = (),
        config: Config | None = None,
        clock: Clock | None = None,
        **config_fields: Any,
    ) -> None:
        """Prepare a runtime; nothing is opened before `launch`.

        `database` is a URL, by default `TURBINE_DATABASE_URL`, else `sqlite:///turbine_data/turbine.db`; or a callable
        that gives one, which is asked at each connection to Postgres. Every field of `Config` is also a keyword here.
        Raises TypeError and ValueError for settings that can never be right, RegistrationConflict for two workflows of
        one name.
        """
        self.database = database if callable(database) else database_url(database)
        self.config = Config.load(config, **config_fields)
        self.app: Any = None
        """The host ASGI application, if there is one."""
        self._clock = clock or SystemClock()
        self._registry = Registry()
        self._probe = Probe()
        self._queues: dict[str, Queue] = {}
        self._listened: set[str] | None = None
        self._live: Live | None = None
        self._draining = False
        self._executor_id = self.config.executor_id
        self._was_launched = False
        self._was_forked = False
        self._launching: asyncio.Future[None] | None = None
        self._is_hosted = False
        """Whether a server launches this and shuts it down."""
        self._attached: list[Attached] = []
        """What is open as long as this is launched, and closed as soon as it or its process is told to end."""
        self._left_behind: Lease | None = None
        """The lock of a launch that has ended while blocking code of it goes on in a thread."""
        self._instrument: Callable[[Live], None] | None = None
        """Called with the launched half before anything of it moves; the testing kit puts its instruments in there."""
        self.accounts = Accounts(self._app)
        """People who sign in to the dashboard."""
        self.tokens = Tokens(self._app)
        """Keys with which programs use the HTTP API."""
        self.audit = Audit(self._app)
        """Who changed what over HTTP."""
        self.failures = Failures(self._app)
        """Runs that failed in the same way, together."""
        self.kv = Kv(self._app)
        """The global key-value store."""
        self.logs = Logs(self._app)
        """What bodies and steps have logged."""
        self.schedules = Schedules(self._app)
        """When runs start by themselves."""
        self.approvals = Approvals(self._app)
        """The gates at which runs wait for a person."""
        self.webhooks = Webhooks(self._app)
        """Signed URLs that hear of runs."""
        self.alert_channels = AlertChannels(self._app)
        """Notification URLs for people."""
        self.deliveries = Deliveries(self._app)
        """Everything outgoing, with its attempts."""
        self.products = Products(self._app)
        """The files that steps made."""
        self.retention = Retention(self._app)
        """How long runs are kept, by workflow and status."""
        self._product_sender: ProductSender | None = None
        self.set_product_sender(self.config.product_sender)
        for workflow in workflows:
            self.register(workflow)
        tell_after_fork(self._forked)

    # Declaring

    def register(self, workflow: WorkflowBase[P, R], **overrides: Any) -> WorkflowBase[P, R]:
        """Make a workflow known to this runtime, so that it can be started, recovered and listed here.

        `overrides` replace what the decorator said (`name`, `max_recoveries`, `tags`, …), for this runtime only; here
        `workflow` itself then stands for what was registered, and so does the returned one. Raises AlreadyLaunched
        after launch, RegistrationConflict when its name is taken.
        """
        if self._live is not None:
            raise AlreadyLaunched(
                f"Workflow {workflow.name!r} cannot be registered after launch, because runs of it might be waiting;"
                " register it before, or pass it to Runtime(workflows=[...]). Newer code of a workflow that is"
                " registered: rt.replace(...)"
            )
        registered = _overridden(workflow, overrides)
        self._registry.add(registered.definition, workflow.definition)
        return registered

    def replace(self, workflow: WorkflowBase[P, R], **overrides: Any) -> Awaitable[WorkflowBase[P, R]]:
        """Put newer code in the place of the registered workflow of this name, while the runtime is up.

        For notebooks, in which the cell of a workflow was run again, and reloaded modules: a runtime refuses a workflow
        object that is not the registered one. When this returns, starts and new passes use the new one; executions that
        are under way go on with the old one until they are parked. Awaited, it is known to other processes too, its
        schedule counts, and runs of this name that were set aside are tried again. `application_version` stays what it
        was at the launch. `overrides` are those of `register`.

        Raises NotRegistered when there is no workflow of this name, TypeError for what is none.
        """
        registered = _overridden(workflow, overrides)
        self._registry.replace(registered.definition, workflow.definition)
        live = self._live
        if live is None:
            return _Replaced(registered, None)
        return _Replaced(
            registered, asyncio.run_coroutine_threadsafe(live.publish_code(registered.name), live.app.loop)
        )

    def workflow(self, fn: Any = None, /, name: str | None = None, **options: Any) -> Any:
        """`turbine.workflow` and `register` in one: `@rt.workflow` or `@rt.workflow(name=…, tags=…)`. Before launch."""
        if callable(fn):
            return self.register(declare_workflow(fn, name, **options))

        def decorate(function: Callable[..., Any]) -> WorkflowBase[..., Any]:
            return self.register(declare_workflow(function, fn or name, **options))

        return decorate

    def registered_workflows(self) -> list[RegisteredWorkflow]:
        """The workflows that this runtime knows."""
        return [registered.describe(definition) for definition in self._registry]

    async def workflows_everywhere(self) -> list[RegisteredWorkflow]:
        """The workflows that any live process knows, by name, as each was when its process was launched."""
        return await self._in_loop(lambda: registered.list_registered(self._app()))

    def is_triggerable(self, name: str) -> bool:
        """Whether a workflow of this name (or fqn) is known here and may be started from outside."""
        named = self._registry.get(name)
        candidates = self._registry.by_fqn(name) if named is None else [named]
        return len(candidates) == 1 and candidates[0].triggerable

    def queue(
        self,
        name: str,
        *,
        worker_concurrency: int | None = None,
        global_concurrency: int | None = None,
        rate_limit: RateLimit | None = None,
        priority: bool = False,
        partitioned: bool = False,
        batch_max: int = 100,
        release_while_waiting: bool = False,
    ) -> Queue:
        """Declare a queue; runs are put into it with `options(queue=name)`. Before launch.

        Concurrency counts runs that were claimed and are not over, here (`worker_`) and everywhere (`global_`); the
        rate limit counts starts in a sliding window. With `priority` smaller numbers come first, then age. In a
        partitioned queue one run of each key goes at a time, unless limits (which then count per key) say otherwise.
        Limits hold across processes at every instant. Raises AlreadyLaunched, RegistrationConflict, ValueError.
        """
        if self._live is not None:
            raise AlreadyLaunched(f"Queue {name!r} cannot be declared after launch; declare it before")
        if name in self._queues:
            raise RegistrationConflict(f"Queue {name!r} is declared twice; use the first one", queue_name=name)
        queue = Queue(
            name=check_name(name, "queue name"),
            worker_concurrency=worker_concurrency,
            global_concurrency=global_concurrency,
            rate_limit=rate_limit,
            priority=priority,
            partitioned=partitioned,
            batch_max=batch_max,
            release_while_waiting=release_while_waiting,
        )
        self._queues[name] = queue
        return queue

    def queues(self) -> list[Queue]:
        """The queues declared here, as declared."""
        return list(self._queues.values())

    def listen(self, *queues: Queue | str) -> None:
        """Process only these queues here; without arguments none. Before launch; by default all declared ones.

        Raises AlreadyLaunched, QueueNotFound for one that is not declared here.
        """
        if self._live is not None:
            raise AlreadyLaunched("Which queues are listened to cannot change after launch")
        names = {queue.name if isinstance(queue, Queue) else queue for queue in queues}
        for name in sorted(names):
            if name not in self._queues:
                raise QueueNotFound(name)
        self._listened = names

    # Life

    async def launch(self) -> None:
        """Open the database, take up what is due, and start the loops. Runs of dead executors go on within a second.

        When it fails, or is cancelled, nothing of it is left: no thread, lock or connection, and the same runtime, or
        another one with its executor id, may be launched. Raises AlreadyLaunched, StoreInvalid for a database that can
        never work, StoreUnavailable for one that is away, StoreTooNew for one that a newer Turbine has migrated.
        """
        if self._live is not None or self._launching is not None:
            raise AlreadyLaunched("This runtime is launched already; shut it down before launching it again")
        self._launching = asyncio.get_running_loop().create_future()
        try:
            await self._launch()
        finally:
            launching, self._launching = self._launching, None
            launching.set_result(None)

    async def _launch(self) -> None:
        if self._was_launched and self.config.executor_id is None:
            self._executor_id = None
        if self._left_behind is not None:  # what goes on in its threads is as good as dead, now that we begin anew
            self._left_behind.drop_lock()
            self._left_behind = None
        if self.config.switch_interval is not None:
            sys.setswitchinterval(self.config.switch_interval)
        config = self.config
        store = await made_in_thread(
            lambda: open_store(self.database, pooler=config.pooler, listen_url=config.listen_url),
            _close_at_once,
            patience=UNWIND,
        )
        try:
            live = Live(self, store)
            if self._instrument is not None:
                self._instrument(live)
        except BaseException:
            await in_thread(_close_at_once, store)
            raise
        self._draining = self._was_forked = False
        self._was_launched = True
        await live.start()
        self._live = live
        _launched.add(self)
        for one in self._attached:
            one.open()
        if self.config.handle_signals:
            SIGNALS.listen()
            SIGNALS.watch(live)

    async def shutdown(self) -> None:
        """Stop in good order: nothing new starts, steps that run may finish, waiting runs are parked at once.

        What still runs after `shutdown_timeout` is interrupted; it stays PENDING, its attempt is not counted, and it
        goes on at the next launch here or anywhere. Calls that are still in progress then raise ShuttingDown. It
        returns within `shutdown_timeout` and a few seconds for closing, also when the database is away. Idempotent, and
        may be called from any event loop.
        """
        if self._launching is not None and self._launching.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({self._launching})
        if self._live is not None:
            await self._end(self._live, self.config.shutdown_timeout.total_seconds())

    async def _end(self, live: Live, seconds: float) -> None:
        """Shut this launch down, from whichever loop; who comes second waits for the same end."""
        loop = live.app.loop
        if loop is asyncio.get_running_loop():
            self._draining = True
            if live.stopping is None:
                live.stopping = asyncio.ensure_future(self._stop(live, seconds))
            await asyncio.shield(live.stopping)
        elif loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(live, seconds), loop))
        elif self._live is live:  # its loop was ended before it: what its tasks held cannot be given back any more
            self._live, self._draining = None, True
            await in_thread(live.leave)
            SIGNALS.unwatch(live)

    async def _stop(self, live: Live, seconds: float) -> None:
        try:
            await live.stop(seconds)
        finally:
            if live.is_stuck:
                self._left_behind = live.lease
            if self._live is live:
                self._live = None
            SIGNALS.unwatch(live)

    async def run_until_signal(self) -> None:
        """Run until SIGTERM or SIGINT, then drain as `shutdown` does, and return: `asyncio.run(rt.run_until_signal())`.

        Launches the runtime unless it is launched already, as in `async with rt: await rt.run_until_signal()`. Also
        returns when the runtime is shut down by other means. Handlers of others are called, and all are back when it
        returns. Raises what `launch` raises, and RuntimeError elsewhere than in the main thread.
        """
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        with SIGNALS.caught(lambda: loop.call_soon_threadsafe(told.set)):
            if self._live is None:
                await self.launch()
            assert self._live is not None
            ends = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(self._live.wait_over())]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in ends:
                    one.cancel()
                await self.shutdown()

    def _forked(self) -> None:
        """In a forked child: what was launched stayed in the parent; only the declarations are here."""
        self._was_forked = self._was_forked or self._live is not None or self._launching is not None
        self._live = self._launching = self._left_behind = None
        self._draining = False
        if self.config.executor_id is None:
            self._executor_id = None

    async def _die(self) -> None:
        """Be gone as after kill -9: nothing of this life writes or says anything any more. May be launched again."""
        live, self._live = self._live, None
        if live is not None:
            SIGNALS.unwatch(live)
            await live.die()

    async def __aenter__(self) -> Self:
        await self.launch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    # Facts

    @property
    def executor_id(self) -> str:
        """The id of this process start, unless configured."""
        if self._executor_id is None:
            self._executor_id = _fresh_executor_id()
        return self._executor_id

    @property
    def application_id(self) -> str:
        return self.config.application_id

    @property
    def application_version(self) -> str:
        """The configured label, or a hash over the source of the registered workflows."""
        if self._live is not None:
            return self._live.app.application_version
        return self.config.application_version or self._registry.version()

    @property
    def is_launched(self) -> bool:
        return self._live is not None and not self._draining

    @property
    def is_draining(self) -> bool:
        """Whether a shutdown has begun (and no launch since)."""
        return self._draining

    def _app(self) -> App:
        if self._live is None:
            if self._was_forked:
                raise ForkedProcess
            if self._draining:
                raise ShuttingDown("This runtime was shut down; launch it again before using it")
            raise TurbineError(
                "This runtime is not launched; use `async with Runtime(...)` or `await rt.launch()` first"
            )
        return self._live.app

    async def _in_loop(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run an act in the loop that launched the runtime, whichever loop asks."""
        return await self._app().in_loop(act)

    # Runs

    async def run(self, workflow: WorkflowBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Start a workflow; durable when it returns. Options come through `workflow.options(...)`.

        A given id is an idempotency key: a second start joins the first run and returns its handle. Raises TypeError
        for arguments that do not fit, SerializationError naming the parameter, NotRegistered (also for another object
        than the one that is registered under the name, see `replace`), ShuttingDown, WorkflowConflict, Deduplicated,
        QueueNotFound, ValueError; then nothing was written.
        """
        if not isinstance(workflow, WorkflowBase):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{workflow!r} is no workflow; decorate the function with @turbine.workflow")
        definition = workflow.definition
        app = self._app()
        if definition.fn is not None:
            definition = self._registry.require(definition)
        result = definition.result  # an annotation that cannot be read is told before anything is started
        _, row = await self._in_loop(lambda: runs.start_run(app, definition, workflow.start_options, args, kwargs))
        return self.handle(row.id, result, definition)

    async def trigger(
        self,
        workflow: str | WorkflowBase[..., Any],
        input: Any = None,
        *,
        id: str | None = None,
        queue: str | None = None,
        delay: timedelta | float | None = None,
        priority: int = 0,
        tags: Sequence[str] | None = None,
    ) -> str:
        """Start a triggerable workflow by name or fqn, with input from outside; returns the id of its run.

        `input` is an object by parameter name, or with exactly one parameter its bare value; it is checked as JSON in
        strict mode, and no row is written unless it fits. A workflow that only other processes know is started there.
        `tags` come on top of those of the workflow. Raises NotRegistered (also for an fqn that several workflows have),
        NotTriggerable, ValidationFailed with paths in `.errors`, ShuttingDown, and what `run` raises.
        """
        return await self._in_loop(
            lambda: triggers.trigger_workflow(
                self._app(), None, workflow, input, id=id, queue=queue, delay=delay, priority=priority, tags=tags
            )
        )

    def handle(self, workflow_id: str, result: Any, definition: WorkflowDefinition | None = None) -> Handle[Any]:
        """A handle whose result has this payload type; `definition`: the workflow of which it is the type."""
        return Handle(workflow_id, result, self._run_reader(), definition)

    def _run_reader(self) -> RunReader:
        return RunReader(
            stored=self._await_outcome, status=self.status, steps=self.steps, payloads=self._app().payloads
        )

    async def _await_outcome(self, workflow_id: str, timeout: float | None, poll: float | None) -> Stored:
        live = self._live
        if live is None:
            self._app()
            raise AssertionError("unreachable")
        return await self._in_loop(
            lambda: results.await_outcome(live.app, live.runner.by_id, workflow_id, timeout, poll)
        )

    def retrieve(self, workflow_id: str, result_type: Any = None) -> Handle[Any]:
        """A handle of any run, also of another process' or another life's. The id is not checked until it is used.

        `result_type` is the annotation by which the result is decoded; by default that of nothing: plain JSON.
        """
        return self.handle(check_id(workflow_id), payload_type(Any if result_type is None else result_type))

    async def status(self, workflow_id: str) -> Status:
        """A run as it is now. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: run_queries.get_run(self._app(), check_id(workflow_id)))

    async def steps(self, id: str) -> list[StepInfo]:
        """The recorded steps of a run, in the order of their first recording. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: run_details.list_steps(self._app(), check_id(id)))

    async def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        name: str | Sequence[str] | None = None,
        executor_id: str | Sequence[str] | None = None,
        version: str | Sequence[str] | None = None,
        ids: str | Sequence[str] | None = None,
        tag: str | Sequence[str] | None = None,
        queue: str | Sequence[str] | None = None,
        parent_id: str | Sequence[str] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        search: str | None = None,
        fingerprint: str | Sequence[str] | None = None,
        error_class: str | Sequence[str] | None = None,
        duration_min: float | None = None,
        duration_max: float | None = None,
        limit: int = 100,
        cursor: str | None = None,
        ascending: bool = False,
        load_input: bool = False,
    ) -> Page[Status]:
        """One page of runs, newest first; filters take one value or several and must all hold.

        `search` looks in id, name, summary, tags, input and error; `fingerprint` and `error_class` (a `type`) are those
        of `rt.failures`; durations are seconds that runs which are over took. Paging is by key: pass the page's
        `next_cursor`.
        Raises ValueError for a limit, status or cursor that can never be right.
        """
        run_filter = RunFilter(
            status=status,
            name=name,
            executor_id=executor_id,
            version=version,
            ids=ids,
            tag=tag,
            queue=queue,
            parent_id=parent_id,
            created_after=created_after,
            created_before=created_before,
            search=search,
            fingerprint=fingerprint,
            error_class=error_class,
            duration_min=duration_min,
            duration_max=duration_max,
        )
        return await self._in_loop(
            lambda: run_queries.list_runs(
                self._app(), run_filter, limit=limit, cursor=cursor, ascending=ascending, load_input=load_input
            )
        )

    async def cancel(self, id: str, reason: str | None = None) -> bool:
        """Cancel a run and its children; durable when it returns, and then interrupted wherever they run.

        False when the run was over already. Raises WorkflowNotFound.
        """
        return (await self._in_loop(lambda: runs.cancel_run(self._app(), None, id, reason))).changed

    async def resume(self, id: str) -> Handle[Any]:
        """Take up a run that was cancelled, failed, dead-lettered or set aside; of others nothing changes.

        Recorded steps stay; of a failed run the failure that ended it is forgotten, so the failed step runs again.
        Children that were cancelled with it are taken up with it. Attempts count from 0 and the deadline is cleared.
        Raises WorkflowNotFound, Deduplicated.
        """
        await self._in_loop(lambda: runs.resume_run(self._app(), None, id))
        return self.retrieve(id)

    async def release(self, id: str) -> bool:
        """End the sleep of a run, the pause before a retry, or the delay of its start, now; whether there was any.

        It does not matter who carries the run out. Raises WorkflowNotFound.
        """
        return (await self._in_loop(lambda: runs.release_run(self._app(), None, id))).changed

    async def fork(
        self,
        id: str,
        from_step: int | str = 0,
        *,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        new_id: str | None = None,
        edits: Mapping[Any, Any] | None = None,
        queue: str | None = None,
    ) -> Handle[Any]:
        """A new run that begins with the recorded steps before `from_step`, and runs the others.

        `from_step` and the keys of `edits` are positions; `edits` replace recorded outputs; `args` and `kwargs` the
        input. It starts at once unless a queue is given. Raises WorkflowNotFound, ValueError, QueueNotFound.
        """
        fork = await self._in_loop(
            lambda: forks.fork_run(
                self._app(),
                None,
                id,
                from_step,
                args=None if args is None else tuple(args),
                kwargs=None if kwargs is None else dict(kwargs),
                new_id=new_id,
                edits=edits,
                queue=queue,
            )
        )
        return self.retrieve(fork.workflow_id)

    async def delete(self, *ids: str) -> int:
        """Remove runs that are over, with all that belongs to them; returns how many. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: runs.delete_runs(self._app(), ids))

    async def explain(self, id: str) -> Explanation:
        """Why a run is not moving, and what would release it. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: explain.explain(self._app(), check_id(id)))

    async def export(self, id: str) -> History:
        """A run with all that was recorded of it, as plain data; payloads are opened. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: exports.export_run(self._app(), check_id(id)))

    async def garbage_collect(self, older_than: timedelta | float | None = None) -> int:
        """Remove runs that ended longer ago than this (default: `gc_retention`); returns how many.

        Never touches what is open, or what is still to be delivered. Runs of which a rule of `rt.retention` speaks go
        by that rule, whatever is given here; of the others none with a retention of None, and none given. Log records
        go after 5 days in any case. ValueError for a negative time.
        """
        age = self.config.gc_retention if older_than is None else older_than
        age_ms = None if age is None else span_ms(age)
        if age_ms is not None and age_ms < 0:
            raise ValueError(f"older_than must not be negative: {older_than!r}")
        return await self._in_loop(lambda: garbage.collect(self._app(), age_ms))

    async def vacuum(self) -> int:
        """Give back what is free in the database: how many bytes smaller it is now.

        Garbage collection leaves free pages, which what comes next fills again; so this is for a database that will
        stay smaller. It works in small pieces, and everything goes on meanwhile. On Postgres it is a plain
        `VACUUM (ANALYZE)` of the tables of Turbine, which makes room inside them. Raises StoreUnavailable, Conflict
        for a SQLite file that was not made by Turbine.
        """
        return await self._in_loop(lambda: vacuum.vacuum_all(self._app()))

    async def backup(self, path: str | os.PathLike[str]) -> Path:
        """Copy the SQLite database to a new file while everything goes on; returns its path.

        The copy is one moment's state, checked and on the disk when this returns; any runtime can open it. The
        bytes of products lie beside the database and are not in it. Raises FileExistsError rather than overwrite a
        file, TurbineError on Postgres (use pg_dump), StoreInvalid when the database is damaged.
        """
        return await self._in_loop(lambda: backups.backup(self._app(), path))

    # Queues

    async def pause_queue(self, name: str) -> None:
        """Claim nothing from a queue any more, in any process; what runs goes on. Raises QueueNotFound."""
        await self._in_loop(lambda: queueing.change(self._app(), name, paused=True))

    async def resume_queue(self, name: str) -> None:
        """Claim from a paused queue again. Raises QueueNotFound."""
        await self._in_loop(lambda: queueing.change(self._app(), name, paused=False))

    async def set_queue_limits(
        self,
        name: str,
        *,
        worker_concurrency: int | None = UNSET,
        global_concurrency: int | None = UNSET,
        rate_limit: RateLimit | None = UNSET,
        batch_max: int = UNSET,
        priority: bool = UNSET,
        release_while_waiting: bool = UNSET,
    ) -> Queue:
        """Change limits of a queue for all processes, from their next claim on; what is not named stays.

        They last until the declaration in the code changes. Raises QueueNotFound, ValueError.
        """
        given = {
            "worker_concurrency": worker_concurrency,
            "global_concurrency": global_concurrency,
            "rate_limit": rate_limit,
            "batch_max": batch_max,
            "priority": priority,
            "release_while_waiting": release_while_waiting,
        }
        changes = {field: value for field, value in given.items() if value is not UNSET}
        return await self._in_loop(lambda: queueing.change(self._app(), name, **changes))

    # Talking

    async def send(self, id: str, message: Any, topic: str = "") -> None:
        """Put a message into a run's mailbox; durable when it returns, once per call.

        A message to a run that is over stays in its mailbox. Raises WorkflowNotFound, SerializationError.
        """
        await self._in_loop(lambda: messages.send_message(self._app(), None, id, message, topic))

    async def get_value(
        self,
        id: str,
        key: str,
        *,
        type: Any = Any,
        timeout: timedelta | float | None = None,
        default: Any = UNSET,
    ) -> Any:
        """A value that a run has published, or will: waits for it up to `timeout` (timedelta or seconds).

        Raises ValueTimeout unless there is a `default`, WorkflowNotFound, ValidationFailed for another type.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        kind = payload_type(type)
        return await self._in_loop(
            lambda: results.await_value(self._app(), check_id(id), check_name(key, "key"), kind, seconds, default)
        )

    async def values(self, id: str) -> dict[str, Any]:
        """All values that a run has published. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: run_details.get_values(self._app(), check_id(id)))

    # Products

    def set_product_sender(self, sender: ProductSender | None) -> None:
        """Bring products that are made from now on to where they belong with this sender; None keeps them here.

        For a sender that needs the runtime (`WorkflowSender(rt, workflow)`), else `Runtime(product_sender=…)` says it.
        Before or after launch, in each process that makes products. Raises TypeError for what has no `send`.
        """
        if sender is not None and not callable(getattr(sender, "send", None)):
            raise TypeError(f"{sender!r} is no product sender; it needs a method send(product, data)")
        self._product_sender = sender
        if self._live is not None:
            self._live.set_product_sender(sender)

    @property
    def product_sender(self) -> ProductSender | None:
        """What brings products to where they belong, if anything does."""
        return self._product_sender

    # People

    async def approve(
        self,
        id: str,
        approved: bool = True,
        comment: str = "",
        by: str | None = None,
        data: Any = None,
        approval_id: str | None = None,
    ) -> ApprovalRecord:
        """Decide the gate at which a run waits; durable when it returns, and the run goes on.

        Without `approval_id` it is the run's only open gate. `data` is what the form asks for. Raises
        WorkflowNotFound, NotFound, Conflict when none is open, several are, or this one is decided already, and
        ValidationFailed for data that does not fit the form; the gate then stays open.
        """
        return await self.approvals.decide(id, approved, comment, by=by, data=data, approval_id=approval_id)

    async def send_notification(self, channel: str, message: str, *, wait: bool = True) -> None:
        """Send a text to the alert channel of this name, as it is; a disabled channel hears nothing of it.

        Quiet hours of the channel do not hold it back.
        It is durable before it is sent, and with `wait` this returns when the service has taken it. Raises NotFound for
        an unknown channel, ValueError for an empty text, and with `wait` DeliveryFailed after the last attempt.
        """
        await self._in_loop(lambda: notifications.send(self._app(), channel, message, wait=wait))

    # Watching

    def events(self) -> AsyncIterator[Event]:
        """What happens in this process from this call on, after its commit: `async for event in rt.events()`.

        A slow reader misses nothing up to 10,000 events, then the oldest ones. It ends when the runtime is shut down.
        """
        self._app()
        queue: asyncio.Queue[Event | None] = asyncio.Queue(10_000)
        loop = asyncio.get_running_loop()

        def put(event: Event | None) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

        def listen(event: Event | None = None) -> None:
            with contextlib.suppress(RuntimeError):  # the listener's loop is closed
                loop.call_soon_threadsafe(put, event)

        probe = self._probe
        probe.listeners.append(listen)
        probe.watchers.append(listen)
        told = self._told(queue)
        weakref.finalize(told, probe.listeners.remove, listen).atexit = False
        weakref.finalize(told, probe.watchers.remove, listen).atexit = False
        return told

    async def _told(self, queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
        while not self._was_forked:
            event = await queue.get()
            if event is None:
                return
            yield event
        raise ForkedProcess

    async def wait_idle(self) -> None:
        """Until nothing executes here and nothing is due now; what waits for time or others does not count."""
        self._app()
        live = self._live
        assert live is not None
        await self._in_loop(live.wait_idle)


_launched: weakref.WeakSet[Runtime] = weakref.WeakSet()


async def shut_all_down() -> None:
    """Shut down every runtime of this process that is launched, each in its own event loop, side by side."""
    await asyncio.gather(*(runtime.shutdown() for runtime in list(_launched)))


def _close_at_once(store: Store) -> None:
    store.close(seconds=UNWIND)


class _Replaced(Generic[P, R]):
    """A workflow that was replaced in this process; awaited, the database knows it too."""

    def __init__(self, workflow: WorkflowBase[P, R], publication: Future[None] | None) -> None:
        self._workflow = workflow
        self._publication = publication

    def __await__(self) -> Generator[Any, None, WorkflowBase[P, R]]:
        if self._publication is not None:
            yield from asyncio.wrap_future(self._publication).__await__()
        return self._workflow


def _overridden(workflow: WorkflowBase[P, R], overrides: dict[str, Any]) -> WorkflowBase[P, R]:
    """The workflow as it is registered."""
    if not isinstance(workflow, WorkflowBase):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{workflow!r} is no workflow; decorate the function with @turbine.workflow first")
    if not overrides:
        return workflow
    old = workflow.definition
    fields = ("name", "max_recoveries", "schedule", "triggerable", "input_schema")
    fields += ("tags", "summary", "queue", "timeout")
    said: dict[str, Any] = {field: getattr(old, field) for field in fields}
    again = cast("Any", declare_workflow)(workflow.fn, **{**said, **overrides})
    return type(workflow)(replace(again.definition, around=old.around), workflow.start_options)


def _fresh_executor_id() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{new_id()}"
