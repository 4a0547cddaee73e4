"""The scope of the running code: the body of a workflow, a step, or none."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from turbine.registry.kinds import StartOptions, StepDefinition, WorkflowDefinition
    from turbine.registry.threads import Maker


class Scope(Protocol):
    """The body of a workflow, or a step, in which code runs."""

    def step(self, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    def child(
        self, workflow: WorkflowDefinition, options: StartOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any: ...

    def maker(self) -> Maker | None:
        """Returns the body that starts a thread here; None in a step, which is recorded as a whole."""
        ...


current_scope: ContextVar[Scope | None] = ContextVar("turbine_scope", default=None)
