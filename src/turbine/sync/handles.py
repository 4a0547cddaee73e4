"""Handles for blocking code, and the guard of the event loop."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from turbine.engine.execution import run_inline
from turbine.engine.handles import Handle as AsyncHandle
from turbine.engine.lines import Place
from turbine.errors import NotInWorkflow
from turbine.model.steps import StepInfo
from turbine.model.workflows import Status
from turbine.registry import HERE

if TYPE_CHECKING:
    from turbine.sync.runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def in_thread(word: str) -> None:
    """Refuse a blocking word where it would stop the event loop."""
    here = HERE.get()
    if type(here) is Place and here.execution.is_async:
        raise TypeError(
            f"turbine.sync.{word} blocks and was used in an async workflow; use `await turbine.{word}(...)` there"
        )


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
            in_thread("Handle.result")
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
        return here.execution.port.block_on(act)

    def __repr__(self) -> str:
        return f"<turbine handle of {self.workflow_id}>"
