"""Published values of runs: `set_value` and `get_value`."""

from __future__ import annotations

from typing import Any

from turbine.codec import PayloadType, decode_error, encode_error
from turbine.engine.durable_call import UNTYPED, DurableCall, Reading
from turbine.engine.execution import Execution
from turbine.errors import ValueTimeout, WorkflowNotFound
from turbine.model.steps import Kind
from turbine.model.words import GET_VALUE, SET_VALUE
from turbine.registry import UNSET
from turbine.tables import messages, waits
from turbine.tables.waits import ValueLook


async def set_value(execution: Execution, position: str, key: str, value: Any) -> None:
    """Publish a value of this run under a key."""
    call = await DurableCall.at(execution, position, SET_VALUE)
    if call.is_recorded:
        return
    what = f"the value of {key!r}"
    text = execution.app.payloads.seal(UNTYPED.encode(value, what), what)
    with call:
        call.begin()
        await call.write(messages.set_value, (call.outcome(None, kind=Kind.STEP), key, text), len(text))


async def get_value(
    execution: Execution,
    position: str,
    workflow_id: str,
    key: str,
    kind: PayloadType[Any],
    timeout: float | None,
    default: Any,
) -> Any:
    """The published value of a run; finding it and recording it are one transaction."""
    call = await DurableCall.at(execution, position, GET_VALUE)
    what = f"the value {key!r} of run {workflow_id}"
    if call.is_recorded:
        assert call.record is not None
        if call.record.output is not None:
            return call.value_of(await call.read_again(kind, call.open(call.record.output, what), what))
        has_timed_out = call.record.error is not None and isinstance(decode_error(call.record.error), ValueTimeout)
        return default if has_timed_out and default is not UNSET else call.replayed(kind)
    with call:
        call.listen(timeout)
        wait = call.wait_row("value", "")
        late = ValueTimeout(f"Run {workflow_id} did not set {key!r} in time", workflow_id=workflow_id)

        def row() -> ValueLook:
            timed_out = encode_error(late) if call.is_late else None
            return ValueLook(wait, workflow_id, key, execution.app.clock.now_ms(), timed_out)

        answer = await call.take(waits.await_value, row, kind, what)
        if isinstance(answer, Reading):
            return call.value_of(answer)
        if answer is None:
            raise call.failed(WorkflowNotFound(workflow_id))
        if default is not UNSET:
            return default
        raise call.failed(late)
