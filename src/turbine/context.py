"""The context of running code: which run and step it belongs to, its logger, and whether it was cancelled."""

from __future__ import annotations

import logging
from typing import Any

from turbine.engine.execution import Execution, cancelled
from turbine.engine.logs import RunLogger
from turbine.engine.outcomes import Signal
from turbine.engine.scope import WorkflowScope
from turbine.engine.step_scope import StepScope
from turbine.errors import NotInWorkflow
from turbine.registry import current_scope


class Context:
    """The run and the step of the running code, and the runtime that executes them."""

    __slots__ = ("_execution", "_step")

    def __init__(self, execution: Execution, step: StepScope | None) -> None:
        self._execution = execution
        self._step = step

    @property
    def runtime(self) -> Any:
        """The runtime that executes this run."""
        return self._execution.app.user_runtime

    @property
    def app(self) -> Any:
        """The host ASGI application, or None."""
        return self._execution.app.asgi_app

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """The logger of this run and step; see `turbine.logger`."""
        return logger()

    @property
    def workflow_id(self) -> str:
        return self._execution.id

    @property
    def step_id(self) -> str | None:
        """The position of the step; None in the body of a workflow."""
        return None if self._step is None else self._step.position

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1: of the step, or in a body of the run."""
        return self._execution.attempt if self._step is None else self._step.attempt

    @property
    def is_replaying(self) -> bool:
        """Whether the body is being replayed, up to the last recorded call."""
        return self._step is None and self._execution.is_replaying


def current() -> Context:
    """The context of the running code. Raises NotInWorkflow outside of runs."""
    scope = current_scope.get()
    if type(scope) is WorkflowScope:
        return Context(scope.execution, None)
    if type(scope) is StepScope:
        return Context(scope.execution, scope)
    raise NotInWorkflow("turbine.current() was called outside of a run. Start one with rt.run(...)")


def logger() -> logging.LoggerAdapter[logging.Logger]:
    """A logger whose records have `workflow_id` and `step_id`; outside of runs both are None.

    In a run, records of this logger from INFO on are stored for 5 days (`rt.logs`), and so are the records of all other
    loggers that are logged while a body or step of the run executes. Storing does not delay the run; a crash may lose
    the last records. Records of a replay are not stored again.
    """
    scope = current_scope.get()
    if type(scope) is WorkflowScope or type(scope) is StepScope:
        app = scope.execution.app
        step_id = scope.position if type(scope) is StepScope else None
        extra = {"workflow_id": scope.execution.id, "step_id": step_id, "executor_id": app.executor_id}
        return RunLogger(app.logger, app.log_sink, extra)
    return RunLogger(logging.getLogger("turbine.run"), None, {"workflow_id": None, "step_id": None})


def check_cancelled() -> None:
    """Raise if the outcome of this code is no longer needed; for long blocking steps. Does nothing outside of runs.

    That is the case when the run was cancelled, when the attempt has timed out, when the body has cancelled the call,
    and when this process shuts down and waits no longer. It raises `turbine.Cancelled` in a thread, and
    `asyncio.CancelledError` in the event loop.
    """
    scope = current_scope.get()
    if type(scope) is WorkflowScope or type(scope) is StepScope:
        execution = scope.execution
        is_step = type(scope) is StepScope
        if is_step and scope.is_given_up:
            raise cancelled("the outcome of this attempt is no longer needed")
        # While the database is unavailable a step goes on: its outcome is kept until it can be recorded.
        if execution.signal is not None and not (is_step and execution.signal is Signal.AWAY):
            raise execution.ending() if execution.signal is Signal.FORKED else cancelled(execution.reason)
