"""What users declare: workflows and steps, and the roll of those that a runtime knows.

A declared function is called where the code stands: outside of a run it is just its function; inside, the call goes to
the `Scope` in `HERE`, which the engine puts there. Nothing here runs, records or waits.
"""

from turbine.registry.declare import remote, step, workflow
from turbine.registry.kinds import (
    UNSET,
    BlockingStep,
    BlockingWorkflow,
    StartOptions,
    Step,
    StepBase,
    StepDefinition,
    Unset,
    Workflow,
    WorkflowBase,
    WorkflowDefinition,
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
