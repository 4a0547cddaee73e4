"""Waiting for the outcome of a run, wherever it is carried out."""

from __future__ import annotations

import asyncio
from typing import Any

from turbine.engine.execution import Execution
from turbine.engine.handles import Stored
from turbine.engine.port import Port
from turbine.errors import ResultTimeout, WorkflowNotFound
from turbine.tables import statuses

POLL = 1.0
"""Seconds between looks when no wake is heard."""


async def await_outcome(
    port: Port, live: dict[str, Execution], workflow_id: str, timeout: float | None, poll: float | None
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
    changed = asyncio.Event()
    unsubscribe = port.wakes.subscribe("done", workflow_id, changed.set)
    try:
        while True:
            changed.clear()
            known = await port.store.read(statuses.outcome, workflow_id=workflow_id)
            if known is None:
                raise WorkflowNotFound(workflow_id)
            is_over, stored = known
            if is_over:
                return stored
            left = poll or POLL
            if until is not None:
                left = min(left, until - loop.time())
                if left <= 0:
                    raise ResultTimeout(workflow_id=workflow_id)
            port.store.expect()
            try:
                async with asyncio.timeout(left):
                    await changed.wait()
            except TimeoutError:
                continue  # the slow poll: look again
    finally:
        unsubscribe()


async def _local(execution: Execution, loop: asyncio.AbstractEventLoop, timeout: float | None) -> Stored | None:
    """The outcome of a run of this process; None when it left memory without one, or in time."""
    future: asyncio.Future[Any] = loop.create_future()
    execution.listeners.append(future)
    if timeout is None:
        return await future
    try:
        async with asyncio.timeout(timeout):
            return await future
    except TimeoutError:
        return None
