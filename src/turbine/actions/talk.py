"""Messages and values, from outside of a run."""

from __future__ import annotations

from typing import Any

from turbine.actions.looks import look_until
from turbine.actions.runs import key_of
from turbine.codec import PayloadType, payload_type, plain
from turbine.engine.port import Port
from turbine.errors import ValueTimeout
from turbine.registry import UNSET
from turbine.tables import messages
from turbine.tables.messages import Sent


async def send(port: Port, workflow_id: str, message: Any, topic: str) -> None:
    """Put a message into a run's mailbox; durable when it returns. Raises WorkflowNotFound, SerializationError."""
    text = port.payloads.seal(payload_type(Any).encode(message, "the message"), "the message")
    await port.store.submit(messages.send, Sent(workflow_id, topic, text, port.clock.now_ms(), None), len(text))


async def get_value(
    port: Port, workflow_id: str, key: str, kind: PayloadType[Any], timeout: float | None, default: Any
) -> Any:
    """A published value of a run; waits until it is set. Raises WorkflowNotFound, ValueTimeout without a default."""
    run = await key_of(port, workflow_id)

    async def look() -> str | None:
        return await port.store.read(messages.value, run=run, key=key)

    text = await look_until(port, "value", (run, key), look, timeout=timeout)
    if text is not None:
        return kind.decode(port.payloads.open(text), f"the value {key!r} of run {workflow_id}")
    if default is not UNSET:
        return default
    raise ValueTimeout(f"Run {workflow_id} did not set {key!r} in time", workflow_id=workflow_id)


async def values(port: Port, workflow_id: str) -> dict[str, Any]:
    """All published values of a run. Raises WorkflowNotFound."""
    run = await key_of(port, workflow_id)
    texts = await port.store.read(messages.values, run=run)
    return {key: plain(port.payloads.open(text)) for key, text in texts.items()}
