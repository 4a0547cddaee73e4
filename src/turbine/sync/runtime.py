"""A runtime for blocking code, with an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from turbine.config import Config, Database
from turbine.delivery.products import ProductSender
from turbine.errors import ShuttingDown
from turbine.forking import keep_for_ever, tell_after_fork
from turbine.model.approvals import ApprovalRecord
from turbine.model.exports import History
from turbine.model.queues import Queue
from turbine.model.steps import StepInfo
from turbine.model.workflows import Event, Explanation, Page, RegisteredWorkflow, Status
from turbine.registry import UNSET, WorkflowBase
from turbine.runtime import Runtime as AsyncRuntime
from turbine.runtime.signals import SIGNALS
from turbine.sync.accounts import Accounts, Audit, Tokens
from turbine.sync.handles import Handle
from turbine.sync.resources import (
    AlertChannels,
    Approvals,
    Deliveries,
    Failures,
    Kv,
    Logs,
    Products,
    Retention,
    Schedules,
    Webhooks,
)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

LAST_MOMENT = 2.0
"""Seconds that what still runs in the loop gets to end with it."""
LOOK_EVERY = 0.5


class Runtime:
    """Durable workflows in this process, for blocking code: `with Runtime("sqlite:///shop.db", workflows=[…]) as rt`.

    Its event loop runs in a thread of its own, so async workflows and steps work beside blocking ones.
    """

    def __init__(
        self,
        database: Database | None = None,
        *,
        workflows: Sequence[WorkflowBase[..., Any]] = (),
        config: Config | None = None,
        **config_fields: Any,
    ) -> None:
        self.inner = AsyncRuntime(database, workflows=workflows, config=config, **config_fields)
        self.accounts = Accounts(self)
        self.tokens = Tokens(self)
        self.audit = Audit(self)
        self.failures = Failures(self)
        self.kv = Kv(self)
        self.logs = Logs(self)
        self.schedules = Schedules(self)
        self.approvals = Approvals(self)
        self.webhooks = Webhooks(self)
        self.alert_channels = AlertChannels(self)
        self.deliveries = Deliveries(self)
        self.products = Products(self)
        self.retention = Retention(self)
        self._gate = threading.Lock()
        """Held while a call enters the loop, or the loop ends: so none enters one that has ended."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        tell_after_fork(self._forked)

    def wait_for(self, act: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the runtime's loop and wait for it."""
        if self._thread is threading.current_thread():
            act.close()
            raise TypeError(
                f"{act.__qualname__} of the blocking runtime was used in async code, where it would stop the event loop"
                f" that it waits for; use `await` with the async runtime there: turbine.current().runtime"
            )
        with self._gate:
            asked = None if self._loop is None else asyncio.run_coroutine_threadsafe(act, self._loop)
        if asked is None:
            # Not launched: the runtime's own words say so, without a loop.
            return _refused(act)
        try:
            return asked.result()
        except CancelledError:  # with the loop, which another thread has ended
            raise ShuttingDown("This runtime was shut down before the call came to its end") from None

    def register(self, workflow: WorkflowBase[P, R], **overrides: Any) -> WorkflowBase[P, R]:
        """Make a workflow known to this runtime; before launch. See `turbine.Runtime.register`."""
        return self.inner.register(workflow, **overrides)

    def replace(self, workflow: WorkflowBase[P, R], **overrides: Any) -> WorkflowBase[P, R]:
        """Put newer code in the place of the registered workflow of this name. See `turbine.Runtime.replace`."""
        return self.wait_for(_awaited(self.inner.replace(workflow, **overrides)))

    def workflow(self, fn: Any = None, /, name: str | None = None, **options: Any) -> Any:
        """`turbine.workflow` and `register` in one; before launch. See `turbine.Runtime.workflow`."""
        return self.inner.workflow(fn, name, **options)

    def registered_workflows(self) -> list[RegisteredWorkflow]:
        """The workflows that this runtime knows."""
        return self.inner.registered_workflows()

    def workflows_everywhere(self) -> list[RegisteredWorkflow]:
        """The workflows that any live process knows. See `turbine.Runtime.workflows_everywhere`."""
        return self.wait_for(self.inner.workflows_everywhere())

    def is_triggerable(self, name: str) -> bool:
        """Whether a workflow of this name (or fqn) is known here and may be started from outside."""
        return self.inner.is_triggerable(name)

    def queue(self, name: str, **limits: Any) -> Queue:
        """Declare a queue; before launch. The limits are those of `turbine.Runtime.queue`."""
        return self.inner.queue(name, **limits)

    def queues(self) -> list[Queue]:
        """The queues declared here, as declared."""
        return self.inner.queues()

    def listen(self, *queues: Queue | str) -> None:
        """Process only these queues here; before launch. See `turbine.Runtime.listen`."""
        self.inner.listen(*queues)

    def pause_queue(self, name: str) -> None:
        """Claim nothing from a queue any more. Raises QueueNotFound."""
        self.wait_for(self.inner.pause_queue(name))

    def resume_queue(self, name: str) -> None:
        """Claim from a paused queue again. Raises QueueNotFound."""
        self.wait_for(self.inner.resume_queue(name))

    def set_queue_limits(self, name: str, **limits: Any) -> Queue:
        """Change limits of a queue for all processes. See `turbine.Runtime.set_queue_limits`."""
        return self.wait_for(self.inner.set_queue_limits(name, **limits))

    def set_product_sender(self, sender: ProductSender | None) -> None:
        """Bring products that are made from now on to where they belong. See `turbine.Runtime.set_product_sender`."""
        self.inner.set_product_sender(sender)

    def launch(self) -> None:
        """Open the database, take up what is due, and start the loops. See `turbine.Runtime.launch`."""
        with self._gate:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="turbine-loop", daemon=True)
                self._thread.start()
        if self.inner.config.handle_signals:
            SIGNALS.listen()  # from here, where the main thread may be; the event loop is in another one
        try:
            self.wait_for(self.inner.launch())
        except BaseException:
            if not self.inner.is_launched:
                self._end_loop()
                SIGNALS.put_back()
            raise

    def shutdown(self) -> None:
        """Stop in good order; idempotent. See `turbine.Runtime.shutdown`."""
        if self._loop is not None:
            try:
                with contextlib.suppress(ShuttingDown):  # another thread was quicker
                    self.wait_for(self.inner.shutdown())
            finally:
                self._end_loop()
                SIGNALS.put_back()

    def run_until_signal(self) -> None:
        """Run until SIGTERM or SIGINT, then drain as `shutdown` does, and return.

        Launches the runtime unless it is launched already. See `turbine.Runtime.run_until_signal`.
        """
        told = threading.Lock()
        told.acquire()
        with SIGNALS.caught(told.release):
            if self._loop is None:
                self.launch()
            try:
                # A lock, because the handler may come while this thread holds any other. Others may shut down too.
                while self._loop is not None and not told.acquire(timeout=LOOK_EVERY):
                    pass
            finally:
                self.shutdown()

    def _end_loop(self) -> None:
        with self._gate:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join()

    def _forked(self) -> None:
        """In a forked child: the thread with the loop is in the parent. The loop's selector is shared with it."""
        keep_for_ever(self._loop)
        self._gate = threading.Lock()
        self._loop = self._thread = None

    def __enter__(self) -> Self:
        self.launch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    @property
    def executor_id(self) -> str:
        return self.inner.executor_id

    @property
    def application_id(self) -> str:
        return self.inner.application_id

    @property
    def application_version(self) -> str:
        return self.inner.application_version

    @property
    def is_launched(self) -> bool:
        return self.inner.is_launched

    @property
    def is_draining(self) -> bool:
        return self.inner.is_draining

    @property
    def app(self) -> Any:
        return self.inner.app

    def run(self, workflow: WorkflowBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Start a workflow; durable when it returns. See `turbine.Runtime.run`."""
        return Handle(self.wait_for(self.inner.run(workflow, *args, **kwargs)), self)

    def trigger(self, workflow: str | WorkflowBase[..., Any], input: Any = None, **options: Any) -> str:
        """Start a triggerable workflow by name, with input from outside. See `turbine.Runtime.trigger`."""
        return self.wait_for(self.inner.trigger(workflow, input, **options))

    def retrieve(self, workflow_id: str, result_type: Any = None) -> Handle[Any]:
        """A handle of any run; the id is not checked until it is used."""
        return Handle(self.inner.retrieve(workflow_id, result_type), self)

    def status(self, workflow_id: str) -> Status:
        """A run as it is now. Raises WorkflowNotFound."""
        return self.wait_for(self.inner.status(workflow_id))

    def steps(self, id: str) -> list[StepInfo]:
        """The recorded steps of a run. Raises WorkflowNotFound."""
        return self.wait_for(self.inner.steps(id))

    def list(self, **filters: Any) -> Page[Status]:
        """One page of runs; the filters are those of `turbine.Runtime.list`."""
        return self.wait_for(self.inner.list(**filters))

    def cancel(self, id: str, reason: str | None = None) -> bool:
        """Cancel a run and its children; False when it was over already. Raises WorkflowNotFound."""
        return self.wait_for(self.inner.cancel(id, reason))

    def resume(self, id: str) -> Handle[Any]:
        """Take up a run that ended without success. See `turbine.Runtime.resume`."""
        return Handle(self.wait_for(self.inner.resume(id)), self)

    def release(self, id: str) -> bool:
        """End the sleep of a run, or what else it waits for by the clock. See `turbine.Runtime.release`."""
        return self.wait_for(self.inner.release(id))

    def fork(
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
        """A new run that begins with recorded steps of another. See `turbine.Runtime.fork`."""
        forked = self.inner.fork(id, from_step, args=args, kwargs=kwargs, new_id=new_id, edits=edits, queue=queue)
        return Handle(self.wait_for(forked), self)

    def delete(self, *ids: str) -> int:
        """Remove runs that are over; returns how many. Raises WorkflowNotFound."""
        return self.wait_for(self.inner.delete(*ids))

    def explain(self, id: str) -> Explanation:
        """Why a run is not moving. Raises WorkflowNotFound."""
        return self.wait_for(self.inner.explain(id))

    def export(self, id: str) -> History:
        """A run with everything that was recorded of it, as plain data. Raises WorkflowNotFound."""
        return self.wait_for(self.inner.export(id))

    def garbage_collect(self, older_than: timedelta | float | None = None) -> int:
        """Remove runs that ended longer ago than this; returns how many."""
        return self.wait_for(self.inner.garbage_collect(older_than))

    def vacuum(self) -> int:
        """Give back what is free in the database: how many bytes smaller it is now. See `turbine.Runtime.vacuum`."""
        return self.wait_for(self.inner.vacuum())

    def backup(self, path: str | os.PathLike[str]) -> Path:
        """Copy the SQLite database to a new file while everything goes on. See `turbine.Runtime.backup`."""
        return self.wait_for(self.inner.backup(path))

    def send_notification(self, channel: str, message: str, *, wait: bool = True) -> None:
        """Send a text to an alert channel. See `turbine.Runtime.send_notification`."""
        self.wait_for(self.inner.send_notification(channel, message, wait=wait))

    def send(self, id: str, message: Any, topic: str = "") -> None:
        """Put a message into a run's mailbox. Raises WorkflowNotFound."""
        self.wait_for(self.inner.send(id, message, topic))

    def get_value(
        self,
        id: str,
        key: str,
        *,
        type: Any = Any,
        timeout: timedelta | float | None = None,
        default: Any = UNSET,
    ) -> Any:
        """A value that a run has published, or will. Raises ValueTimeout unless there is a default."""
        return self.wait_for(self.inner.get_value(id, key, type=type, timeout=timeout, default=default))

    def values(self, id: str) -> dict[str, Any]:
        """All values that a run has published. Raises WorkflowNotFound."""
        return self.wait_for(self.inner.values(id))

    def approve(
        self,
        id: str,
        approved: bool = True,
        comment: str = "",
        by: str | None = None,
        data: Any = None,
        approval_id: str | None = None,
    ) -> ApprovalRecord:
        """Decide the gate at which a run waits. See `turbine.Runtime.approve`."""
        return self.wait_for(self.inner.approve(id, approved, comment, by, data, approval_id))

    def events(self) -> Iterator[Event]:
        """What happens in this process from this call on, after its commit."""
        events = self.wait_for(_watch(self.inner))
        return iter(lambda: self.wait_for(_next_of(events)), None)

    def wait_idle(self) -> None:
        """Until nothing executes here and nothing is due now."""
        self.wait_for(self.inner.wait_idle())


async def _awaited(act: Awaitable[T]) -> T:
    return await act


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        # What is left waits for something that does not come any more, and threads of the user's wait for it.
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=LAST_MOMENT))
        with contextlib.suppress(RuntimeError):
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _watch(inner: AsyncRuntime) -> AsyncIterator[Event]:
    return inner.events()


async def _next_of(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


def _refused(act: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine of a runtime that is not launched: it refuses before it would wait for anything."""
    try:
        act.send(None)
    except StopIteration as stop:
        return stop.value
    act.close()
    raise RuntimeError("this runtime is not launched")
