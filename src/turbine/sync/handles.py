"""Handles for blocking code, and the guard of the event loop."""

from __future__ import annotations

from collections.abc import Coroutine
from concurrent.futures import CancelledError as CancelledFuture
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from turbine.engine.execution import Execution, run_inline
from turbine.engine.handles import Handle as AsyncHandle
from turbine.engine.scope import WorkflowScope
from turbine.engine.step_scope import StepScope
from turbine.errors import NotInWorkflow
from turbine.model.steps import StepInfo
from turbine.model.workflows import Status
from turbine.registry import current_scope
from turbine.threads import running_loop

if TYPE_CHECKING:
    from turbine.sync.runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def refuse_in_async(word: str) -> None:
    """Refuse a blocking word where it would stop the event loop, for ever if it waits for that loop."""
    here = current_scope.get()
    if type(here) is not WorkflowScope and type(here) is not StepScope:
        return
    execution = here.execution
    execution.app.store.check_process()
    is_in_loop = running_loop() is execution.app.loop
    if type(here) is StepScope:
        if is_in_loop:
            raise TypeError(
                f"turbine.sync.{word} blocks and was used in the async step {here.name!r}, where it would stop the"
                f" event loop; use `await turbine.{word}(...)` there"
            )
    elif execution.is_async:
        where = "" if is_in_loop else "a thread beside "
        raise TypeError(
            f"turbine.sync.{word} blocks and was used in {where}the async workflow {execution.definition.name!r}; use"
            f" `await turbine.{word}(...)` in its body"
        )


def drive(act: Coroutine[Any, Any, T]) -> T:
    """Carry out a word in this thread; inside a step, where nothing is recorded, the act itself runs in the loop."""
    here = current_scope.get()
    return wait_in_thread(here.execution, act) if type(here) is StepScope else run_inline(act)


def wait_in_thread(execution: Execution, act: Coroutine[Any, Any, T]) -> T:
    """Wait for an act in the loop of a run. A cancellation of the run is what it is to a thread."""
    future = execution.app.ask(act)
    try:
        return future.result()
    except CancelledFuture:
        execution.check()
        raise


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
        if type(current_scope.get()) is WorkflowScope:
            refuse_in_async("Handle.result")
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
        here = current_scope.get()
        if here is None or not isinstance(here, WorkflowScope):
            act.close()
            raise NotInWorkflow("this handle was made in a workflow; use rt.retrieve(id) elsewhere")
        return wait_in_thread(here.execution, act)

    def __repr__(self) -> str:
        return f"<turbine handle of {self.workflow_id}>"
