"""Messages and values, from outside of a run."""

from __future__ import annotations

import asyncio
from typing import Any

from turbine.actions.runs import key_of
from turbine.codec import PayloadType, payload_type, plain
from turbine.engine.port import Port
from turbine.errors import ValueTimeout
from turbine.registry import UNSET
from turbine.tables import messages
from turbine.tables.messages import Sent

POLL = 1.0


async def send(port: Port, workflow_id: str, message: Any, topic: str) -> None:
    """Put a message into a run's mailbox; durable when it returns. Raises WorkflowNotFound, SerializationError."""
    text = port.payloads.seal(payload_type(Any).encode(message, "the message"), "the message")
    await port.store.submit(messages.send, Sent(workflow_id, topic, text, port.clock.now_ms(), None), len(text))


async def get_value(
    port: Port, workflow_id: str, key: str, kind: PayloadType[Any], timeout: float | None, default: Any
) -> Any:
    """A published value of a run; waits until it is set. Raises WorkflowNotFound, ValueTimeout without a default."""
    run = await key_of(port, workflow_id)
    changed = asyncio.Event()
    unsubscribe = port.wakes.subscribe("value", (run, key), changed.set)
    loop = asyncio.get_running_loop()
    until = None if timeout is None else loop.time() + timeout
    try:
        while True:
            changed.clear()
            text = await port.store.read(messages.value, run=run, key=key)
            if text is not None:
                return kind.decode(port.payloads.open(text), f"the value {key!r} of run {workflow_id}")
            left = POLL if until is None else min(POLL, until - loop.time())
            if left <= 0:
                if default is not UNSET:
                    return default
                raise ValueTimeout(f"Run {workflow_id} did not set {key!r} in time", workflow_id=workflow_id)
            port.store.expect()
            await _wait(changed, left)
    finally:
        unsubscribe()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return  # the slow poll: look again


async def values(port: Port, workflow_id: str) -> dict[str, Any]:
    """All published values of a run. Raises WorkflowNotFound."""
    run = await key_of(port, workflow_id)
    texts = await port.store.read(messages.values, run=run)
    return {key: plain(port.payloads.open(text)) for key, text in texts.items()}
