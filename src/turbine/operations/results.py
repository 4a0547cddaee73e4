"""Waiting for the outcome of a run, wherever it is carried out."""

from __future__ import annotations

import asyncio
from typing import Any

from turbine.engine.app import App
from turbine.engine.execution import Execution
from turbine.engine.results import Stored
from turbine.errors import ResultTimeout, WorkflowNotFound
from turbine.operations.poll_until import POLL, look_until
from turbine.tables import run_records


async def await_outcome(
    app: App, live: dict[str, Execution], workflow_id: str, timeout: float | None, poll: float | None
) -> Stored:
    """The stored outcome of a run, once there is one. Raises WorkflowNotFound, ResultTimeout."""
    loop = asyncio.get_running_loop()
    until = None if timeout is None else loop.time() + timeout
    execution = live.get(workflow_id)
    # A pass that was told to end may take its time about it, and says nothing about the outcome.
    if execution is not None and execution.signal is None:
        stored = await _local(execution, loop, timeout)
        if stored is not None:
            return stored

    async def look() -> Stored | None:
        known = await app.store.read(run_records.result, workflow_id=workflow_id)
        if known is None:
            raise WorkflowNotFound(workflow_id)
        is_over, outcome = known
        return outcome if is_over else None

    left = None if until is None else until - loop.time()
    stored = await look_until(app, "done", workflow_id, look, timeout=left, poll=poll or POLL)
    if stored is None:
        raise ResultTimeout(workflow_id=workflow_id)
    return stored


async def _local(execution: Execution, loop: asyncio.AbstractEventLoop, timeout: float | None) -> Stored | None:
    """The outcome of a run of this process; None when it left memory without one, or in time."""
    future: asyncio.Future[Any] = loop.create_future()
    execution.listeners.append(future)
    try:
        async with asyncio.timeout(timeout):
            return await future
    except TimeoutError:
        return None
    finally:
        if future.cancelled():  # who asks again and again shall not leave something behind each time
            execution.listeners.remove(future)
