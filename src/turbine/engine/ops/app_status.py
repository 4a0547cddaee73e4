"""App status: what a run is doing, in the user's own words and colours."""

from __future__ import annotations

from turbine.engine.durable_call import DurableCall
from turbine.engine.execution import Execution
from turbine.model.steps import Kind
from turbine.model.words import SET_APP_STATUS
from turbine.tables import run_records
from turbine.tables.run_records import AppStatus


async def set_in_body(execution: Execution, note: str, label: str, color: str) -> None:
    """Show a label on the run. `note` is the place in the body, which a replay passes without writing again."""
    call = await DurableCall.at(execution, note, SET_APP_STATUS)
    if call.record is not None:
        return
    with call:
        call.started_ms = now_ms = execution.app.clock.now_ms()
        outcome = call.outcome(None, kind=Kind.NOTE)
        await call.write(
            run_records.set_app_status, AppStatus(execution.run, execution.fence, label, color, now_ms, outcome)
        )


async def set_in_step(execution: Execution, label: str, color: str) -> None:
    """Show a label on the run from a step, in any thread or loop; a step that runs again sets it again."""
    execution.check()
    row = AppStatus(execution.run, execution.fence, label, color, execution.app.clock.now_ms(), None)
    execution.accept(await execution.app.store.submit(run_records.set_app_status, row))
