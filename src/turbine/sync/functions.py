"""The words of bodies and steps, for blocking code: they drive the same operations in the thread of the run."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, TypeVar, overload

from turbine import api
from turbine.engine.execution import BackgroundStep, Execution, run_inline
from turbine.engine.ops.products import frame_of_step, store_product
from turbine.engine.scope import Branch, WorkflowScope, place
from turbine.model.approvals import ApprovalResult
from turbine.model.kv import KVRecord
from turbine.model.products import ProductRecord
from turbine.model.workflows import Page
from turbine.registry import UNSET, StepBase, WorkflowBase, current_scope
from turbine.sync.handles import Handle, drive, refuse_in_async

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@overload
def do(fn: StepBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
@overload
def do(fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
@overload
def do(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
def do(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Run any callable as a step: `turbine.do(fetch, url)`. Coroutine functions run in the runtime's loop."""
    refuse_in_async("do")
    here = current_scope.get()
    if here is not None and type(here) is not WorkflowScope:
        return here.step(api.step_definition(fn), args, kwargs)
    return run_inline(api.begin_step("do", fn, args, kwargs))


class StepTask(Generic[R]):
    """A step that runs beside the body, in a thread."""

    def __init__(self, future: Future[R], execution: Execution, background: BackgroundStep) -> None:
        self._future = future
        self._execution = execution
        self._errand = background

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> R:
        """Its value, once it is done; raises its error."""
        self.exception()
        return self._future.result()

    def exception(self) -> BaseException | None:
        """Its error, once it is done; None when it succeeded."""
        error = self._future.exception()
        self._execution.has_outcome(self._errand.function_id)
        return error


@overload
def do_async(fn: StepBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
def do_async(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Start a step now, in a thread of its own, and go on; it takes its position here."""
    refuse_in_async("do_async")
    execution = place("do_async").execution
    execution.check()
    background = BackgroundStep(execution)
    operation = api.begin_step("do_async", fn, args, kwargs, background)
    return StepTask(_beside(lambda: run_inline(operation)), execution, background)


def _beside(call: Callable[[], T]) -> Future[T]:
    """Make a call in another thread, which sees this context. While no thread is free it is made here."""
    future: Future[T] = Future()
    context = copy_context()

    def carry() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - the user's function; whoever asks the future gets it
            future.set_exception(error)

    threads = place("do_async").execution.app.threads
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
    refuse_in_async("gather")
    if type(current_scope.get()) is not WorkflowScope:
        futures = [branch() if callable(branch) else branch for branch in branches]
        return [one.result() if isinstance(one, StepTask) else one for one in futures]
    line = place("gather").current_branch()
    position = line.take()
    line.execution.check()
    started: list[Any] = []
    for index, branch in enumerate(branches):
        if callable(branch):
            started.append(_beside(_branch(Branch(line.execution, f"{position}.{index}.", None), branch)))
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


def _branch(line: Branch, branch: Callable[[], T]) -> Callable[[], T]:
    def run_branch() -> T:
        line.owner = threading.get_ident()
        current_scope.set(WorkflowScope(line, 0))
        return branch()

    return run_branch


# The other words


def run(workflow: WorkflowBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
    """Start a workflow from within a workflow and go on; see `turbine.run`."""
    refuse_in_async("run")
    handle = run_inline(api.run(workflow, *args, **kwargs))
    return Handle(handle, None)


def send(workflow_id: str, message: Any, topic: str = "") -> None:
    """Put a message into another run's mailbox; see `turbine.send`."""
    refuse_in_async("send")
    run_inline(api.send(workflow_id, message, topic))


def recv(topic: str = "", *, type: Any = Any, timeout: timedelta | float | None = None, default: Any = UNSET) -> Any:
    """The oldest unread message of a topic; see `turbine.recv`."""
    refuse_in_async("recv")
    return run_inline(api.recv(topic, type=type, timeout=timeout, default=default))


def set_value(key: str, value: Any) -> None:
    """Publish a value of this run; see `turbine.set_value`."""
    refuse_in_async("set_value")
    run_inline(api.set_value(key, value))


def get_value(
    workflow_id: str, key: str, *, type: Any = Any, timeout: timedelta | float | None = None, default: Any = UNSET
) -> Any:
    """The published value of a run; see `turbine.get_value`."""
    refuse_in_async("get_value")
    return drive(api.get_value(workflow_id, key, type=type, timeout=timeout, default=default))


def sleep(duration: timedelta | float) -> None:
    """Sleep durably; see `turbine.sleep`."""
    refuse_in_async("sleep")
    run_inline(api.sleep(duration))


pause = sleep


def sleep_until(moment: datetime) -> None:
    """Sleep durably until an aware time; see `turbine.sleep_until`."""
    refuse_in_async("sleep_until")
    run_inline(api.sleep_until(moment))


def wait_for_approval(
    title: str | None = None,
    *,
    timeout: timedelta | float | None = None,
    details: Any = None,
    form: Any = None,
    assignees: Sequence[str] = (),
) -> ApprovalResult:
    """Wait until a person decides; see `turbine.wait_for_approval`."""
    refuse_in_async("wait_for_approval")
    act = api.wait_for_approval(title, timeout=timeout, details=details, form=form, assignees=assignees)
    return run_inline(act)


def send_notification(channel: str, message: str, *, wait: bool = True) -> None:
    """Send a text to the people behind an alert channel; see `turbine.send_notification`."""
    refuse_in_async("send_notification")
    drive(api.send_notification(channel, message, wait=wait))


def set_app_status(label: str, color: str) -> None:
    """Show what this run is doing; see `turbine.set_app_status`."""
    refuse_in_async("set_app_status")
    drive(api.set_app_status(label, color))


def send_product(file_name: str, data: Any, metadata: Mapping[str, Any] | None = None) -> ProductRecord:
    """Keep a file that this step made; see `turbine.send_product`. What blocks in `data` is read in this thread."""
    frame = frame_of_step()
    refuse_in_async("send_product")
    return run_inline(store_product(frame, file_name, data, metadata, in_thread=True))


def now() -> datetime:
    """The time at which this place was first reached; see `turbine.now`."""
    refuse_in_async("now")
    return run_inline(api.now())


def uuid4() -> uuid.UUID:
    """A random UUID, the same in every replay; see `turbine.uuid4`."""
    refuse_in_async("uuid4")
    return run_inline(api.uuid4())


def random() -> float:
    """A random number in [0, 1), the same in every replay; see `turbine.random`."""
    refuse_in_async("random")
    return run_inline(api.random())


def patched(name: str) -> bool:
    """Whether this run takes the new branch of a code change; see `turbine.patched`."""
    refuse_in_async("patched")
    return run_inline(api.patched(name))


class KvWords:
    """`turbine.kv` for blocking bodies and steps; see `turbine.kv`."""

    def get(self, key: str, type: Any = Any, default: Any = None) -> Any:
        """The value of a key, decoded as `type`; `default` when there is none."""
        refuse_in_async("kv.get")
        return drive(api.kv.get(key, type, default))

    def set(self, key: str, value: Any, expect: Any = UNSET) -> None:
        """Write a key, with `expect` only if the stored value is the expected one. Raises Conflict."""
        refuse_in_async("kv.set")
        drive(api.kv.set(key, value, expect))

    def delete(self, key: str) -> None:
        """Remove a key; fine when there is none."""
        refuse_in_async("kv.delete")
        drive(api.kv.delete(key))

    def list(self, prefix: str = "", *, limit: int = 100, cursor: str | None = None) -> Page[KVRecord]:
        """One page of the keys that begin with exactly this text, in the order of their characters."""
        refuse_in_async("kv.list")
        return drive(api.kv.list(prefix, limit=limit, cursor=cursor))


kv = KvWords()
