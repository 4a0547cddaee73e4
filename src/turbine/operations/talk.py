"""Messages and values, from outside of a run."""

from __future__ import annotations

from typing import Any

from turbine.codec import PayloadType, payload_type, plain
from turbine.engine.app import App
from turbine.errors import ValueTimeout
from turbine.operations.poll_until import look_until
from turbine.operations.runs import key_of
from turbine.registry import UNSET
from turbine.tables import messages
from turbine.tables.messages import NewMessage


async def send(app: App, workflow_id: str, message: Any, topic: str) -> None:
    """Put a message into a run's mailbox; durable when it returns. Raises WorkflowNotFound, SerializationError."""
    text = app.payloads.seal(payload_type(Any).encode(message, "the message"), "the message")
    await app.store.submit(messages.send, NewMessage(workflow_id, topic, text, app.clock.now_ms(), None), len(text))


async def get_value(
    app: App, workflow_id: str, key: str, kind: PayloadType[Any], timeout: float | None, default: Any
) -> Any:
    """A published value of a run; waits until it is set. Raises WorkflowNotFound, ValueTimeout without a default."""
    run = await key_of(app, workflow_id)

    async def look() -> str | None:
        return await app.store.read(messages.value, run=run, key=key)

    text = await look_until(app, "value", (run, key), look, timeout=timeout)
    if text is not None:
        return kind.decode(app.payloads.open(text), f"the value {key!r} of run {workflow_id}")
    if default is not UNSET:
        return default
    raise ValueTimeout(f"Run {workflow_id} did not set {key!r} in time", workflow_id=workflow_id)


async def values(app: App, workflow_id: str) -> dict[str, Any]:
    """All published values of a run. Raises WorkflowNotFound."""
    run = await key_of(app, workflow_id)
    texts = await app.store.read(messages.values, run=run)
    return {key: plain(app.payloads.open(text)) for key, text in texts.items()}
