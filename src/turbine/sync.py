"""The words of Turbine for blocking code: `import turbine.sync as turbine`.

Same names, same arguments; `def` instead of `async def`, values instead of awaitables, `with` instead of `async with`.
`Runtime` brings its own event loop in a thread, so it serves scripts, Flask, Django and worker processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from turbine import api
from turbine.actions.kv import MISSING
from turbine.api import Context, check_cancelled, current, logger, remote, step, workflow
from turbine.config import Config
from turbine.engine.execution import run_inline
from turbine.engine.handles import Handle as AsyncHandle
from turbine.engine.lines import Frame, Line, Place, place
from turbine.errors import *  # noqa: F403 - the same errors under the same names
from turbine.errors import Cancelled, ErrorCode, NotInWorkflow
from turbine.model.queues import Queue, RateLimit
from turbine.model.steps import StepAttempt, StepInfo
from turbine.model.workflows import Event, Explanation, Page, RegisteredWorkflow, Status, WorkflowStatus
from turbine.registry import HERE, UNSET, BlockingStep, BlockingWorkflow, Step, StepBase, Workflow, WorkflowBase
from turbine.runtime import Runtime as AsyncRuntime

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def _in_thread(word: str) -> None:
    """Refuse a blocking word where it would stop the event loop."""
    here = HERE.get()
    if type(here) is Place and here.execution.is_async:
        raise TypeError(
            f"turbine.sync.{word} blocks and was used in an async workflow; use `await turbine.{word}(...)` there"
        )


# Steps of any function


@overload
def do(fn: StepBase[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...
@overload
def do(fn: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R: ...
@overload
def do(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...
def do(fn: Any, *args: Any, **kwargs: Any) -> Any:
    """Run any callable as a step: `turbine.do(fetch, url)`. Coroutine functions run in the runtime's loop."""
    _in_thread("do")
    here = HERE.get()
    if here is not None and type(here) is not Place:
        return here.step(api.step_definition(fn), args, kwargs)
    return run_inline(api.begin_step("do", fn, args, kwargs))


class StepTask(Generic[R]):
    """A step that runs beside the body, in a thread."""

    def __init__(self, future: Future[R]) -> None:
        self._future = future

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> R:
        """Its value, once it is done; raises its error."""
        return self._future.result()

    def exception(self) -> BaseException | None:
        """Its error, once it is done; None when it succeeded."""
        return self._future.exception()


@overload
def do_async(fn: StepBase[P, R], *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
def do_async(fn: Any, *args: Any, **kwargs: Any) -> Any:
    """Start a step now, in a thread of its own, and go on; it takes its position here."""
    _in_thread("do_async")
    operation = api.begin_step("do_async", fn, args, kwargs)
    return StepTask(_beside(lambda: run_inline(operation)))


def _beside(call: Callable[[], T]) -> Future[T]:
    """Make a call in another thread, which sees this context. While no thread is free it is made here."""
    future: Future[T] = Future()
    context = copy_context()

    def carry() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - the user's function; whoever asks the future gets it
            future.set_exception(error)

    threads = place("do_async").execution.port.threads
    if threads.in_use >= threads.maximum:
        carry()
    else:
        threads.submit(carry)
    return future


def gather(*branches: Any, return_exceptions: bool = False) -> list[Any]:
    """Run branches at once, each in a thread and with positions of its own.

    A branch is a function without arguments (`functools.partial(branch, x)` for others); a `StepTask` is waited for;
    anything else is a value that is there already. The first error is raised after all have ended.
    """
    _in_thread("gather")
    if type(HERE.get()) is not Place:
        futures = [branch() if callable(branch) else branch for branch in branches]
        return [one.result() if isinstance(one, StepTask) else one for one in futures]
    line = place("gather").own_line()
    position = line.take()
    line.execution.check()
    started: list[Any] = []
    for index, branch in enumerate(branches):
        if callable(branch):
            started.append(_beside(_branch(Line(line.execution, f"{position}.{index}.", None), branch)))
        else:
            started.append(branch)
    outcomes: list[Any] = []
    errors: list[BaseException] = []
    for one in started:
        if not isinstance(one, (Future, StepTask)):
            outcomes.append(one)
            continue
        error = one.exception()
        if error is None:
            outcomes.append(one.result())
        else:
            errors.append(error)
            outcomes.append(error)
    line.execution.check()
    if errors and not (return_exceptions and all(isinstance(error, Exception) for error in errors)):
        raise errors[0]
    return outcomes


def _branch(line: Line, branch: Callable[[], T]) -> Callable[[], T]:
    def run_branch() -> T:
        line.owner = threading.get_ident()
        HERE.set(Place(line, 0))
        return branch()

    return run_branch


# The other words


def run(workflow: WorkflowBase[P, R], *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
    """Start a workflow from within a workflow and go on; see `turbine.run`."""
    _in_thread("run")
    handle = run_inline(api.run(workflow, *args, **kwargs))
    return Handle(handle, None)


def send(workflow_id: str, message: Any, topic: str = "") -> None:
    """Put a message into another run's mailbox; see `turbine.send`."""
    _in_thread("send")
    run_inline(api.send(workflow_id, message, topic))


def recv(topic: str = "", *, type: Any = Any, timeout: timedelta | float | None = None, default: Any = UNSET) -> Any:
    """The oldest unread message of a topic; see `turbine.recv`."""
    _in_thread("recv")
    return run_inline(api.recv(topic, type=type, timeout=timeout, default=default))


def set_value(key: str, value: Any) -> None:
    """Publish a value of this run; see `turbine.set_value`."""
    _in_thread("set_value")
    run_inline(api.set_value(key, value))


def get_value(
    workflow_id: str, key: str, *, type: Any = Any, timeout: timedelta | float | None = None, default: Any = UNSET
) -> Any:
    """The published value of a run; see `turbine.get_value`."""
    _in_thread("get_value")
    act = api.get_value(workflow_id, key, type=type, timeout=timeout, default=default)
    here = HERE.get()
    if isinstance(here, Frame):  # in a step nothing is recorded: the act itself runs in the loop
        return asyncio.run_coroutine_threadsafe(act, here.execution.port.loop).result()
    return run_inline(act)


def sleep(duration: timedelta | float) -> None:
    """Sleep durably; see `turbine.sleep`."""
    _in_thread("sleep")
    run_inline(api.sleep(duration))


pause = sleep


def sleep_until(moment: datetime) -> None:
    """Sleep durably until an aware time; see `turbine.sleep_until`."""
    _in_thread("sleep_until")
    run_inline(api.sleep_until(moment))


def now() -> datetime:
    """The time at which this place was first reached; see `turbine.now`."""
    _in_thread("now")
    return run_inline(api.now())


def uuid4() -> uuid.UUID:
    """A random UUID, the same in every replay; see `turbine.uuid4`."""
    _in_thread("uuid4")
    return run_inline(api.uuid4())


def random() -> float:
    """A random number in [0, 1), the same in every replay; see `turbine.random`."""
    _in_thread("random")
    return run_inline(api.random())


def patched(name: str) -> bool:
    """Whether this run takes the new branch of a code change; see `turbine.patched`."""
    _in_thread("patched")
    return run_inline(api.patched(name))


class KvWords:
    """`turbine.kv` for blocking bodies and steps; see `turbine.kv`."""

    def get(self, key: str, type: Any = Any, default: Any = None) -> Any:
        """The value of a key, decoded as `type`; `default` when there is none."""
        return self._drive(api.kv.get(key, type, default))

    def set(self, key: str, value: Any, expect: Any = UNSET) -> None:
        """Write a key, with `expect` only if the stored value is the expected one. Raises Conflict."""
        self._drive(api.kv.set(key, value, expect))

    def delete(self, key: str) -> None:
        """Remove a key; fine when there is none."""
        self._drive(api.kv.delete(key))

    def _drive(self, act: Coroutine[Any, Any, T]) -> T:
        _in_thread("kv")
        here = HERE.get()
        if type(here) is Frame:  # in a step nothing is recorded: the act itself runs in the loop
            return asyncio.run_coroutine_threadsafe(act, here.execution.port.loop).result()
        return run_inline(act)


kv = KvWords()


class Handle(Generic[R]):
    """A run, and the way to its result, for blocking code."""

    def __init__(self, handle: AsyncHandle[R], runtime: Runtime | None) -> None:
        self._handle = handle
        self._runtime = runtime

    @property
    def workflow_id(self) -> str:
        return self._handle.workflow_id

    def result(self, timeout: timedelta | float | None = None, *, poll_interval: timedelta | float | None = None) -> R:
        """The value of the run, of the annotated type; waits until it is over. See `turbine.Handle.result`."""
        if type(HERE.get()) is Place:
            _in_thread("Handle.result")
            return run_inline(self._handle.result(timeout, poll_interval=poll_interval))
        return self._wait(self._handle.result(timeout, poll_interval=poll_interval))

    def status(self) -> Status:
        """The run as it is now. Raises WorkflowNotFound."""
        return self._wait(self._handle.status())

    def steps(self) -> list[StepInfo]:
        """The steps recorded so far. Raises WorkflowNotFound."""
        return self._wait(self._handle.steps())

    def _wait(self, act: Coroutine[Any, Any, T]) -> T:
        if self._runtime is not None:
            return self._runtime.wait_for(act)
        here = HERE.get()
        if here is None or not isinstance(here, Place):
            act.close()
            raise NotInWorkflow("this handle was made in a workflow; use rt.retrieve(id) elsewhere")
        return asyncio.run_coroutine_threadsafe(act, here.execution.port.loop).result()

    def __repr__(self) -> str:
        return f"<turbine handle of {self.workflow_id}>"


class Kv:
    """The global key-value store; see `turbine.Runtime.kv`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def get(self, key: str, type: Any = Any, default: Any = None) -> Any:
        """The value of a key, decoded as `type`; `default` when there is none."""
        return self._runtime.wait_for(self._runtime.inner.kv.get(key, type, default))

    def set(self, key: str, value: Any, expect: Any = UNSET) -> None:
        """Write a key, with `expect` only if the stored value is the expected one. Raises Conflict."""
        self._runtime.wait_for(self._runtime.inner.kv.set(key, value, expect))

    def delete(self, key: str) -> None:
        """Remove a key; fine when there is none."""
        self._runtime.wait_for(self._runtime.inner.kv.delete(key))


class Runtime:
    """Durable workflows in this process, for blocking code: `with Runtime("sqlite:///shop.db", workflows=[…]) as rt`.

    Its event loop runs in a thread of its own, so async workflows and steps work beside blocking ones.
    """

    def __init__(
        self,
        database: str | None = None,
        *,
        workflows: Sequence[WorkflowBase[..., Any]] = (),
        config: Config | None = None,
        **config_fields: Any,
    ) -> None:
        self.inner = AsyncRuntime(database, workflows=workflows, config=config, **config_fields)
        self.kv = Kv(self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def wait_for(self, act: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the runtime's loop and wait for it."""
        if self._loop is None:
            # Not launched: the runtime's own words say so, without a loop.
            return _refused(act)
        if self._thread is threading.current_thread():
            act.close()
            raise RuntimeError(
                "a blocking word of the runtime was used in its own event loop; use the async words there"
            )
        return asyncio.run_coroutine_threadsafe(act, self._loop).result()

    def register(self, workflow: WorkflowBase[P, R], **overrides: Any) -> WorkflowBase[P, R]:
        """Make a workflow known to this runtime; before launch. See `turbine.Runtime.register`."""
        return self.inner.register(workflow, **overrides)

    def workflow(self, fn: Any = None, /, name: str | None = None, **options: Any) -> Any:
        """`turbine.workflow` and `register` in one; before launch. See `turbine.Runtime.workflow`."""
        return self.inner.workflow(fn, name, **options)

    def registered_workflows(self) -> list[RegisteredWorkflow]:
        """The workflows that this runtime knows."""
        return self.inner.registered_workflows()

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

    def launch(self) -> None:
        """Open the database, take up what is due, and start the loops. See `turbine.Runtime.launch`."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="turbine-loop", daemon=True)
            self._thread.start()
        try:
            self.wait_for(self.inner.launch())
        except BaseException:
            if not self.inner.is_launched:
                self._end_loop()
            raise

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            with contextlib.suppress(RuntimeError):
                loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def shutdown(self) -> None:
        """Stop in good order; idempotent. See `turbine.Runtime.shutdown`."""
        if self._loop is not None:
            self.wait_for(self.inner.shutdown())
            self._end_loop()

    def _end_loop(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
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

    def run(self, workflow: WorkflowBase[P, R], *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Start a workflow; durable when it returns. See `turbine.Runtime.run`."""
        return Handle(self.wait_for(self.inner.run(workflow, *args, **kwargs)), self)

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

    def garbage_collect(self, older_than: timedelta | float | None = None) -> int:
        """Remove runs that ended longer ago than this; returns how many."""
        return self.wait_for(self.inner.garbage_collect(older_than))

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

    def events(self) -> Iterator[Event]:
        """What happens in this process from now on, after its commit."""
        events = self.inner.events()
        first = self.wait_for(_begin(events))
        while True:
            yield self.wait_for(_next_of(first))
            first = self.wait_for(_begin(events))

    def wait_idle(self) -> None:
        """Until nothing executes here and nothing is due now."""
        self.wait_for(self.inner.wait_idle())


async def _begin(events: Any) -> asyncio.Task[Event]:
    task = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    return task


async def _next_of(task: asyncio.Task[Event]) -> Event:
    return await task


def _refused(act: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine of a runtime that is not launched: it refuses before it would wait for anything."""
    try:
        act.send(None)
    except StopIteration as stop:
        return stop.value
    act.close()
    raise RuntimeError("this runtime is not launched")


__all__ = [
    "MISSING",
    "BlockingStep",
    "BlockingWorkflow",
    "Cancelled",
    "Config",
    "Context",
    "ErrorCode",
    "Event",
    "Explanation",
    "Handle",
    "Kv",
    "Page",
    "Queue",
    "RateLimit",
    "RegisteredWorkflow",
    "Runtime",
    "Status",
    "Step",
    "StepAttempt",
    "StepInfo",
    "StepTask",
    "Workflow",
    "WorkflowStatus",
    "check_cancelled",
    "current",
    "do",
    "do_async",
    "gather",
    "get_value",
    "kv",
    "logger",
    "now",
    "patched",
    "pause",
    "random",
    "recv",
    "remote",
    "run",
    "send",
    "set_value",
    "sleep",
    "sleep_until",
    "step",
    "uuid4",
    "workflow",
]
