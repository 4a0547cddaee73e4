"""Steps and branches of blocking code, which run in threads, and files that are read in the thread of their step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Generic, ParamSpec, TypeVar, overload

from turbine import api
from turbine.engine.execution import BackgroundStep, Execution, run_inline
from turbine.engine.ops.products import frame_of_step, store_product
from turbine.engine.scope import Branch, WorkflowScope, place
from turbine.engine.step_scope import StepScope
from turbine.model.products import ProductRecord
from turbine.registry import StepBase, current_scope
from turbine.sync.calls import refuse_in_async, wait_in_thread
from turbine.threads import start_thread

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
    """Run any callable as a step: `turbine.do(fetch, url)`. Coroutine functions run in the runtime's event loop.

    Recorded under the function's name; `turbine.do(turbine.step(fn, name="fetch", retries=3), url)` says more.
    """
    refuse_in_async("do")
    scope = current_scope.get()
    if type(scope) is StepScope:  # a step inside a step runs inline
        step = api.step_definition(fn)
        outcome = step.fn(*args, **kwargs)
        return wait_in_thread(scope.execution, outcome) if step.is_async else outcome
    return run_inline(api.begin_step("do", fn, args, kwargs))


class StepTask(Generic[R]):
    """A step that runs in a thread while the body goes on; `result()` waits for it."""

    def __init__(self, future: Future[R], execution: Execution, background: BackgroundStep) -> None:
        self._future = future
        self._execution = execution
        self._background = background

    def done(self) -> bool:
        """Whether the step has ended."""
        return self._future.done()

    def result(self) -> R:
        """The value of the step; waits until it has ended, and raises its error."""
        self.exception()
        return self._future.result()

    def exception(self) -> BaseException | None:
        """The error of the step, or None if it succeeded; waits until it has ended."""
        error = self._future.exception()
        self._execution.has_outcome(self._background.function_id)
        return error


@overload
def do_async(fn: StepBase[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
@overload
def do_async(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> StepTask[R]: ...
def do_async(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Start a step now, in a thread, and go on; it takes its position here. Take its result before the body ends."""
    refuse_in_async("do_async")
    execution = place("do_async").execution
    execution.check()
    background = BackgroundStep(execution)
    step = api.begin_step("do_async", fn, args, kwargs, background)
    return StepTask(_start_in_pool(execution, lambda: run_inline(step)), execution, background)


def gather(*branches: Any, return_exceptions: bool = False) -> list[Any]:
    """Run branches at once, each in a thread and with positions of its own, so that each may do any durable calls.

    A branch is a function without arguments (`functools.partial(branch, x)` for others); a `StepTask` is waited for;
    anything else counts as a value. Results are in the order of the branches. The first error is raised after all
    have ended; with `return_exceptions` errors are among the results. Outside of bodies nothing is recorded.
    """
    refuse_in_async("gather")
    scope = current_scope.get()
    if type(scope) is not WorkflowScope:
        started = [_start_beside(branch) if callable(branch) else branch for branch in branches]
        return _outcomes(started, return_exceptions)
    parent = place("gather").current_branch()
    execution, position = parent.execution, parent.take()
    execution.check()
    started = [
        _start_in_pool(execution, _in_branch(Branch(execution, f"{position}.{index}.", None), branch))
        if callable(branch)
        else branch
        for index, branch in enumerate(branches)
    ]
    return _outcomes(started, return_exceptions, execution)


def _outcomes(started: list[Any], return_exceptions: bool, execution: Execution | None = None) -> list[Any]:
    errors = [item.exception() if isinstance(item, (Future, StepTask)) else None for item in started]
    if execution is not None:
        execution.check()
    for error in errors:
        if error is not None and not (return_exceptions and isinstance(error, Exception)):
            raise error
    return [
        error if error is not None else item.result() if isinstance(item, (Future, StepTask)) else item
        for item, error in zip(started, errors, strict=True)
    ]


def _in_branch(branch: Branch, function: Callable[[], T]) -> Callable[[], T]:
    def run_branch() -> T:
        branch.owner = threading.get_ident()
        current_scope.set(WorkflowScope(branch, 0))
        return function()

    return run_branch


def _start_in_pool(execution: Execution, function: Callable[[], T]) -> Future[T]:
    """Calls a function in a thread of the runtime; in this thread while all are taken."""
    future, make = _call_in_context(function)
    threads = execution.app.threads
    if threads.in_use >= threads.maximum:
        make()
    else:
        threads.submit(make)
    return future


def _start_beside(function: Callable[[], T]) -> Future[T]:
    future, make = _call_in_context(function)
    start_thread(make, "turbine-gather")
    return future


def _call_in_context(function: Callable[[], T]) -> tuple[Future[T], Callable[[], None]]:
    future: Future[T] = Future()
    context = copy_context()

    def make() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    return future, make


def send_product(file_name: str, data: Any, metadata: Mapping[str, Any] | None = None) -> ProductRecord:
    """Keep a file that this step made, and have it sent: `turbine.send_product("report.pdf", data)`.

    `data` is bytes, a `pathlib.Path`, a binary file, or an iterator or async iterator of bytes; it is read in pieces,
    in this thread where it blocks. Durable when it returns; everything else is as in `turbine.send_product`.
    """
    scope = frame_of_step()
    refuse_in_async("send_product")
    return run_inline(store_product(scope, file_name, data, metadata, in_thread=True))
