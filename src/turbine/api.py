"""The functions for bodies of workflows and steps: `turbine.do`, `turbine.send`, `turbine.sleep` and the others.

A durable function takes its position when it is called and acts when it is awaited, so `asyncio.gather(charge(a),
charge(b))` takes the same positions in every replay. `turbine.sync` has the same functions for blocking code.
"""

from __future__ import annotations

import asyncio
import random as random_
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar, overload

from turbine.clock import to_datetime, to_ms
from turbine.codec import PayloadType, payload_type
from turbine.context import Context, check_cancelled, current, logger
from turbine.engine.execution import BackgroundStep, Execution
from turbine.engine.handles import Handle
from turbine.engine.ops import app_status, approvals, messages, patches, values
from turbine.engine.ops import sleep as sleeping
from turbine.engine.ops.children import start_child
from turbine.engine.ops.products import frame_of_step, store_product
from turbine.engine.ops.steps import call_step
from turbine.engine.scope import Branch, WorkflowScope, place
from turbine.engine.step_scope import StepScope
from turbine.errors import Cancelled
from turbine.ids import check_id, check_name
from turbine.model.approvals import ApprovalResult
from turbine.model.kv import KVRecord
from turbine.model.positions import PATCH
from turbine.model.products import ProductRecord
from turbine.model.words import KV, NOW, RANDOM, SEND_NOTIFICATION, UUID4
from turbine.model.workflows import Page
from turbine.operations import notifications
from turbine.operations.kv import Kv
from turbine.queries import results
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


def step_definition(fn: Any) -> StepDefinition:
    """Returns the definition of a step, or one for any other callable, under its name."""
    if isinstance(fn, StepBase):
        return fn.definition
    if isinstance(fn, WorkflowBase):
        raise TypeError(f"{fn!r} is a workflow. Call it, or start it with turbine.run")
    is_async = check_function(fn, "step")
    return StepDefinition(fn=fn, name=name_of(fn), is_async=is_async)


def begin_step(
    name: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], background: BackgroundStep | None = None
) -> Coroutine[Any, Any, Any]:
    """Takes a position for a step; the coroutine runs or replays it. `name` is the function that the body called."""
    definition = step_definition(fn)
    scope = current_scope.get()
    if type(scope) is StepScope:
        return _inline(scope.execution, definition, args, kwargs)
    return call_step(*_take(name), definition, args, kwargs, background)


def _take(name: str) -> tuple[Execution, str]:
    """Takes the next position of the running branch. Raises NotInWorkflow outside of bodies, naming the function."""
    branch = place(name).current_branch()
    return branch.execution, branch.take()


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
    """Run any callable as a step: `await turbine.do(fetch, url)`. Blocking functions run in a thread.

    The step is named after the function; for options: `turbine.do(turbine.step(fn, name="fetch", retries=3), url)`.
    """
    return begin_step("do", fn, args, kwargs)


class StepTask(Generic[R]):
    """A step that runs while the body goes on: `await task` returns its value, or raises its error."""

    def __init__(self, task: asyncio.Task[R]) -> None:
        self._task = task

    def __await__(self) -> Generator[Any, None, R]:
        return self._task.__await__()

    def done(self) -> bool:
        """Whether the step has ended."""
        return self._task.done()

    def result(self) -> R:
        """The value of the step. Raises its error, or InvalidStateError while it runs."""
        return self._task.result()

    def exception(self) -> BaseException | None:
        """The error of the step, or None if it succeeded. Raises InvalidStateError while it runs."""
        return self._task.exception()


@overload
def do_async(fn: StepBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
def do_async(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Start a step now and go on; it takes its position now. Await the task before the body returns."""
    task = asyncio.ensure_future(begin_step("do_async", fn, args, kwargs))
    scope = current_scope.get()
    if type(scope) is WorkflowScope:
        keep(scope.execution, task)
    return StepTask(task)


def keep(execution: Execution, task: asyncio.Task[Any]) -> None:
    """Registers a task of a run, so that it ends with the run."""
    execution.tasks.add(task)
    task.add_done_callback(execution.tasks.discard)


def gather(*branches: Awaitable[Any], return_exceptions: bool = False) -> Coroutine[Any, Any, list[Any]]:
    """Run branches at once, each with its own positions, so that each may make any number of durable calls.

    As with `asyncio.gather`, results are in the order of the branches; the first error is raised, and the other
    branches go on. With `return_exceptions` errors are among the results.
    """
    if type(current_scope.get()) is not WorkflowScope:
        return _gather(branches, return_exceptions)
    execution, position = _take("gather")
    return _gather(
        [_in_branch(Branch(execution, f"{position}.{index}.", None), branch) for index, branch in enumerate(branches)],
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


async def _in_branch(branch: Branch, awaitable: Awaitable[Any]) -> Any:
    branch.owner = asyncio.current_task()
    current_scope.set(WorkflowScope(branch, 0))
    return await awaitable


def run(workflow: WorkflowBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Handle[R]]:
    """Start a workflow as a child of this run and go on; recorded, so that a replay finds the same run.

    Its id is derived from this run and position unless `options(id=...)` sets one. Cancelling this run cancels its
    children. Raises what `rt.run` raises; these errors are recorded, too.
    """
    return _run(*_take("run"), workflow, args, kwargs)


async def _run(
    execution: Execution,
    position: str,
    workflow: WorkflowBase[..., R],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Handle[R]:
    definition = workflow.definition
    result = definition.result  # raises for an annotation that cannot be resolved, before anything is started
    child_id = await start_child(execution, position, definition, workflow.start_options, args, kwargs)
    return Handle(child_id, result, execution.app.run_reader, definition)


def send(workflow_id: str, message: Any, topic: str = "") -> Coroutine[Any, Any, None]:
    """Send a message to the mailbox of another run; exactly once for this position, also across crashes.

    Raises WorkflowNotFound for an unknown id, SerializationError.
    """
    return messages.send(*_take("send"), check_id(workflow_id), message, check_topic(topic))


def recv(
    topic: str = "", *, type: Any = Any, timeout: timedelta | float | None = None, default: Any = UNSET
) -> Coroutine[Any, Any, Any]:
    """Receive the oldest unread message of a topic; waits until there is one.

    Taking it and recording it are one transaction. The timeout (timedelta or seconds; 0 does not wait) keeps counting
    across restarts. Raises RecvTimeout unless there is a `default`, ValidationFailed for a message of another type.
    """
    seconds = None if timeout is None else seconds_of(timeout, "timeout")
    return messages.recv(*_take("recv"), check_topic(topic), payload_type(type), seconds, default)


def set_value(key: str, value: Any) -> Coroutine[Any, Any, None]:
    """Publish a value of this run under a key, for everyone to read; replaces the previous one. Recorded as a step."""
    return values.set_value(*_take("set_value"), check_name(key, "key"), value)


def get_value(
    workflow_id: str,
    key: str,
    *,
    type: Any = Any,
    timeout: timedelta | float | None = None,
    default: Any = UNSET,
) -> Coroutine[Any, Any, Any]:
    """Read a published value of a run; waits until it is set. Recorded, so that a replay reads the same value.

    Raises ValueTimeout unless there is a `default`, WorkflowNotFound, ValidationFailed for another type.
    """
    scope = current_scope.get()
    if isinstance(scope, StepScope):  # part of the step, and not recorded by itself
        app = scope.execution.app
        selected = check_id(workflow_id), check_name(key, "key"), payload_type(type)
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        return scope.execution.of_step(app.in_loop(lambda: results.await_value(app, *selected, seconds, default)))
    seconds = None if timeout is None else seconds_of(timeout, "timeout")
    return values.get_value(
        *_take("get_value"),
        check_id(workflow_id),
        check_name(key, "key"),
        payload_type(type),
        seconds,
        default,
    )


def sleep(duration: timedelta | float) -> Coroutine[Any, Any, None]:
    """Sleep durably (timedelta or seconds): the time keeps counting across restarts. Raises ValueError if negative."""
    return sleeping.sleep(*_take("sleep"), seconds=seconds_of(duration, "duration"))


pause = sleep


def sleep_until(moment: datetime) -> Coroutine[Any, Any, None]:
    """Sleep durably until an aware time; returns at once if it has passed. Raises ValueError for a naive time."""
    return sleeping.sleep(*_take("sleep_until"), until_ms=to_ms(moment))


def check_topic(topic: str) -> str:
    return check_name(topic, "topic") if topic else ""


def wait_for_approval(
    title: str | None = None,
    *,
    timeout: timedelta | float | None = None,
    details: Any = None,
    form: Any = None,
    assignees: Sequence[str] = (),
) -> Coroutine[Any, Any, ApprovalResult]:
    """Wait until a person decides: `decision = await turbine.wait_for_approval("Ship it?", timeout=…)`.

    The approval shows `details` (any JSON) and a `form` (a pydantic model, another type, or a JSON Schema), and is
    decided with `rt.approve`, HTTP, the command line or the dashboard. Meanwhile the status of the run is
    WAITING_FOR_APPROVAL. The first decision counts, and is recorded. Raises ApprovalTimeout after `timeout` (timedelta
    or seconds, which keep counting across restarts), ValidationFailed for an invalid form.

    `assignees` are the e-mail addresses of the people who are asked: they find it in their inboxes, and notifications
    name them. Over HTTP other approvers cannot decide it, but operators and admins can. They are stored with the
    approval; a replay with others changes nothing. Raises ValueError for an invalid address.
    """
    return approvals.wait_for_approval(
        *_take("wait_for_approval"),
        title=None if title is None else check_name(title, "title"),
        details=details,
        form=form,
        schema=approvals.schema_of(form),
        timeout=None if timeout is None else seconds_of(timeout, "timeout"),
        assignees=approvals.assignees_of(assignees),
    )


APP_STATUS_COLORS = ("green", "red", "yellow", "blue", "gray", "lime", "orange", "purple", "pink", "cyan")


def set_app_status(label: str, color: str) -> Coroutine[Any, Any, None]:
    """Show what this run is doing, in your own words: `await turbine.set_app_status("packing", "blue")`.

    For workflows and steps; a replay does not set it again. Raises ValueError for an empty label, and for a colour
    other than green, red, yellow, blue, gray, lime, orange, purple, pink and cyan.
    """
    check_name(label, "label")
    if color not in APP_STATUS_COLORS:
        raise ValueError(f"{color!r} is not a colour of an app status. Choose one of {', '.join(APP_STATUS_COLORS)}")
    scope = current_scope.get()
    if type(scope) is StepScope:
        return scope.execution.of_step(app_status.set_in_step(scope.execution, label, color))
    branch = place("set_app_status").current_branch()
    return app_status.set_in_body(branch.execution, branch.take_note(), label, color)


def send_notification(channel: str, message: str, *, wait: bool = True) -> Coroutine[Any, Any, None]:
    """Send a message to an alert channel: `await turbine.send_notification("ops", "Stock is low")`.

    In a body it is recorded like a step and delivered once, also across crashes; in a step it is part of the step. It
    is sent also in quiet hours, but not to a disabled channel. With `wait` it returns when the service has accepted the
    message. Raises NotFound for an unknown channel, ValueError for an empty message, and with `wait` DeliveryFailed
    after the last attempt.
    """
    scope = current_scope.get()
    if type(scope) is StepScope:
        return scope.execution.of_step(_notify(scope.execution, None, channel, message, wait))
    execution, position = _take("send_notification")
    act = partial(_notify, execution, position, channel, message, wait)
    definition = StepDefinition(fn=act, name=SEND_NOTIFICATION, is_async=True)
    definition.__dict__["result"] = _ANYTHING
    return call_step(execution, position, definition, (), {})


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


def send_product(
    file_name: str, data: Any, metadata: Mapping[str, Any] | None = None
) -> Coroutine[Any, Any, ProductRecord]:
    """Store a file that this step has made, and send it: `await turbine.send_product("report.pdf", data)`.

    `data` is bytes, a `pathlib.Path`, a binary file, or an iterator or async iterator of bytes; it is read in blocks,
    in a thread if it blocks. It is durable when this returns, and sent in the background if there is a sender. It is
    stored once for each step and file name: a step that runs again gets the first record, and `data` is not read.
    `metadata` is a JSON object. Raises NotInStep outside of steps, ValueError for a name that is empty or contains NUL,
    SerializationError, TypeError, and what reading `data` raises.
    """
    return store_product(frame_of_step(), file_name, data, metadata, in_thread=False)


def now() -> Coroutine[Any, Any, datetime]:
    """The time as an aware UTC datetime; recorded, so that a replay gets the same."""
    execution, position = _take("now")
    return call_step(execution, position, _helper(NOW, partial(_now, execution.app.clock), datetime), (), {})


def uuid4() -> Coroutine[Any, Any, uuid.UUID]:
    """A random UUID (RFC 9562, version 4); recorded, so that a replay gets the same."""
    return call_step(*_take("uuid4"), _helper(UUID4, _uuid4, uuid.UUID), (), {})


def random() -> Coroutine[Any, Any, float]:
    """A random number in [0, 1); recorded, so that a replay gets the same."""
    return call_step(*_take("random"), _helper(RANDOM, _random, float), (), {})


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
    """Whether this run takes the new branch of a code change: False if it passed this point before the change.

    The answer is recorded under the name, and is the same in every replay and for every call with this name.
    """
    branch = place("patched").current_branch()
    return patches.patched(branch.execution, PATCH + check_name(name, "patch name"), not branch.has_more())


_ANYTHING = payload_type(Any)
_KV_PAGE = payload_type(Page[KVRecord])


class KvFunctions:
    """The global key-value store, `turbine.kv`. In the body of a workflow each call is recorded like a step."""

    def get(self, key: str, type: Any = Any, default: Any = None) -> Coroutine[Any, Any, Any]:
        """Read a key as `type`; `default` if it has no value. Raises ValidationFailed, ValueError."""
        scope = current_scope.get()
        if isinstance(scope, StepScope):
            return scope.execution.of_step(_store_of(scope.execution).get(key, type, default))
        return _kv_get(*_take("kv.get"), key, payload_type(type), default)

    def set(self, key: str, value: Any, expect: Any = UNSET) -> Coroutine[Any, Any, None]:
        """Write a key; with `expect` only if it has that value (`MISSING`: only if it has none).

        In a body it may run twice if the process dies before it is recorded. Raises Conflict if the key has another
        value than the expected one, ValueError, ValidationFailed if the value does not match the schema of the key,
        SerializationError.
        """
        return self._call("set", key, value, expect)

    def delete(self, key: str) -> Coroutine[Any, Any, None]:
        """Delete a key, if it exists. Raises ValueError for an empty key."""
        return self._call("delete", key)

    def list(
        self, prefix: str = "", *, limit: int = 100, cursor: str | None = None
    ) -> Coroutine[Any, Any, Page[KVRecord]]:
        """List one page of the keys with this prefix, in the order of their characters."""
        return self._call("list", prefix, result=_KV_PAGE, limit=limit, cursor=cursor)

    def _call(
        self, name: str, *args: Any, result: PayloadType[Any] = _ANYTHING, **kwargs: Any
    ) -> Coroutine[Any, Any, Any]:
        scope = current_scope.get()
        if type(scope) is StepScope:
            return scope.execution.of_step(_kv_act(scope.execution, name, args, kwargs))
        execution, position = _take(f"kv.{name}")
        fn = partial(_kv_act, execution, name, args, kwargs)
        definition = StepDefinition(fn=fn, name=f"{KV}{name}", is_async=True)
        definition.__dict__["result"] = result
        return call_step(execution, position, definition, (), {})


def _store_of(execution: Execution) -> Kv:
    return Kv(lambda: execution.app)


async def _kv_act(execution: Execution, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name in ("set", "delete"):
        kwargs = {**kwargs, "by": f"run:{execution.id}"}
    return await getattr(_store_of(execution), name)(*args, **kwargs)


async def _kv_get(execution: Execution, position: str, key: str, kind: PayloadType[Any], default: Any) -> Any:
    """Reads a key, and records its JSON text in a list of one; None for no value."""
    name, what = f"{KV}get", f"the value of key {key!r}"

    async def read() -> list[str] | None:
        stored = await _store_of(execution).get_or_missing(key)
        return None if stored is None else [kind.take(stored[0], what)[0]]

    definition = StepDefinition(fn=read, name=name, is_async=True)
    definition.__dict__["result"] = _ANYTHING
    recorded = await call_step(execution, position, definition, (), {})
    return default if recorded is None else execution.recall(position, name, kind, recorded[0], what, is_sealed=False)


kv = KvFunctions()


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
