"""The scope of the running code: the body of a workflow, a step, or none."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from turbine.registry.definitions import StartOptions, StepDefinition, WorkflowDefinition

CodePlace = tuple[str, int]
"""A file, and a line in it."""


@dataclass(frozen=True, slots=True)
class Maker:
    """A body that started a thread or submitted work to a thread pool."""

    workflow: str
    is_async: bool
    place: CodePlace
    """The line that did so."""
    is_strict: bool
    warned: set[CodePlace]
    """Lines for which its runtime has warned already."""

    @property
    def thread(self) -> str:
        """A description of the thread, for messages."""
        file, line = self.place
        return f"a thread started or used by the body of workflow {self.workflow!r} at {file}:{line}"


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
