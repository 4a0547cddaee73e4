"""Waits in a blocking thread for what asynchronous code does, and refuses to wait in the event loop that does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from turbine.engine.execution import Execution, run_inline
from turbine.engine.handles import Handle as AsyncHandle
from turbine.engine.scope import WorkflowScope
from turbine.engine.step_scope import StepScope
from turbine.errors import NotInWorkflow
from turbine.registry import current_scope
from turbine.threads import running_loop

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Inner = TypeVar("Inner")


def refuse_in_async(name: str, instead: str | None = None) -> None:
    """Raises TypeError where a blocking call would stop the event loop of a run; `instead` is the call for there."""
    scope = current_scope.get()
    if type(scope) is not WorkflowScope and type(scope) is not StepScope:
        return
    execution = scope.execution
    execution.app.store.check_process()
    is_in_loop = running_loop() is execution.app.loop
    instead = instead or f"turbine.{name}(...)"
    if type(scope) is StepScope:
        if is_in_loop:
            raise TypeError(
                f"turbine.sync.{name} was called in the async step {scope.name!r}. It would block the event loop; write"
                f" `await {instead}` instead"
            )
    elif execution.is_async:
        where = "" if is_in_loop else "a thread started by "
        raise TypeError(
            f"turbine.sync.{name} was called in {where}the async workflow {execution.definition.name!r}. It would block"
            f" the event loop; write `await {instead}` in the body instead"
        )


def call(name: str, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Carries out a durable function in this thread, or in the event loop when it is part of a step."""
    refuse_in_async(name)
    act = function(*args, **kwargs)
    scope = current_scope.get()
    return wait_in_thread(scope.execution, act) if type(scope) is StepScope else run_inline(act)


def wait_in_thread(execution: Execution, act: Coroutine[Any, Any, T]) -> T:
    """Waits for a coroutine in the event loop of a run; raises `Cancelled` when the run was cancelled meanwhile."""
    future = execution.app.ask(act)
    try:
        return future.result()
    except CancelledError:
        execution.check()
        raise


class Waiter(Protocol):
    """Waits for a coroutine in the event loop of a runtime: `Runtime.wait_for`."""

    def __call__(self, act: Awaitable[T], /) -> T: ...


class HasLoop(Protocol):
    """A blocking runtime, as a handle needs it."""

    def wait_for(self, act: Awaitable[T], /) -> T: ...


class BlockingResource(Generic[Inner]):
    """The base of `rt.kv`, `rt.schedules` and the other resources of a blocking runtime."""

    def __init__(self, inner: Inner, wait_for: Waiter) -> None:
        self._inner = inner
        self._wait_for = wait_for


class BlockingHandle(Generic[R]):
    """The base of `Handle`: waits through the runtime, or through the run in whose body the handle was made."""

    def __init__(self, inner: AsyncHandle[R], runtime: HasLoop | None) -> None:
        self._inner = inner
        self._runtime = runtime

    def _call(self, name: str, method: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        refuse_in_async(f"Handle.{name}", f"handle.{name}(...)")
        scope = current_scope.get()
        if type(scope) is WorkflowScope and name == "result":  # is recorded in a body
            return run_inline(method(*args, **kwargs))
        if self._runtime is not None:
            return self._runtime.wait_for(method(*args, **kwargs))
        if type(scope) is not WorkflowScope:
            raise NotInWorkflow(
                "This handle was created in the body of a workflow and works only there. Use rt.retrieve(id) elsewhere"
            )
        return wait_in_thread(scope.execution, method(*args, **kwargs))

    def __repr__(self) -> str:
        return repr(self._inner)
