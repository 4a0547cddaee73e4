"""Where the running code stands: in the body of a workflow, in a step, or outside of runs."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from turbine.registry.kinds import StartOptions, StepDefinition, WorkflowDefinition
    from turbine.registry.threads import Maker


class Scope(Protocol):
    """Where a call stands: in the body of a workflow, or in a step."""

    def step(self, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    def child(
        self, workflow: WorkflowDefinition, options: StartOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any: ...

    def maker(self) -> Maker | None:
        """Who makes a thread that is made here; None in a step, which is recorded as a whole."""
        ...


current_scope: ContextVar[Scope | None] = ContextVar("turbine_here", default=None)
