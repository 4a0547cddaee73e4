"""Outcomes of runs, wherever they are executed, and values that they publish."""

from __future__ import annotations

import asyncio
from typing import Any

from turbine.codec import PayloadType
from turbine.engine.app import App
from turbine.engine.execution import Execution
from turbine.engine.results import Stored
from turbine.errors import ResultTimeout, ValueTimeout, WorkflowNotFound
from turbine.queries.poll_until import POLL, poll_until
from turbine.queries.runs import run_key
from turbine.registry import UNSET
from turbine.tables import messages, run_records


async def await_outcome(
    app: App, executions: dict[str, Execution], workflow_id: str, timeout: float | None, poll: float | None
) -> Stored:
    """Waits for the stored outcome of a run. Raises WorkflowNotFound, ResultTimeout."""
    loop = asyncio.get_running_loop()
    until = None if timeout is None else loop.time() + timeout
    execution = executions.get(workflow_id)
    # A pass that was told to stop may take a while, and its end is not the outcome.
    if execution is not None and execution.signal is None:
        stored = await _local_outcome(execution, loop, timeout)
        if stored is not None:
            return stored

    async def read() -> Stored | None:
        row = await app.store.read(run_records.result, workflow_id=workflow_id)
        if row is None:
            raise WorkflowNotFound(workflow_id)
        is_over, outcome = row
        return outcome if is_over else None

    left = None if until is None else until - loop.time()
    stored = await poll_until(app, "done", workflow_id, read, timeout=left, poll=poll or POLL)
    if stored is None:
        raise ResultTimeout(workflow_id=workflow_id)
    return stored


async def _local_outcome(execution: Execution, loop: asyncio.AbstractEventLoop, timeout: float | None) -> Stored | None:
    """Waits for an execution of this process; None if it left memory without an outcome, or after the timeout."""
    future: asyncio.Future[Any] = loop.create_future()
    execution.listeners.append(future)
    try:
        async with asyncio.timeout(timeout):
            return await future
    except TimeoutError:
        return None
    finally:
        if future.cancelled():  # or repeated calls would pile up listeners
            execution.listeners.remove(future)


async def await_value(
    app: App, workflow_id: str, key: str, payload: PayloadType[Any], timeout: float | None, default: Any
) -> Any:
    """Waits for a value that a run publishes. Raises WorkflowNotFound, ValueTimeout without a default."""
    run = await run_key(app, workflow_id)

    async def read() -> str | None:
        return await app.store.read(messages.value, run=run, key=key)

    text = await poll_until(app, "value", (run, key), read, timeout=timeout)
    if text is not None:
        return payload.decode(app.payloads.open(text), f"the value {key!r} of run {workflow_id}")
    if default is not UNSET:
        return default
    raise ValueTimeout(f"Run {workflow_id} did not set {key!r} in time", workflow_id=workflow_id)
