"""App status: what a run is doing, in the user's own words and colours."""

from __future__ import annotations

from turbine.engine.execution import Execution
from turbine.model.steps import Kind
from turbine.model.words import SET_APP_STATUS
from turbine.tables import run_records
from turbine.tables.ownership import Answer
from turbine.tables.run_records import AppStatus
from turbine.tables.steps import Outcome


async def set_in_body(execution: Execution, note: str, label: str, color: str) -> None:
    """Show a label on the run. `note` is the place in the body, which a replay passes without writing again."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    if note in execution.history.recorded:
        return
    now_ms = execution.app.clock.now_ms()
    outcome = Outcome(
        execution.run, execution.fence, note, -1, SET_APP_STATUS, Kind.NOTE, None, None, None, 1, now_ms, now_ms
    )
    execution.busy += 1
    try:
        row = AppStatus(execution.run, execution.fence, label, color, now_ms, outcome)
        answer = await execution.write(run_records.set_app_status, row)
        if answer is not Answer.DONE:
            raise execution.refuse(answer)
    finally:
        execution.leave()


async def set_in_step(execution: Execution, label: str, color: str) -> None:
    """The same for a step, whichever thread or loop it runs in; a step that runs again sets it again."""
    execution.check()
    row = AppStatus(execution.run, execution.fence, label, color, execution.app.clock.now_ms(), None)
    answer = await execution.app.store.submit(run_records.set_app_status, row)
    if answer is not Answer.DONE:
        raise execution.refuse(answer)
