"""The workflows that the code of a workflow mentions by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import CodeType
from typing import Any, cast

from turbine.registry import StepBase, WorkflowBase


def with_mentioned(
    workflow: WorkflowBase[..., Any], others: Iterable[WorkflowBase[..., Any]]
) -> list[WorkflowBase[..., Any]]:
    """A workflow, the others, and all workflows that their code mentions."""
    workflows: dict[str, WorkflowBase[..., Any]] = {}
    pending = [workflow, *others]
    while pending:
        candidate = pending.pop(0)
        if candidate.definition.fn is not None and candidate.name not in workflows:
            workflows[candidate.name] = type(candidate)(candidate.definition)
            pending.extend(_mentioned(candidate.definition.fn, set()))
    return list(workflows.values())


def _mentioned(fn: Any, seen: set[Any]) -> list[WorkflowBase[..., Any]]:
    """The workflows that a function mentions, also through steps and functions of its module."""
    fn = inspect.unwrap(getattr(fn, "__func__", fn))
    if not inspect.isfunction(fn) or fn in seen:
        return []
    seen.add(fn)
    names = _names(fn.__code__)
    scope = {**fn.__globals__, **inspect.getclosurevars(fn).nonlocals}
    values = [scope[name] for name in names if name in scope]
    values += [getattr(value, name, None) for value in values if inspect.ismodule(value) for name in names]
    workflows: list[WorkflowBase[..., Any]] = []
    for value in values:
        if isinstance(value, WorkflowBase):
            workflows.append(cast("WorkflowBase[..., Any]", value))
        elif isinstance(value, StepBase):
            workflows.extend(_mentioned(cast("StepBase[..., Any]", value).fn, seen))
        elif inspect.isfunction(value) and value.__module__ == fn.__module__:
            workflows.extend(_mentioned(value, seen))
    return workflows


def _names(code: CodeType) -> set[str]:
    """All names that code uses, nested code (comprehensions, lambdas, inner functions) included."""
    names = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names
