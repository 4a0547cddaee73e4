"""The runtime: its declarations, its resources, and the operations on runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from turbine.clock import Clock, span_ms
from turbine.codec import payload_type
from turbine.config import Config, Database
from turbine.delivery.products import ProductSender
from turbine.engine.handles import Handle
from turbine.engine.payloads import Payloads
from turbine.engine.results import RunReader, Stored
from turbine.errors import (
    AlreadyLaunched,
    QueueNotFound,
    RegistrationConflict,
)
from turbine.ids import check_id, check_name
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
from turbine.registry import UNSET, WorkflowBase, WorkflowDefinition
from turbine.registry import workflow as declare_workflow
from turbine.runtime.events import event_stream
from turbine.runtime.lifecycle import Lifecycle
from turbine.runtime.registration import Replacement, with_overrides

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Runtime(Lifecycle):
    """Durable workflows in this process, on one database.

    Use it as `async with Runtime("sqlite:///shop.db", workflows=[place_order]) as rt`, or call `launch` and `shutdown`.
    All progress is in the database: another process with the same code can continue where this one ends.
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
        """Create a runtime; nothing is opened before `launch`.

        `database` is a URL, by default `TURBINE_DATABASE_URL`, else `sqlite:///turbine_data/turbine.db`; or a function
        that returns one and is called for each connection to Postgres. Every field of `Config` is also a keyword here.
        Raises TypeError and ValueError for invalid settings, RegistrationConflict for two workflows with one name.
        """
        super().__init__(database, config, clock, config_fields)
        self._probe = Probe()
        self._queues: dict[str, Queue] = {}
        self._listened: set[str] | None = None
        payloads = Payloads(self.config.payload_max, self.config.codec)
        self._run_reader = RunReader(self._await_outcome, self.status, self.steps, payloads)
        self.accounts = Accounts(self._app)
        """People who sign in to the dashboard."""
        self.tokens = Tokens(self._app)
        """API tokens for programs."""
        self.audit = Audit(self._app)
        """The log of changes over HTTP."""
        self.failures = Failures(self._app)
        """Failed runs, grouped by cause."""
        self.kv = Kv(self._app)
        """The global key-value store."""
        self.logs = Logs(self._app)
        """The log records of bodies and steps."""
        self.schedules = Schedules(self._app)
        """Schedules, which start runs at given times."""
        self.approvals = Approvals(self._app)
        """Decisions of people for which runs wait."""
        self.webhooks = Webhooks(self._app)
        """URLs that receive signed events."""
        self.alert_channels = AlertChannels(self._app)
        """Notification URLs for people."""
        self.deliveries = Deliveries(self._app)
        """Outgoing messages and their attempts."""
        self.products = Products(self._app)
        """Files that steps have made."""
        self.retention = Retention(self._app)
        """Rules for how long runs are kept, by workflow and status."""
        self._product_sender: ProductSender | None = None
        self.set_product_sender(self.config.product_sender)
        for workflow in workflows:
            self.register(workflow)

    def register(self, workflow: WorkflowBase[P, R], **overrides: Any) -> WorkflowBase[P, R]:
        """Register a workflow, so that this runtime can start and recover its runs.

        `overrides` replace arguments of the decorator (`name`, `max_recoveries`, `tags`, …) for this runtime only. In
        this runtime both `workflow` and the returned object then stand for the registered workflow. Raises
        AlreadyLaunched after launch, RegistrationConflict when the name is taken.
        """
        if self._live is not None:
            raise AlreadyLaunched(
                f"Workflow {workflow.name!r} cannot be registered after launch, because runs of it may be waiting."
                " Register it before launch, or pass it to Runtime(workflows=[...]). To change the code of a registered"
                " workflow, use rt.replace(...)"
            )
        registered = with_overrides(workflow, overrides)
        self._registry.add(registered.definition, workflow.definition)
        return registered

    def replace(self, workflow: WorkflowBase[P, R], **overrides: Any) -> Awaitable[WorkflowBase[P, R]]:
        """Replace the registered workflow of this name by newer code, also after launch.

        For notebooks whose cells are run again, and for reloaded modules: a runtime refuses workflow objects other than
        the registered one. When this returns, new executions use the new code; those that are running go on with the
        old code until they are parked. Await it to publish the new code to other processes, apply its schedule, and
        retry runs of this name that were set aside. `application_version` does not change. `overrides` are those of
        `register`.

        Raises NotRegistered when there is no workflow of this name, TypeError if `workflow` is not a workflow.
        """
        registered = with_overrides(workflow, overrides)
        self._registry.replace(registered.definition, workflow.definition)
        live = self._live
        if live is None:
            return Replacement(registered, None)
        return Replacement(
            registered, asyncio.run_coroutine_threadsafe(live.publish_code(registered.name), live.app.loop)
        )

    def workflow(self, fn: Any = None, /, name: str | None = None, **options: Any) -> Any:
        """Declare and register a workflow: `@rt.workflow` or `@rt.workflow(name=…, tags=…)`. Before launch."""
        if callable(fn):
            return self.register(declare_workflow(fn, name, **options))

        def decorate(function: Callable[..., Any]) -> WorkflowBase[..., Any]:
            return self.register(declare_workflow(function, fn or name, **options))

        return decorate

    def registered_workflows(self) -> list[RegisteredWorkflow]:
        """The workflows that are registered with this runtime."""
        return [registered.describe(definition) for definition in self._registry]

    async def workflows_everywhere(self) -> list[RegisteredWorkflow]:
        """The workflows that are registered in any live process, by name."""
        return await self._in_loop(lambda: registered.list_registered(self._app()))

    def is_triggerable(self, name: str) -> bool:
        """Whether a workflow with this name (or fqn) is registered here and may be started from outside."""
        registered = self._registry.get(name)
        candidates = self._registry.by_fqn(name) if registered is None else [registered]
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
        """Declare a queue; `options(queue=name)` puts runs into it. Before launch.

        `worker_concurrency` limits the unfinished runs of the queue in this process, `global_concurrency` those in all
        processes; the rate limit counts starts in a sliding window. With `priority` smaller numbers come first, then
        older runs. In a partitioned queue one run of each key runs at a time, unless there are limits, which then apply
        to each key. Limits hold across processes at every instant. Raises AlreadyLaunched, RegistrationConflict,
        ValueError.
        """
        if self._live is not None:
            raise AlreadyLaunched(f"Queue {name!r} cannot be declared after launch. Declare it before")
        if name in self._queues:
            raise RegistrationConflict(f"Queue {name!r} is declared twice. Use the first one", queue_name=name)
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
        """The queues that this runtime declares, as declared."""
        return list(self._queues.values())

    def listen(self, *queues: Queue | str) -> None:
        """Process only these queues in this process, or none without arguments; by default all declared queues.

        Before launch. Raises AlreadyLaunched, QueueNotFound for a queue that is not declared here.
        """
        if self._live is not None:
            raise AlreadyLaunched("rt.listen(...) is possible only before launch")
        names = {queue.name if isinstance(queue, Queue) else queue for queue in queues}
        for name in sorted(names):
            if name not in self._queues:
                raise QueueNotFound(name)
        self._listened = names

    async def run(self, workflow: WorkflowBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Start a workflow; durable when it returns. Set options with `workflow.options(...)`.

        A given id is an idempotency key: a second start with it returns a handle of the first run. Raises TypeError for
        arguments that do not fit, SerializationError with the parameter, NotRegistered (also for an object other than
        the one that is registered under the name, see `replace`), ShuttingDown, WorkflowConflict, Deduplicated,
        QueueNotFound, ValueError; then nothing was written.
        """
        if not isinstance(workflow, WorkflowBase):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{workflow!r} is not a workflow. Decorate the function with @turbine.workflow")
        definition = workflow.definition
        app = self._app()
        if definition.fn is not None:
            definition = self._registry.require(definition)
        result = definition.result  # raises for an annotation that cannot be resolved, before anything is started
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
        """Start a triggerable workflow by name or fqn, with input from outside; returns the id of the run.

        `input` is an object by parameter name; if there is exactly one parameter, also its value. It is validated as
        JSON in strict mode, and nothing is written if it is invalid. A workflow that is registered only in other
        processes is started there. `tags` are added to those of the workflow. Raises NotRegistered (also for the fqn of
        several workflows), NotTriggerable, ValidationFailed with paths in `.errors`, ShuttingDown, and what `run`
        raises.
        """
        return await self._in_loop(
            lambda: triggers.trigger_workflow(
                self._app(), None, workflow, input, id=id, queue=queue, delay=delay, priority=priority, tags=tags
            )
        )

    def handle(self, workflow_id: str, result: Any, definition: WorkflowDefinition | None = None) -> Handle[Any]:
        """Returns a handle whose result has this payload type, which is that of `definition` if it is given."""
        self._app()
        return Handle(workflow_id, result, self._run_reader, definition)

    async def _await_outcome(self, workflow_id: str, timeout: float | None, poll: float | None) -> Stored:
        app, live = self._app(), self._live
        assert live is not None
        return await self._in_loop(lambda: results.await_outcome(app, live.runner.by_id, workflow_id, timeout, poll))

    def retrieve(self, workflow_id: str, result_type: Any = None) -> Handle[Any]:
        """Get a handle of any run, also of other processes. The id is not checked until the handle is used.

        `result_type` is the annotation by which the result is decoded; by default it is plain JSON.
        """
        return self.handle(check_id(workflow_id), payload_type(Any if result_type is None else result_type))

    async def status(self, workflow_id: str) -> Status:
        """The current state of a run. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: run_queries.get_run(self._app(), check_id(workflow_id)))

    async def steps(self, id: str) -> list[StepInfo]:
        """The recorded steps of a run, in the order in which they were recorded. Raises WorkflowNotFound."""
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
        """List one page of runs, newest first. Filters take one value or several, and all of them must match.

        `search` looks in id, name, summary, tags, input and error; `fingerprint` and `error_class` (a `type`) are those
        of `rt.failures`; durations are those of ended runs in seconds. For the next page pass `next_cursor`.
        Raises ValueError for an invalid limit, status or cursor.
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
        """Cancel a run and its children; durable when it returns. They are interrupted wherever they run.

        Returns False if the run had ended already. Raises WorkflowNotFound.
        """
        return (await self._in_loop(lambda: runs.cancel_run(self._app(), None, id, reason))).changed

    async def resume(self, id: str) -> Handle[Any]:
        """Resume a run that was cancelled, failed, became a dead letter, or was set aside; no effect on other runs.

        Recorded steps are kept, except the failure that ended the run, so that the failed step runs again. Children
        that were cancelled with the run are resumed, too. Attempts are counted from 0, and the deadline is cleared.
        Raises WorkflowNotFound, Deduplicated.
        """
        await self._in_loop(lambda: runs.resume_run(self._app(), None, id))
        return self.retrieve(id)

    async def release(self, id: str) -> bool:
        """End the sleep, retry pause or start delay of a run now, in any process; returns whether there was one.

        Raises WorkflowNotFound.
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
        """Start a new run with the recorded steps before `from_step` of another run; it runs the remaining steps.

        `from_step` and the keys of `edits` are positions. `edits` replace recorded outputs, `args` and `kwargs` replace
        the input. It starts at once unless a queue is given. Raises WorkflowNotFound, ValueError, QueueNotFound.
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
        """Delete ended runs with all their data; returns how many. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: runs.delete_runs(self._app(), ids))

    async def explain(self, id: str) -> Explanation:
        """Explain why a run is not making progress, and what would let it continue. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: explain.explain(self._app(), check_id(id)))

    async def export(self, id: str) -> History:
        """Export a run with all its records, as plain data with decoded payloads. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: exports.export_run(self._app(), check_id(id)))

    async def garbage_collect(self, older_than: timedelta | float | None = None) -> int:
        """Delete runs that ended longer ago than this (default: `gc_retention`); returns how many.

        Unfinished runs and pending deliveries are kept. If a rule of `rt.retention` matches a run, it applies instead.
        If neither `older_than` nor `gc_retention` is set, runs without a rule are kept. Log records are deleted after 5
        days in any case. Raises ValueError for a negative time.
        """
        age = self.config.gc_retention if older_than is None else older_than
        age_ms = None if age is None else span_ms(age)
        if age_ms is not None and age_ms < 0:
            raise ValueError(f"older_than must not be negative: {older_than!r}")
        return await self._in_loop(lambda: garbage.collect(self._app(), age_ms))

    async def vacuum(self) -> int:
        """Return free space of the database to the disk; returns by how many bytes it has shrunk.

        Garbage collection leaves free pages, which new data fills again; so this is for a database that will stay
        smaller. It works in small portions while everything else goes on. On Postgres it is `VACUUM (ANALYZE)` of the
        tables of Turbine, which frees space inside them. Raises StoreUnavailable, Conflict for a SQLite file that was
        not created by Turbine.
        """
        return await self._in_loop(lambda: vacuum.vacuum_all(self._app()))

    async def backup(self, path: str | os.PathLike[str]) -> Path:
        """Copy the SQLite database to a new file while everything else goes on; returns its path.

        The copy is a consistent snapshot, and is checked and flushed to the disk when this returns; any runtime can
        open it. It does not include the bytes of products, which are stored beside the database. Raises FileExistsError
        if the file exists, TurbineError on Postgres (use pg_dump), StoreInvalid when the database is damaged.
        """
        return await self._in_loop(lambda: backups.backup(self._app(), path))

    async def pause_queue(self, name: str) -> None:
        """Pause a queue in all processes; its running runs go on. Raises QueueNotFound."""
        await self._in_loop(lambda: queueing.change(self._app(), name, paused=True))

    async def resume_queue(self, name: str) -> None:
        """Resume a paused queue. Raises QueueNotFound."""
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
        """Change limits of a queue in all processes; limits that are not given stay as they are.

        The change lasts until the declaration in the code changes. Raises QueueNotFound, ValueError.
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

    async def send(self, id: str, message: Any, topic: str = "") -> None:
        """Send a message to the mailbox of a run; durable when it returns, and delivered once per call.

        A message to an ended run stays in its mailbox. Raises WorkflowNotFound, SerializationError.
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
        """Read a published value of a run; waits until it is set, up to `timeout` (timedelta or seconds).

        Raises ValueTimeout unless there is a `default`, WorkflowNotFound, ValidationFailed for another type.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        kind = payload_type(type)
        return await self._in_loop(
            lambda: results.await_value(self._app(), check_id(id), check_name(key, "key"), kind, seconds, default)
        )

    async def values(self, id: str) -> dict[str, Any]:
        """All published values of a run. Raises WorkflowNotFound."""
        return await self._in_loop(lambda: run_details.get_values(self._app(), check_id(id)))

    def set_product_sender(self, sender: ProductSender | None) -> None:
        """Send new products with this sender; None only stores them.

        For a sender that needs the runtime (`WorkflowSender(rt, workflow)`); else use `Runtime(product_sender=…)`.
        Before or after launch, in each process that makes products. Raises TypeError if the sender has no `send`.
        """
        if sender is not None and not callable(getattr(sender, "send", None)):
            raise TypeError(f"{sender!r} is not a product sender. It needs a method send(product, data)")
        self._product_sender = sender
        if self._live is not None:
            self._live.set_product_sender(sender)

    @property
    def product_sender(self) -> ProductSender | None:
        """The sender of new products, if there is one."""
        return self._product_sender

    async def approve(
        self,
        id: str,
        approved: bool = True,
        comment: str = "",
        by: str | None = None,
        data: Any = None,
        approval_id: str | None = None,
    ) -> ApprovalRecord:
        """Decide the approval for which a run waits; durable when it returns, and the run continues.

        Without `approval_id` it is the only open approval of the run. `data` is the content of the form. Raises
        WorkflowNotFound, NotFound, Conflict if no approval is open, several are, or this one is decided already, and
        ValidationFailed for data that does not match the form; then the approval stays open.
        """
        return await self.approvals.decide(id, approved, comment, by=by, data=data, approval_id=approval_id)

    async def send_notification(self, channel: str, message: str, *, wait: bool = True) -> None:
        """Send a message to an alert channel, also in its quiet hours, but not if it is disabled.

        It is durable before it is sent; with `wait` this returns when the service has accepted it. Raises NotFound for
        an unknown channel, ValueError for an empty message, and with `wait` DeliveryFailed after the last attempt.
        """
        await self._in_loop(lambda: notifications.send(self._app(), channel, message, wait=wait))

    def events(self) -> AsyncIterator[Event]:
        """Stream the events of this process from this call on, after their commits: `async for event in rt.events()`.

        If a reader is more than 10,000 events behind, it misses the oldest ones. The stream ends with the shutdown.
        """
        self._app()
        return event_stream(self._probe, lambda: self._was_forked)

    async def wait_idle(self) -> None:
        """Wait until no run executes in this process and none is due; runs may wait for later times or messages."""
        self._app()
        live = self._live
        assert live is not None
        await self._in_loop(live.wait_idle)
