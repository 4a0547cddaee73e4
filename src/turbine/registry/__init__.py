"""Workflows and steps as users declare them, and the registry of a runtime.

Outside of a run a declared function is an ordinary function. Inside, the call goes to the `Scope` in `current_scope`,
which the engine sets. This package runs, records and waits for nothing.
"""

from turbine.registry.declare import remote, step, workflow
from turbine.registry.definitions import UNSET, StartOptions, StepDefinition, Unset, WorkflowDefinition
from turbine.registry.kinds import (
    BlockingStep,
    BlockingWorkflow,
    Step,
    StepBase,
    Workflow,
    WorkflowBase,
    check_function,
    check_tags,
    fqn_of,
    name_of,
)
from turbine.registry.registry import Registry
from turbine.registry.scope import Scope, current_scope

__all__ = [
    "UNSET",
    "BlockingStep",
    "BlockingWorkflow",
    "Registry",
    "Scope",
    "StartOptions",
    "Step",
    "StepBase",
    "StepDefinition",
    "Unset",
    "Workflow",
    "WorkflowBase",
    "WorkflowDefinition",
    "check_function",
    "check_tags",
    "current_scope",
    "fqn_of",
    "name_of",
    "remote",
    "step",
    "workflow",
]
