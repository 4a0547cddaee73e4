"""The words of Turbine: the decorators, and what may be used in the bodies of workflows and steps.

Every word that may touch the database takes its position when it is called and acts when it is awaited, so
`asyncio.gather(charge(a), charge(b))` is the same in every replay. `turbine.sync` has the same words for blocking code.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar, overload

from turbine.clock import to_datetime, to_ms
from turbine.codec import PayloadType, payload_type
from turbine.engine.execution import BackgroundStep, Execution, cancelled
from turbine.engine.handles import Handle
from turbine.engine.logs import RunLogger
from turbine.engine.ops import app_status, approvals, messages, patches, values
from turbine.engine.ops import sleep as sleeping
from turbine.engine.ops.children import start_child
from turbine.engine.ops.products import frame_of_step, store_product
from turbine.engine.ops.steps import call_step
from turbine.engine.outcomes import Signal
from turbine.engine.scope import Branch, WorkflowScope, place
from turbine.engine.step_scope import StepScope
from turbine.errors import Cancelled, NotInWorkflow
from turbine.ids import check_id, check_name
from turbine.model.approvals import ApprovalResult
from turbine.model.kv import KVRecord
from turbine.model.positions import PATCH
from turbine.model.products import ProductRecord
from turbine.model.words import KV, NOW, RANDOM, SEND_NOTIFICATION, UUID4
from turbine.model.workflows import Page
from turbine.operations import notifications, talk
from turbine.operations.kv import Kv
from turbine.registry import (
    UNSET,
    Step,
    StepBase,
    StepDefinition,
    Workflow,
    WorkflowBase,
    check_function,
    current_scope,
    name_of,
    remote,
    step,
    workflow,
)
from turbine.retry import seconds_of

P = ParamSpec("P")
R = TypeVar("R")


# Steps of any function


def step_definition(fn: Any) -> StepDefinition:
    """The definition of a step or of any other callable: what `do` records it as."""
    if isinstance(fn, StepBase):
        return fn.definition
    if isinstance(fn, WorkflowBase):
        raise TypeError(f"{fn!r} is a workflow; call it, or start it with turbine.run")
    is_async = check_function(fn, "step")
    return StepDefinition(fn=fn, name=name_of(fn), is_async=is_async)


def begin_step(
    word: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], background: BackgroundStep | None = None
) -> Coroutine[Any, Any, Any]:
    """Take a position for a step of any callable; the coroutine runs or replays it.

    An `errand` is one whose outcome the body takes later.
    """
    definition = step_definition(fn)
    here = current_scope.get()
    if type(here) is StepScope:
        return _inline(here.execution, definition, args, kwargs)
    line = place(word).current_branch()
    return call_step(line.execution, line.take(), definition, args, kwargs, background)


async def _inline(
    execution: Execution, definition: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if definition.is_async:
        return await definition.fn(*args, **kwargs)
    return await execution.app.threads.run(definition.fn, *args, **kwargs)


@overload
def do(fn: StepBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
@overload
def do(fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
@overload
def do(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
def do(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Run any callable as a step: `await turbine.do(fetch, url)`. Blocking ones run in a thread.

    Recorded under the function's name; `turbine.do(turbine.step(fn, name="fetch", retries=3), url)` says more.
    """
    return begin_step("do", fn, args, kwargs)


class StepTask(Generic[R]):
    """A step that runs beside the body: `await task` gives its outcome, or raises it."""

    def __init__(self, task: asyncio.Task[R]) -> None:
        self._task = task

    def __await__(self) -> Generator[Any, None, R]:
        return self._task.__await__()

    def done(self) -> bool:
        return self._task.done()

    def result(self) -> R:
        """The value, if the step is done; raises its error, or InvalidStateError while it runs."""
        return self._task.result()

    def exception(self) -> BaseException | None:
        """The error, if the step is done and failed; InvalidStateError while it runs."""
        return self._task.exception()


@overload
def do_async(fn: StepBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
def do_async(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Start a step now and go on; it takes its position here. Await the task before the body returns."""
    task = asyncio.ensure_future(begin_step("do_async", fn, args, kwargs))
    here = current_scope.get()
    if type(here) is WorkflowScope:
        keep(here.execution, task)
    return StepTask(task)


def keep(execution: Execution, task: asyncio.Task[Any]) -> None:
    """Remember a task of a run, so that it ends with the run."""
    execution.tasks.add(task)
    task.add_done_callback(execution.tasks.discard)


def gather(*branches: Awaitable[Any], return_exceptions: bool = False) -> Coroutine[Any, Any, list[Any]]:
    """Run branches at once, each with positions of its own, so that each may do any number of durable calls.

    Like `asyncio.gather`: results in the order of the branches; the first error is raised and the other branches go on.
    """
    if type(current_scope.get()) is not WorkflowScope:
        return _gather(branches, return_exceptions)
    line = place("gather").current_branch()
    execution, position = line.execution, line.take()
    return _gather(
        [_branch(Branch(execution, f"{position}.{index}.", None), branch) for index, branch in enumerate(branches)],
        return_exceptions,
        execution,
    )


async def _gather(
    branches: Sequence[Awaitable[Any]], return_exceptions: bool, execution: Execution | None = None
) -> list[Any]:
    tasks = [asyncio.ensure_future(branch) for branch in branches]
    if execution is not None:
        for task in tasks:
            keep(execution, task)
    return list(await asyncio.gather(*tasks, return_exceptions=return_exceptions))


async def _branch(line: Branch, branch: Awaitable[Any]) -> Any:
    line.owner = asyncio.current_task()
    current_scope.set(WorkflowScope(line, 0))
    return await branch


# Runs


def run(workflow: WorkflowBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Handle[R]]:
    """Start a workflow from within a workflow and go on; recorded, so that a replay finds the same run.

    Its id is derived from this run and position unless `options(id=...)` gives one. It is a child: cancelling this run
    cancels it. Raises what `rt.run` raises; those errors are recorded too.
    """
    line = place("run").current_branch()
    return _run(line.execution, line.take(), workflow, args, kwargs)


async def _run(
    execution: Execution,
    position: str,
    workflow: WorkflowBase[..., R],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Handle[R]:
    definition = workflow.definition
    result = definition.result  # an annotation that cannot be read is told before anything is started
    child_id = await start_child(execution, position, definition, workflow.start_options, args, kwargs)
    return Handle(child_id, result, execution.app.run_reader, definition)


# Talking


def send(workflow_id: str, message: Any, topic: str = "") -> Coroutine[Any, Any, None]:
    """Put a message into another run's mailbox: once for this place in the run, also across crashes.

    Raises WorkflowNotFound for an unknown id, SerializationError.
    """
    line = place("send").current_branch()
    return messages.send(line.execution, line.take(), check_id(workflow_id), message, check_topic(topic))


def recv(
    topic: str = "", *, type: Any = Any, timeout: timedelta | float | None = None, default: Any = UNSET
) -> Coroutine[Any, Any, Any]:
    """The oldest unread message of a topic, in the order in which they were sent.

    Taking it and recording it are one transaction. The timeout (timedelta or seconds; 0 looks once) goes on counting
    through restarts. Raises RecvTimeout unless there is a `default`, ValidationFailed for a message of another type.
    """
    line = place("recv").current_branch()
    seconds = None if timeout is None else seconds_of(timeout, "timeout")
    return messages.recv(line.execution, line.take(), check_topic(topic), payload_type(type), seconds, default)


def set_value(key: str, value: Any) -> Coroutine[Any, Any, None]:
    """Publish a value of this run under a key, for anybody to read; the last one counts. Recorded as a step."""
    line = place("set_value").current_branch()
    return values.set_value(line.execution, line.take(), check_name(key, "key"), value)


def get_value(
    workflow_id: str,
    key: str,
    *,
    type: Any = Any,
    timeout: timedelta | float | None = None,
    default: Any = UNSET,
) -> Coroutine[Any, Any, Any]:
    """The published value of a run; waits until it is set. Recorded, so that every replay sees the same.

    Raises ValueTimeout unless there is a `default`, WorkflowNotFound, ValidationFailed for another type.
    """
    here = current_scope.get()
    if isinstance(here, StepScope):  # in a step it is part of what the step does
        app = here.execution.app
        wanted = check_id(workflow_id), check_name(key, "key"), payload_type(type)
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        return here.execution.of_step(app.in_loop(lambda: talk.get_value(app, *wanted, seconds, default)))
    line = place("get_value").current_branch()
    seconds = None if timeout is None else seconds_of(timeout, "timeout")
    return values.get_value(
        line.execution,
        line.take(),
        check_id(workflow_id),
        check_name(key, "key"),
        payload_type(type),
        seconds,
        default,
    )


def sleep(duration: timedelta | float) -> Coroutine[Any, Any, None]:
    """Sleep durably (timedelta or seconds): after a restart only the rest is slept. ValueError for a negative time."""
    line = place("sleep").current_branch()
    return sleeping.sleep(line.execution, line.take(), seconds=seconds_of(duration, "duration"))


pause = sleep


def sleep_until(moment: datetime) -> Coroutine[Any, Any, None]:
    """Sleep durably until an aware time; one in the past returns at once. ValueError for a naive time."""
    line = place("sleep_until").current_branch()
    return sleeping.sleep(line.execution, line.take(), until_ms=to_ms(moment))


def check_topic(topic: str) -> str:
    return check_name(topic, "topic") if topic else ""


# People


def wait_for_approval(
    title: str | None = None,
    *,
    timeout: timedelta | float | None = None,
    details: Any = None,
    form: Any = None,
    assignees: Sequence[str] = (),
) -> Coroutine[Any, Any, ApprovalResult]:
    """Wait until a person decides: `decision = await turbine.wait_for_approval("Ship it?", timeout=…)`.

    The gate is a row of its own, with `details` (any JSON) and a `form` (a pydantic model, another type, or a JSON
    Schema) for whoever decides by `rt.approve`, HTTP, command line or dashboard. Meanwhile the run's status is
    WAITING_FOR_APPROVAL. The first decision counts, and is recorded. Raises ApprovalTimeout when `timeout` (timedelta
    or seconds, going on through restarts) is over, ValidationFailed for a form that is no schema.

    `assignees` are e-mail addresses of those who are asked: it is in their inboxes, and notifications name them. Over
    HTTP other approvers may not decide it, operators and admins may. They are kept when the gate opens; a replay with
    others changes nothing. Raises ValueError for what is no address.
    """
    line = place("wait_for_approval").current_branch()
    return approvals.wait_for_approval(
        line.execution,
        line.take(),
        title=None if title is None else check_name(title, "title"),
        details=details,
        form=form,
        schema=approvals.schema_of(form),
        timeout=None if timeout is None else seconds_of(timeout, "timeout"),
        assignees=approvals.assignees_of(assignees),
    )


APP_STATUS_COLORS = ("green", "red", "yellow", "blue", "gray", "lime", "orange", "purple", "pink", "cyan")


def set_app_status(label: str, color: str) -> Coroutine[Any, Any, None]:
    """Show what this run is doing, in your own words, on its row: `await turbine.set_app_status("packing", "blue")`.

    In workflows and steps. A body's is not written again while it is replayed. Raises ValueError for an empty label or
    a colour that is none of green, red, yellow, blue, gray, lime, orange, purple, pink, cyan.
    """
    check_name(label, "label")
    if color not in APP_STATUS_COLORS:
        raise ValueError(f"{color!r} is no colour of an app status; choose one of {', '.join(APP_STATUS_COLORS)}")
    here = current_scope.get()
    if type(here) is StepScope:
        return here.execution.of_step(app_status.set_in_step(here.execution, label, color))
    line = place("set_app_status").current_branch()
    return app_status.set_in_body(line.execution, line.take_note(), label, color)


def send_notification(channel: str, message: str, *, wait: bool = True) -> Coroutine[Any, Any, None]:
    """Send a text to the people behind an alert channel: `await turbine.send_notification("ops", "Stock is low")`.

    In a body it is recorded like a step and is one delivery, also across crashes; in a step it is part of the step. A
    disabled channel hears nothing of it; quiet hours do not hold it back. With `wait` it returns when the service has
    taken the text. Raises NotFound for an unknown channel, ValueError for an empty text, and with `wait` DeliveryFailed
    after the last attempt.
    """
    here = current_scope.get()
    if type(here) is StepScope:
        return here.execution.of_step(_notify(here.execution, None, channel, message, wait))
    line = place("send_notification").current_branch()
    position = line.take()
    act = partial(_notify, line.execution, position, channel, message, wait)
    definition = StepDefinition(fn=act, name=SEND_NOTIFICATION, is_async=True)
    definition.__dict__["result"] = _ANYTHING
    return call_step(line.execution, position, definition, (), {})


async def _notify(execution: Execution, position: str | None, channel: str, message: str, wait: bool) -> None:
    await notifications.send(
        execution.app,
        channel,
        message,
        wait=wait,
        run=execution.run,
        workflow_id=execution.id,
        place=position,
    )


# Files


def send_product(
    file_name: str, data: Any, metadata: Mapping[str, Any] | None = None
) -> Coroutine[Any, Any, ProductRecord]:
    """Keep a file that this step made, and have it sent: `await turbine.send_product("report.pdf", data)`.

    `data` is bytes, a `pathlib.Path`, a binary file, or an iterator or async iterator of bytes; it is read in pieces,
    in a thread where it blocks. Durable when it returns; sent in the background if there is a sender. Kept once for
    each step and file name: a step that runs again gets the first record, and `data` is not read. `metadata` is a JSON
    object. Raises NotInStep outside of steps, ValueError for a name that is empty or holds a NUL, SerializationError,
    TypeError, and what reading `data` raises.
    """
    return store_product(frame_of_step(), file_name, data, metadata, in_thread=False)


# Helpers that are recorded


def now() -> Coroutine[Any, Any, datetime]:
    """The time at which this place was first reached, as an aware UTC datetime; the same in every replay."""
    line = place("now").current_branch()
    clock = line.execution.app.clock
    return call_step(line.execution, line.take(), _helper(NOW, partial(_now, clock), datetime), (), {})


def uuid4() -> Coroutine[Any, Any, uuid.UUID]:
    """A random UUID (RFC 9562, version 4), the same in every replay."""
    line = place("uuid4").current_branch()
    return call_step(line.execution, line.take(), _helper(UUID4, _uuid4, uuid.UUID), (), {})


def random() -> Coroutine[Any, Any, float]:
    """A random number in [0, 1), the same in every replay."""
    line = place("random").current_branch()
    return call_step(line.execution, line.take(), _helper(RANDOM, _random, float), (), {})


def _helper(name: str, fn: Callable[[], Any], result: Any) -> StepDefinition:
    definition = _HELPERS.get(name)
    if definition is None or definition.fn is not fn:
        definition = _HELPERS[name] = StepDefinition(fn=fn, name=name, is_async=True)
        definition.__dict__["result"] = payload_type(result)
    return definition


_HELPERS: dict[str, StepDefinition] = {}


async def _now(clock: Any) -> datetime:
    return to_datetime(clock.now_ms()) if clock is not None else datetime.now(UTC)


async def _uuid4() -> uuid.UUID:
    return uuid.uuid4()


async def _random() -> float:
    return random_.random()


def patched(name: str) -> Coroutine[Any, Any, bool]:
    """True if this run takes the new branch of a code change, False if it went past this place before the change.

    The answer is recorded under the name and is the same in every replay and at every place that asks for it.
    """
    line = place("patched").current_branch()
    return patches.patched(line.execution, PATCH + check_name(name, "patch name"), not line.has_more())


# The store


_ANYTHING = payload_type(Any)
_KV_PAGE = payload_type(Page[KVRecord])


class KvWords:
    """`turbine.kv`: the global key-value store. In the body of a workflow each call is recorded like a step."""

    def get(self, key: str, type: Any = Any, default: Any = None) -> Coroutine[Any, Any, Any]:
        """The value of a key, decoded as `type`; `default` when there is none. Raises ValidationFailed, ValueError."""
        here = current_scope.get()
        if isinstance(here, StepScope):
            return here.execution.of_step(_store_of(here.execution).get(key, type, default))
        line = place("kv.get").current_branch()
        return _kv_get(line.execution, line.take(), key, payload_type(type), default)

    def set(self, key: str, value: Any, expect: Any = UNSET) -> Coroutine[Any, Any, None]:
        """Write a key. With `expect` only if the stored value is the expected one (`MISSING`: only if there is none).

        In a body it may run twice if the process dies before it is recorded. Raises Conflict, ValueError,
        ValidationFailed for a value against the key's schema, SerializationError.
        """
        return self._call("set", "set", key, value, expect)

    def delete(self, key: str) -> Coroutine[Any, Any, None]:
        """Remove a key; fine when there is none. Raises ValueError for an empty key."""
        return self._call("delete", "delete", key)

    def list(
        self, prefix: str = "", *, limit: int = 100, cursor: str | None = None
    ) -> Coroutine[Any, Any, Page[KVRecord]]:
        """One page of the keys that begin with exactly this text, in the order of their characters."""
        return self._call("list", "list", prefix, result=_KV_PAGE, limit=limit, cursor=cursor)

    def _call(
        self, word: str, act: str, *args: Any, result: PayloadType[Any] = _ANYTHING, **kwargs: Any
    ) -> Coroutine[Any, Any, Any]:
        here = current_scope.get()
        if type(here) is StepScope:
            return here.execution.of_step(_kv_act(here.execution, act, args, kwargs))
        line = place(f"kv.{word}").current_branch()
        fn = partial(_kv_act, line.execution, act, args, kwargs)
        definition = StepDefinition(fn=fn, name=f"{KV}{word}", is_async=True)
        definition.__dict__["result"] = result
        return call_step(line.execution, line.take(), definition, (), {})


def _store_of(execution: Execution) -> Kv:
    return Kv(lambda: execution.app)


async def _kv_act(execution: Execution, act: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if act in ("set", "delete"):
        kwargs = {**kwargs, "by": f"run:{execution.id}"}
    return await getattr(_store_of(execution), act)(*args, **kwargs)


async def _kv_get(execution: Execution, position: str, key: str, kind: PayloadType[Any], default: Any) -> Any:
    """A look into the store, recorded as the text of what was found, in a list of one."""
    name, what = f"{KV}get", f"the value of key {key!r}"

    async def look() -> list[str] | None:
        found = await _store_of(execution).get_or_missing(key)
        return None if found is None else [kind.take(found[0], what)[0]]

    definition = StepDefinition(fn=look, name=name, is_async=True)
    definition.__dict__["result"] = _ANYTHING
    found = await call_step(execution, position, definition, (), {})
    return default if found is None else execution.recall(position, name, kind, found[0], what, is_sealed=False)


kv = KvWords()


# Where am I


class Context:
    """Where the running code stands: `.workflow_id`, `.step_id`, `.attempt`, `.is_replaying`, `.runtime`, `.app`."""

    __slots__ = ("_execution", "_frame")

    def __init__(self, execution: Execution, frame: StepScope | None) -> None:
        self._execution = execution
        self._frame = frame

    @property
    def runtime(self) -> Any:
        """The runtime that carries this run out."""
        return self._execution.app.user_runtime

    @property
    def app(self) -> Any:
        """The host ASGI application, or None."""
        return self._execution.app.asgi_app

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """The logger of this run and step; see `turbine.logger`."""
        return logger()

    @property
    def workflow_id(self) -> str:
        return self._execution.id

    @property
    def step_id(self) -> str | None:
        """The position of the running step; None in the body of a workflow."""
        return None if self._frame is None else self._frame.position

    @property
    def attempt(self) -> int:
        """In a step the number of its attempt, in a body that of the run; both from 1."""
        return self._execution.attempt if self._frame is None else self._frame.attempt

    @property
    def is_replaying(self) -> bool:
        """Whether the body is still going over what an earlier life recorded."""
        return self._frame is None and self._execution.is_replaying


def current() -> Context:
    """Where the running code stands. Raises NotInWorkflow outside of runs."""
    here = current_scope.get()
    if type(here) is WorkflowScope:
        return Context(here.execution, None)
    if type(here) is StepScope:
        return Context(here.execution, here)
    raise NotInWorkflow("turbine.current() was used outside of a run; start one with rt.run(...)")


def logger() -> logging.LoggerAdapter[logging.Logger]:
    """A logger whose records carry `workflow_id` and `step_id`; outside of runs they are None.

    In a run, its records from INFO on are stored (`rt.logs`) for 5 days, and so is what any other logger of the process
    lets through while a body or a step of the run runs. Storing never slows the run down; a crash loses the last
    moment. What a replayed body logs again is not stored again.
    """
    here = current_scope.get()
    if type(here) is WorkflowScope or type(here) is StepScope:
        app = here.execution.app
        step_id = here.position if type(here) is StepScope else None
        extra = {"workflow_id": here.execution.id, "step_id": step_id, "executor_id": app.executor_id}
        return RunLogger(app.logger, app.log_sink, extra)
    return RunLogger(logging.getLogger("turbine.run"), None, {"workflow_id": None, "step_id": None})


def check_cancelled() -> None:
    """Raise if nobody wants to know the outcome any more: for long blocking steps. Outside of runs it does nothing.

    That is so when the run was cancelled, when this process shuts down and waits no longer, when the time of this
    attempt is up, and when the body broke the call off. Code in a thread gets `turbine.Cancelled`, code of the event
    loop `asyncio.CancelledError`.
    """
    here = current_scope.get()
    if type(here) is WorkflowScope or type(here) is StepScope:
        execution = here.execution
        is_step = type(here) is StepScope
        if is_step and here.is_given_up:
            raise cancelled("the outcome of this attempt is no longer awaited")
        # While the database is away a step goes on: its outcome is kept until it can be recorded.
        if execution.signal is not None and not (is_step and execution.signal is Signal.AWAY):
            raise execution.ending() if execution.signal is Signal.FORKED else cancelled(execution.reason)


__all__ = [
    "Cancelled",
    "Context",
    "Handle",
    "Step",
    "StepTask",
    "Workflow",
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
    "send_notification",
    "send_product",
    "set_app_status",
    "set_value",
    "sleep",
    "sleep_until",
    "step",
    "uuid4",
    "wait_for_approval",
    "workflow",
]
