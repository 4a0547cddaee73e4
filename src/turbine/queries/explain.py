"""Explanations: why a run is not moving, and what would release it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from turbine.clock import to_datetime
from turbine.engine.app import App
from turbine.errors import WorkflowNotFound
from turbine.model.workflows import Explanation
from turbine.store import Tx
from turbine.tables import executors, queues, run_records, waits
from turbine.tables.queues import Blockage
from turbine.tables.run_records import RunFacts

_WAITS = {
    "sleep": (
        "sleeping",
        "It sleeps until {until}.",
        "It wakes up by itself. To wake it now: await rt.release({id!r}).",
    ),
    "retry": (
        "retry",
        "A step failed and is retried at {until}.",
        "Look at the attempts of the step. To retry now: await rt.release({id!r}).",
    ),
    "message": (
        "message",
        "It waits for a message on topic {subject!r}.",
        "Send one: await rt.send({id!r}, message, topic={subject!r}).",
    ),
    "approval": (
        "approval",
        "It waits for an approval: {subject}.",
        "Decide it: await rt.approve({id!r}), or in the dashboard's inbox.",
    ),
    "value": ("value", "It waits for another run to publish a value ({subject}).", "Look at that run."),
    "result": ("result", "It waits for the result of run {subject}.", "Explain that run."),
}


class _Situation(NamedTuple):
    """The rows that an explanation is made of."""

    facts: RunFacts
    waits: list[tuple[str, str, str, int, int | None]]
    is_registered: bool
    blockage: Blockage | None


async def explain(app: App, workflow_id: str) -> Explanation:
    """Explains what holds a run, with the stack of its code if this process executes it. Raises WorkflowNotFound."""
    now_ms = app.clock.now_ms()
    situation = await app.store.read(_situation, workflow_id=workflow_id, now_ms=now_ms)
    if situation is None:
        raise WorkflowNotFound(workflow_id)
    explanation = _explain(workflow_id, situation, now_ms)
    stack = app.code_location(workflow_id)
    return explanation if stack is None or explanation.reason == "finished" else replace(explanation, stack=stack)


def _explain(workflow_id: str, situation: _Situation, now_ms: int) -> Explanation:
    facts, waits, is_registered, blockage = situation
    updated = to_datetime(facts.updated_ms)
    if facts.status not in ("PENDING", "ENQUEUED", "WAITING_FOR_APPROVAL"):
        return Explanation("finished", f"It is over: {facts.status}.", since=updated)
    if facts.attention is not None:
        return Explanation(
            "set-aside",
            facts.attention,
            since=updated,
            advice="Restore the code and restart, or fork the run from before the change, or resume it.",
        )
    if not is_registered and facts.executor_id is None:
        return Explanation(
            "unknown-workflow",
            f"No live process has registered the workflow {facts.name!r}.",
            since=updated,
            advice=f"Start a process that registers {facts.name!r}.",
        )
    if waits:
        return _waiting(workflow_id, waits)
    if blockage is not None and (facts.wake_ms or 0) <= now_ms:
        return _queued(facts, blockage)
    if facts.executor_id is None:
        return _unclaimed(facts)
    return Explanation(
        "running", f"Executor {facts.executor_id} executes it.", since=updated, held_by=[facts.executor_id]
    )


def _waiting(workflow_id: str, waits: list[tuple[str, str, str, int, int | None]]) -> Explanation:
    _, kind, subject, since_ms, deadline_ms = waits[0]
    reason, text, advice = _WAITS[kind]
    until = None if deadline_ms is None else to_datetime(deadline_ms)
    fields = {"subject": subject, "until": until.isoformat(timespec="seconds") if until else "?", "id": workflow_id}
    more = f" ({len(waits) - 1} more waits are open.)" if len(waits) > 1 else ""
    return Explanation(
        reason,
        text.format(**fields) + more,
        since=to_datetime(since_ms),
        until=until,
        held_by=[subject] if kind == "result" else [],
        advice=advice.format(**fields),
    )


def _unclaimed(facts: RunFacts) -> Explanation:
    updated = to_datetime(facts.updated_ms)
    if facts.wake_ms:
        until = to_datetime(facts.wake_ms)
        text = f"It is due at {until.isoformat(timespec='seconds')}."
        return Explanation("delayed", text, since=updated, until=until)
    return Explanation(
        "recovery",
        "It is due and waits for an executor to claim it.",
        since=updated,
        advice="A live process claims it within a second.",
    )


def _queued(facts: RunFacts, blockage: Blockage) -> Explanation:
    queue = facts.queue_name
    holders = [holder.workflow_id for holder in blockage.holders]
    until = None if blockage.more_ms is None else to_datetime(blockage.more_ms)
    match blockage.reason:
        case "paused":
            text, advice = f"Queue {queue!r} is paused.", f"Resume it: await rt.resume_queue({queue!r})."
        case "limit" if blockage.waiting_for_it:
            parents = [holder.workflow_id for holder in blockage.holders if holder.run in blockage.waiting_for_it]
            text = (
                f"Queue {queue!r} is at its limit of {blockage.limit}, and {', '.join(parents)} holds a slot"
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
            text = f"It waits for its turn in queue {queue!r}."
            advice = "Check that a live process declares the queue and registers this workflow."
    return Explanation("queue", text, since=to_datetime(facts.updated_ms), until=until, held_by=holders, advice=advice)


def _situation(tx: Tx, *, workflow_id: str, now_ms: int) -> _Situation | None:
    facts = run_records.facts(tx, workflow_id=workflow_id)
    if facts is None:
        return None
    blockage = None
    if facts.queue_name is not None and facts.status == "ENQUEUED":
        blockage = queues.blockage(
            tx, name=facts.queue_name, key=facts.partition_key, workflow_id=workflow_id, now_ms=now_ms
        )
    is_registered = facts.name in executors.known_workflows(tx, names=[facts.name])
    return _Situation(facts, waits.open_waits(tx, run=facts.run), is_registered, blockage)
