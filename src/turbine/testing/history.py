"""Old histories against new code: would a run that is open now go on under today's workflow?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from turbine.clock import to_datetime
from turbine.codec import error_facts, loose
from turbine.engine.app import App
from turbine.engine.execution import Execution
from turbine.engine.outcomes import Completed, Failed, Outcome, Unloaded
from turbine.engine.passes import carry_out, carry_out_blocking
from turbine.model import history as engine
from turbine.model.exports import History
from turbine.model.positions import order
from turbine.model.steps import Kind
from turbine.model.workflows import WorkflowStatus
from turbine.registry import Registry, WorkflowBase, WorkflowDefinition
from turbine.runtime import Runtime
from turbine.tables.runs import Claimed
from turbine.testing.clock import VirtualClock

QUIET = 0.05
"""Seconds of real time without a word after which code that has come to the end of its history is taken to be there."""
PATIENCE = 30.0
"""Seconds of real time that code may take over its history."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Whether code fits a history, and if not, the first place where they part."""

    ok: bool
    position: str | None = None
    """Where they part; None when it is the end of the run."""
    recorded: str | None = None
    """The name that stands there in the history."""
    asked: str | None = None
    """The name that today's code asks for there, or why it does not take what is recorded; None when it asks for
    nothing.
    """


async def replay(history: History, workflow: WorkflowBase[..., Any]) -> ReplayReport:
    """Carry out today's `workflow` against a recorded run, in memory.

    No body of a step runs, nothing is started or sent, no database is touched. What the code does beyond the history is
    its own business: there it stops, and fits. The code of a run that is over must come to the same kind of end.
    """
    clock = VirtualClock(to_datetime(history.exported_ms))
    runtime = Runtime("sqlite://:memory:", workflows=[type(workflow)(workflow.definition)], clock=clock)
    async with runtime:
        live = runtime._live  # pyright: ignore[reportPrivateUsage] - the kit looks inside, by design
        assert live is not None
        app = replace(live.app, registry=_Everything(live.app.registry), adopt=_adopt_nothing, paused=_stay_in_memory)
        rehearsal = _ReplayExecution(app, _claimed(history), workflow.definition, _of_engine(history))
        outcome = await rehearsal.carry_out()
    return _judge(history, rehearsal, outcome)


class _ReplayExecution(Execution):
    """A pass that goes as far as its history and not a step further."""

    is_replay_check = True

    __slots__ = ("asked", "heard", "staying")

    def __init__(
        self, app: App, claimed: Claimed, definition: WorkflowDefinition, history: engine.History | None
    ) -> None:
        super().__init__(app, claimed, definition, history)
        self.asked: set[str] = set()
        self.staying = 0
        """Calls that have come to the end of the history."""
        self.heard = time.monotonic()

    async def carry_out(self) -> Outcome | None:
        """One pass; None when it came to the end of the history and would go on from there."""
        if self.is_async:
            task = asyncio.get_running_loop().create_task(carry_out(self), context=self.app.context.copy())
        else:
            task = asyncio.ensure_future(self._in_thread())
        began = self.heard = time.monotonic()
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=QUIET / 5)
                now = time.monotonic()
                if (self.staying or self.is_idle) and now - self.heard > QUIET:
                    return None
                if now - began > PATIENCE:
                    if self.waits:  # for the body to break off again what it broke off before
                        return None
                    raise TimeoutError(f"The code of {self.definition.name!r} did not come to an end in {PATIENCE} s")
            return task.result()
        finally:
            await self._leave(task)

    async def _in_thread(self) -> Outcome:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()

        def tell(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(lambda: future.done() or future.set_result(outcome))

        self.app.threads.submit(lambda: carry_out_blocking(self, self.app.context.copy(), tell))
        return await future

    async def _leave(self, task: asyncio.Task[Outcome]) -> None:
        """Let what still waits for more than the history has unwind."""
        if task.done():
            return
        for wait in list(self.waits.values()):
            wait.abort(Unloaded())
        if self.is_async:
            task.cancel()
        await asyncio.wait({task}, timeout=1.0)

    def recorded(self, position: str, name: str) -> engine.Recorded | None:
        self.asked.add(position)
        self.heard = time.monotonic()
        return super().recorded(position, name)

    async def write(self, function: Any, row: Any, size: int = 0, then: Callable[[Any], None] | None = None) -> Any:
        await self.stay()

    async def stay(self) -> NoReturn:
        """Here the code goes on by itself. A coroutine waits for ever; a thread, which has one line only, unwinds."""
        self.staying += 1
        if self.is_async:
            await asyncio.get_running_loop().create_future()
        raise Unloaded


class _Everything(Registry):
    """A roll on which every workflow stands: children are not carried out here, so nobody has to know them."""

    def __init__(self, known: Registry) -> None:
        super().__init__()
        self._known = known

    def get(self, name: str) -> WorkflowDefinition | None:
        return self._known.get(name) or WorkflowDefinition(fn=None, name=name, fqn=name)

    def meant(self, definition: WorkflowDefinition, *, by_body: bool = False) -> WorkflowDefinition | None:
        return self._known.meant(definition, by_body=by_body) or definition


def _adopt_nothing(claimed: Claimed, definition: WorkflowDefinition) -> Execution:
    raise AssertionError(f"A rehearsal was about to carry out {claimed.name!r}")


def _stay_in_memory(execution: Execution, by_itself: bool) -> None:
    """Waits are not parked here."""


def _claimed(history: History) -> Claimed:
    return Claimed(
        run=0,
        id=history.workflow_id,
        name=history.name,
        inputs=_text(history, "input", history.input),
        fence=1,
        attempts=history.attempts,
        started_ms=history.exported_ms,
        deadline_ms=None,
        queue=None,
    )


def _of_engine(history: History) -> engine.History:
    found = engine.History()
    for step in history.steps:
        found.add(
            engine.Recorded(
                step.position,
                step.function_id,
                step.name,
                step.kind,
                None if step.output is None else _text(history, step.position, step.output),
                None if step.error is None else json.dumps(step.error),
                step.child_workflow_id,
                step.started_ms,
                step.ended_ms,
            )
        )
    for wait in history.waits:
        found.waits[wait.position] = engine.Waiting(
            wait.kind, wait.subject, wait.since_ms, wait.deadline_ms, wait.due_ms
        )
    for failure in history.failures:
        found.failures.setdefault(failure.position, []).append(
            engine.Failure(failure.number, json.dumps(failure.error))
        )
    return found


def _text(history: History, place: str, value: Any) -> str:
    text = json.dumps(value)
    return loose(text) if place in history.loose else text


def _judge(history: History, rehearsal: _ReplayExecution, outcome: Outcome | None) -> ReplayReport:
    # What the code never asked for, of what its former self asked for.
    left = [step for step in history.steps if step.position not in rehearsal.asked and step.kind in _ASKED_FOR]
    first = min(left, key=lambda step: order(step.position), default=None)
    parted = rehearsal.mismatch
    if parted is not None and parted.position is None and first is not None:  # it does not take its arguments
        return ReplayReport(False, first.position, first.name, None)
    if parted is not None:
        return ReplayReport(False, parted.position, parted.recorded, parted.asked)
    if rehearsal.staying or not isinstance(outcome, Completed | Failed):
        return ReplayReport(True)
    if first is not None:
        return ReplayReport(False, first.position, first.name, None)
    ended = "SUCCESS" if isinstance(outcome, Completed) else "ERROR"
    if WorkflowStatus(history.status) in _ENDS and history.status != ended:
        return ReplayReport(False, None, history.status, f"{ended}{_why(outcome)}")
    return ReplayReport(True)


def _why(outcome: Completed | Failed) -> str:
    if isinstance(outcome, Completed):
        return ""
    facts = error_facts(outcome.error)
    return f" {facts.type_name}: {facts.message}"


_ASKED_FOR = (Kind.STEP, Kind.WAIT, Kind.CHILD, Kind.UNCHECKED, Kind.BROKEN_OFF)
"""What a call stands for. Marks and notes are no calls: code may lose them."""
_ENDS = (WorkflowStatus.SUCCESS, WorkflowStatus.ERROR)
