"""Messages between runs: `send` and `recv`."""

from __future__ import annotations

from typing import Any

from turbine.codec import PayloadType, encode_error
from turbine.engine.durable_call import UNTYPED, DurableCall, Reading
from turbine.engine.execution import Execution
from turbine.errors import RecvTimeout, WorkflowNotFound
from turbine.model.steps import Kind
from turbine.model.words import RECV, SEND
from turbine.registry import UNSET
from turbine.tables import messages
from turbine.tables.messages import NewMessage, Receive


async def send(execution: Execution, position: str, destination: str, message: Any, topic: str) -> None:
    """Put a message into the mailbox of a run, exactly once for this position."""
    call = await DurableCall.at(execution, position, SEND)
    if call.is_recorded:
        call.replayed()
        return
    body = execution.app.payloads.seal(UNTYPED.encode(message, "the message"), "the message")
    with call:
        call.begin()
        step = call.outcome(None, kind=Kind.STEP)
        try:
            await call.write(messages.send, NewMessage(destination, topic, body, step.ended_ms or 0, step), len(body))
        except WorkflowNotFound as error:
            raise await call.fail(error) from None


async def recv(
    execution: Execution, position: str, topic: str, kind: PayloadType[Any], timeout: float | None, default: Any
) -> Any:
    """The oldest unread message of a topic; taking it and recording it are one transaction."""
    call = await DurableCall.at(execution, position, RECV)
    what = f"the message on topic {topic!r}"
    if call.is_recorded:
        assert call.record is not None
        if call.record.error is not None and default is not UNSET:
            return default
        if call.record.output is None:
            return call.replayed(kind)
        what = f"{what} that was received at position {position}"
        return _message(await call.read_again(kind, call.open(call.record.output, what), what))
    with call:
        call.listen(timeout)
        wait = call.wait_row("message", topic)
        late = RecvTimeout(f"No message on topic {topic!r} came in time", workflow_id=execution.id, step_name=RECV)

        def row() -> Receive:
            timed_out = encode_error(late) if call.is_late else None
            return Receive(wait, topic, execution.app.clock.now_ms(), timed_out)

        answer = await call.take(messages.receive, row, kind, what)
        if isinstance(answer, Reading):
            return _message(answer)
        if default is not UNSET:
            return default
        raise call.failed(late)


def _message(reading: Reading) -> Any:
    # No failure of the call that a resume could repeat: the message is consumed.
    if reading.error is not None:
        raise reading.error
    return reading.value
