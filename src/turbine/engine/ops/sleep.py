"""Durable sleep."""

from __future__ import annotations

from turbine.engine.durable_call import DurableCall
from turbine.engine.execution import Execution
from turbine.model.words import SLEEP, SLEEP_UNTIL
from turbine.tables import waits


async def sleep(execution: Execution, position: str, *, seconds: float = 0.0, until_ms: int | None = None) -> None:
    """Wait for a time that is written before the waiting begins; after a restart only the rest is waited."""
    call = await DurableCall.at(execution, position, SLEEP if until_ms is None else SLEEP_UNTIL)
    if call.is_recorded:
        return
    with call:
        call.listen(seconds, is_timer=True)
        if call.waiting is None:
            if until_ms is not None:
                call.deadline_ms = until_ms
            await call.write(waits.begin, call.wait_row("sleep", ""))
        wait = call.open_wait
        assert wait is not None
        while not call.is_late and not wait.is_expedited:
            await execution.pause(wait, call.deadline_ms)
        await call.settle(None)
