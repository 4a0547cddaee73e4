"""Registration with overrides, and replacement of registered workflows."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar, cast

from turbine.registry import WorkflowBase
from turbine.registry import workflow as declare_workflow

P = ParamSpec("P")
R = TypeVar("R")


class Replacement(Generic[P, R]):
    """A workflow that was replaced in this process; awaiting it publishes the workflow to other processes."""

    def __init__(self, workflow: WorkflowBase[P, R], publication: Future[None] | None) -> None:
        self._workflow = workflow
        self._publication = publication

    def __await__(self) -> Generator[Any, None, WorkflowBase[P, R]]:
        if self._publication is not None:
            yield from asyncio.wrap_future(self._publication).__await__()
        return self._workflow


def with_overrides(workflow: WorkflowBase[P, R], overrides: dict[str, Any]) -> WorkflowBase[P, R]:
    """Returns the workflow with other arguments of its decorator. Raises TypeError if it is not a workflow."""
    if not isinstance(workflow, WorkflowBase):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{workflow!r} is not a workflow. Decorate the function with @turbine.workflow first")
    if not overrides:
        return workflow
    old = workflow.definition
    fields = ("name", "max_recoveries", "schedule", "triggerable", "input_schema")
    fields += ("tags", "summary", "queue", "timeout")
    arguments: dict[str, Any] = {field: getattr(old, field) for field in fields} | overrides
    declared = cast("Any", declare_workflow)(workflow.fn, **arguments)
    return type(workflow)(replace(declared.definition, around=old.around), workflow.start_options)
