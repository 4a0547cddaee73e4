"""Messages to runs, sent from outside."""

from __future__ import annotations

from typing import Any

from turbine.codec import payload_type
from turbine.engine.app import App
from turbine.ids import check_id, check_name
from turbine.model.accounts import Actor
from turbine.operations.audit_entries import audit_of, submit_audited
from turbine.tables import messages
from turbine.tables.messages import NewMessage


async def send_message(app: App, actor: Actor | None, workflow_id: str, message: Any, topic: str = "") -> None:
    """Puts a message into the mailbox of a run; durable when it returns.

    Raises WorkflowNotFound, SerializationError.
    """
    topic = check_name(topic, "topic") if topic else ""
    text = app.payloads.seal(payload_type(Any).encode(message, "the message"), "the message")
    row = NewMessage(check_id(workflow_id), topic, text, app.clock.now_ms(), None)
    audit = audit_of(app, actor, "workflow.send", workflow_id, workflow_id=workflow_id, topic=topic)
    await submit_audited(app, audit, messages.send, row, len(text))
