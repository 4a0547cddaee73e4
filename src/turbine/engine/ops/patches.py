"""Patches: marks by which open runs keep the old branch of a code change."""

from __future__ import annotations

from turbine.engine.durable_call import DurableCall
from turbine.engine.execution import Execution
from turbine.model.history import Recorded
from turbine.model.steps import Kind
from turbine.model.words import PATCHED
from turbine.tables import steps


async def patched(execution: Execution, position: str, is_new: bool) -> bool:
    """Whether this run takes the new branch of a code change; recorded at the first call."""
    call = await DurableCall.at(execution, position, PATCHED)
    if call.record is not None:
        return True
    if not is_new:
        return False
    with call:
        call.begin()
        await call.write(steps.record, call.outcome("true", kind=Kind.MARK))
        execution.history.add(
            Recorded(
                position=position,
                function_id=call.function_id,
                name=PATCHED,
                kind=Kind.MARK,
                output="true",
                error=None,
                child=None,
                started_ms=call.started_ms,
                ended_ms=call.started_ms,
            )
        )
        return True
