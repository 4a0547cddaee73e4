"""Why a run is not moving, and what would release it."""

from __future__ import annotations

from turbine.clock import to_datetime
from turbine.engine.port import Port
from turbine.errors import WorkflowNotFound
from turbine.model.workflows import Explanation
from turbine.store import Tx
from turbine.tables import executors, statuses
from turbine.tables.statuses import Facts

_WAITS = {
    "sleep": ("sleeping", "It sleeps until {until}.", "It wakes by itself; cancel or fork it to skip the sleep."),
    "retry": ("retry", "A step failed and is tried again at {until}.", "Nothing to do; look at the step's attempts."),
    "message": (
        "message",
        "It waits for a message on topic {subject!r}.",
        "Send one: await rt.send({id!r}, message, topic={subject!r}).",
    ),
    "value": ("value", "It waits for another run to publish a value ({subject}).", "Look at that run."),
    "result": ("result", "It waits for the result of run {subject}.", "Explain that run."),
}

Waits = list[tuple[str, str, str, int, int | None]]


async def explain(port: Port, workflow_id: str) -> Explanation:
    """What holds a run. Raises WorkflowNotFound."""
    found = await port.store.read(_facts, workflow_id=workflow_id)
    if found is None:
        raise WorkflowNotFound(workflow_id)
    facts, waits, is_known = found
    updated = to_datetime(facts.updated_ms)
    if facts.status not in ("PENDING", "ENQUEUED", "WAITING_FOR_APPROVAL"):
        return Explanation("finished", f"It is over: {facts.status}.", since=updated)
    if facts.attention is not None:
        return Explanation(
            "set-aside",
            facts.attention,
            since=updated,
            advice="Put the code back and restart, or fork the run from before the change, or resume it.",
        )
    if not is_known and facts.executor_id is None:
        return Explanation(
            "unknown-workflow",
            f"No live process knows the workflow {facts.name!r}.",
            since=updated,
            advice=f"Start a process that registers {facts.name!r}.",
        )
    if waits:
        return _waiting(workflow_id, waits)
    if facts.queue_name is not None and facts.status == "ENQUEUED":
        return Explanation(
            "queue",
            f"It waits in queue {facts.queue_name!r} for a free slot.",
            since=updated,
            advice="Look at the queue's limits and at who listens to it.",
        )
    if facts.executor_id is None:
        return _unheld(facts)
    return Explanation(
        "running", f"Executor {facts.executor_id} carries it out.", since=updated, held_by=[facts.executor_id]
    )


def _waiting(workflow_id: str, waits: Waits) -> Explanation:
    _, kind, subject, since_ms, deadline_ms = waits[0]
    reason, text, advice = _WAITS[kind]
    until = None if deadline_ms is None else to_datetime(deadline_ms)
    words = {"subject": subject, "until": until.isoformat(timespec="seconds") if until else "?", "id": workflow_id}
    more = f" ({len(waits) - 1} more waits beside it.)" if len(waits) > 1 else ""
    held_by = [subject] if kind == "result" else []
    return Explanation(
        reason,
        text.format(**words) + more,
        since=to_datetime(since_ms),
        until=until,
        held_by=held_by,
        advice=advice.format(**words),
    )


def _unheld(facts: Facts) -> Explanation:
    if facts.wake_ms:
        until = to_datetime(facts.wake_ms)
        return Explanation(
            "delayed",
            f"It is due at {until.isoformat(timespec='seconds')}.",
            since=to_datetime(facts.updated_ms),
            until=until,
        )
    return Explanation(
        "recovery",
        "It is due and waits for an executor to take it up.",
        since=to_datetime(facts.updated_ms),
        advice="A live process takes it up within a second.",
    )


def _facts(tx: Tx, *, workflow_id: str) -> tuple[Facts, Waits, bool] | None:
    facts = statuses.facts(tx, workflow_id=workflow_id)
    if facts is None:
        return None
    known = executors.names_known(tx, names=[facts.name])
    return facts, statuses.open_waits(tx, run=facts.run), facts.name in known
