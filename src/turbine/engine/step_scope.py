"""The scope of a running step."""

from __future__ import annotations

from typing import Any

from turbine.engine.execution import Execution
from turbine.errors import NotInWorkflow
from turbine.registry import StartOptions, StepDefinition, WorkflowDefinition


class StepScope:
    """The value of `current_scope` while the body of a step runs."""

    __slots__ = ("attempt", "execution", "function_id", "is_given_up", "name", "position")

    def __init__(self, execution: Execution, position: str, name: str, attempt: int, function_id: int) -> None:
        self.execution = execution
        self.position = position
        self.name = name
        self.attempt = attempt
        self.function_id = function_id
        self.is_given_up = False
        """Whether the result of the body is no longer awaited, although it goes on in its thread."""

    def maker(self) -> None:
        """No maker: what a step does in threads of its own is part of the step."""

    def step(self, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a step inside a step inline: the outer one is recorded as a whole."""
        return step.fn(*args, **kwargs)

    def child(
        self, workflow: WorkflowDefinition, options: StartOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        raise NotInWorkflow(
            f"Workflow {workflow.name!r} was called inside the step {self.name!r}; a step may run more than once, so"
            " call the workflow from the body of a workflow"
        )
