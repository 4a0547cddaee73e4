"""Why a run is not moving, and what would release it."""

from __future__ import annotations

from dataclasses import replace

from turbine.clock import to_datetime
from turbine.engine.app import App
from turbine.errors import WorkflowNotFound
from turbine.model.workflows import Explanation
from turbine.store import Tx
from turbine.tables import executors, queues, run_records
from turbine.tables.queues import Blockage
from turbine.tables.run_records import RunFacts
from turbine.tables.waits import open_waits

_WAITS = {
    "sleep": ("sleeping", "It sleeps until {until}.", "It wakes by itself, or at once: await rt.release({id!r})."),
    "retry": (
        "retry",
        "A step failed and is tried again at {until}.",
        "It goes on by itself, or at once: await rt.release({id!r}). Look at the step's attempts.",
    ),
    "message": (
        "message",
        "It waits for a message on topic {subject!r}.",
        "Send one: await rt.send({id!r}, message, topic={subject!r}).",
    ),
    "approval": (
        "approval",
        "It waits for a person to approve: {subject}.",
        "Decide it: await rt.approve({id!r}), or in the dashboard's inbox.",
    ),
    "value": ("value", "It waits for another run to publish a value ({subject}).", "Look at that run."),
    "result": ("result", "It waits for the result of run {subject}.", "Explain that run."),
}

Waits = list[tuple[str, str, str, int, int | None]]


async def explain(app: App, workflow_id: str) -> Explanation:
    """What holds a run, and where its code stands if this process carries it out. Raises WorkflowNotFound."""
    told = await _told(app, workflow_id)
    stack = app.code_location(workflow_id)
    return told if stack is None or told.reason == "finished" else replace(told, stack=stack)


async def _told(app: App, workflow_id: str) -> Explanation:
    found = await app.store.read(_facts, workflow_id=workflow_id, now_ms=app.clock.now_ms())
    if found is None:
        raise WorkflowNotFound(workflow_id)
    facts, waits, is_known, blockage = found
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
    if blockage is not None and (facts.wake_ms or 0) <= app.clock.now_ms():
        return _queued(facts, blockage)
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


def _unheld(facts: RunFacts) -> Explanation:
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


def _queued(facts: RunFacts, blockage: Blockage) -> Explanation:
    """Why a run stays in its queue, and who is in its way."""
    queue = facts.queue_name
    holders = [one.workflow_id for one in blockage.holders]
    until = None if blockage.more_ms is None else to_datetime(blockage.more_ms)
    match blockage.reason:
        case "paused":
            text, advice = f"Queue {queue!r} is paused.", f"Go on: await rt.resume_queue({queue!r})."
        case "limit" if blockage.waiting_for_it:
            parents = [one.workflow_id for one in blockage.holders if one.run in blockage.waiting_for_it]
            text = (
                f"Queue {queue!r} is at its limit of {blockage.limit}, and {', '.join(parents)} holds a slot there"
                " while it waits for this run: neither can go on."
            )
            advice = (
                "Raise the limit (rt.set_queue_limits), give children a queue of their own, or declare the queue with"
                " release_while_waiting=True."
            )
        case "limit":
            text = f"Queue {queue!r} is at its limit of {blockage.limit}: held by {', '.join(holders[:5])}."
            advice = f"Wait for one of them, or raise the limit: await rt.set_queue_limits({queue!r}, ...)."
        case "rate":
            text = f"Queue {queue!r} has started {blockage.limit} runs in its period; the next one may start {until}."
            advice = f"Wait, or change the rate: await rt.set_queue_limits({queue!r}, rate_limit=...)."
        case _:
            text = f"It waits in queue {queue!r} for its turn."
            advice = "Look at who listens to the queue: a live process must declare it and know this workflow."
    return Explanation("queue", text, since=to_datetime(facts.updated_ms), until=until, held_by=holders, advice=advice)


def _facts(tx: Tx, *, workflow_id: str, now_ms: int) -> tuple[RunFacts, Waits, bool, Blockage | None] | None:
    facts = run_records.facts(tx, workflow_id=workflow_id)
    if facts is None:
        return None
    known = executors.known_workflows(tx, names=[facts.name])
    blockage = None
    if facts.queue_name is not None and facts.status == "ENQUEUED":
        blockage = queues.blockage(
            tx, name=facts.queue_name, key=facts.partition_key, workflow_id=workflow_id, now_ms=now_ms
        )
    return facts, open_waits(tx, run=facts.run), facts.name in known, blockage
