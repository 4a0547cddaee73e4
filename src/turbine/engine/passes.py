"""A pass: call the body with its arguments, replay what is recorded, go on live, and say how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

from turbine.codec import encode_error
from turbine.engine.execution import Execution
from turbine.engine.outcomes import (
    Completed,
    Failed,
    Interrupted,
    Lost,
    Outcome,
    Parked,
    PassCancelled,
    SetAside,
    Signal,
)
from turbine.engine.scope import WorkflowScope
from turbine.registry import current_scope


async def carry_out(execution: Execution) -> Outcome:
    """One pass of an async run, in the running task."""
    execution.main = asyncio.current_task()
    current_scope.set(WorkflowScope.of_body(execution))
    try:
        args, kwargs = _arguments(execution)
        fn = execution.definition.fn
        assert fn is not None
        value = await fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - whatever the user's body raises is an outcome of its run
        outcome = judge(execution, error)
    else:
        outcome = _returned(execution, value)
    finally:
        current_scope.set(None)
        execution.is_over = True
        # From here on a cancellation of the run must not break off the writing of its end.
        task, execution.main = execution.main, None
        if task is not None and task.cancelling():  # a cancellation that the body did not live to notice comes now
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        for task in list(execution.tasks):
            task.cancel()
    return outcome


def carry_out_blocking(execution: Execution, context: Context, done: Callable[[Outcome], None]) -> None:
    """One pass of a blocking run, in the running thread; `done` is called with how it ended."""
    done(context.run(_blocking, execution))


def _blocking(execution: Execution) -> Outcome:
    execution.thread = threading.get_ident()
    current_scope.set(WorkflowScope.of_body(execution))
    try:
        execution.check()
        args, kwargs = _arguments(execution)
        fn = execution.definition.fn
        assert fn is not None
        value = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - whatever the user's body raises is an outcome of its run
        return judge(execution, error)
    finally:
        execution.thread = None  # the thread goes on to carry out other runs
    return _returned(execution, value)


def _arguments(execution: Execution) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if execution.is_new:
        return execution.definition.signature.decode(execution.app.payloads.open(execution.claimed.inputs))
    return execution.recall_arguments()


def _returned(execution: Execution, value: Any) -> Outcome:
    if execution.signal is not None:  # what a body returns after a signal does not count
        return _by_signal(execution)
    if execution.app.is_torn_down():
        return Interrupted()
    what = f"the result of workflow {execution.definition.name!r}"
    try:
        text = execution.definition.result.encode(value, what)
        return Completed(execution.app.payloads.seal(text, what))
    except Exception as error:  # noqa: BLE001 - SerializationError, or what the user's codec or annotation raises
        return Failed(encode_error(error))


def judge(execution: Execution, error: BaseException) -> Outcome:
    """The outcome of a pass that raised."""
    if execution.signal is not None:
        return _by_signal(execution)
    if execution.app.is_torn_down():
        return Interrupted()
    if execution.is_ours(error):
        execution.away(error)
        return Interrupted()
    return Failed(encode_error(error), execution.failed_positions(error))


def _by_signal(execution: Execution) -> Outcome:
    match execution.signal:
        case Signal.CANCELLED:
            return PassCancelled()
        case Signal.PARK:
            return Parked()
        case Signal.LOST:
            return Lost()
        case Signal.MISMATCH:
            assert execution.mismatch is not None
            return SetAside(execution.mismatch.text)
        case Signal.INTERRUPT | Signal.AWAY | Signal.FORKED | None:
            return Interrupted()
