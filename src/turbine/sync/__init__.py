"""The words of Turbine for blocking code: `import turbine.sync as turbine`.

Same names, same arguments; `def` instead of `async def`, values instead of awaitables, `with` instead of `async with`.
`Runtime` brings its own event loop in a thread, so it serves scripts, Flask, Django and worker processes.
"""

from turbine.actions.kv import MISSING
from turbine.api import Context, check_cancelled, current, logger, remote, step, workflow
from turbine.config import Config
from turbine.errors import *  # noqa: F403 - the same errors under the same names
from turbine.errors import Cancelled, ErrorCode
from turbine.model.queues import Queue, RateLimit
from turbine.model.steps import StepAttempt, StepInfo
from turbine.model.workflows import Event, Explanation, Page, RegisteredWorkflow, Status, WorkflowStatus
from turbine.registry import BlockingStep, BlockingWorkflow, Step, Workflow
from turbine.sync.handles import Handle
from turbine.sync.nouns import Kv
from turbine.sync.runtime import Runtime
from turbine.sync.words import (
    StepTask,
    do,
    do_async,
    gather,
    get_value,
    kv,
    now,
    patched,
    pause,
    random,
    recv,
    run,
    send,
    set_value,
    sleep,
    sleep_until,
    uuid4,
)

__all__ = [
    "MISSING",
    "BlockingStep",
    "BlockingWorkflow",
    "Cancelled",
    "Config",
    "Context",
    "ErrorCode",
    "Event",
    "Explanation",
    "Handle",
    "Kv",
    "Page",
    "Queue",
    "RateLimit",
    "RegisteredWorkflow",
    "Runtime",
    "Status",
    "Step",
    "StepAttempt",
    "StepInfo",
    "StepTask",
    "Workflow",
    "WorkflowStatus",
    "check_cancelled",
    "current",
    "do",
    "do_async",
    "gather",
    "get_value",
    "kv",
    "logger",
    "now",
    "patched",
    "pause",
    "random",
    "recv",
    "remote",
    "run",
    "send",
    "set_value",
    "sleep",
    "sleep_until",
    "step",
    "uuid4",
    "workflow",
]
