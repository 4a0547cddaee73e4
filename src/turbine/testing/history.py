"""Recorded histories against current code: could a run that is open now go on?"""

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
"""Seconds of real time without a durable call after which code at the end of its history counts as waiting."""
PATIENCE = 30.0
"""Seconds of real time that code may take to go through its history."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Whether code fits a history, and if not, the first position at which they differ."""

    ok: bool
    position: str | None = None
    """Where they differ; None for the end of the run."""
    recorded: str | None = None
    """The name that is recorded there."""
    asked: str | None = None
    """The name of the call that the code makes there, or why it rejects what is recorded; None for no call."""


async def replay(history: History, workflow: WorkflowBase[..., Any]) -> ReplayReport:
    """Replay a recorded run under the current code of `workflow`, in memory.

    No body of a step runs, nothing is started or sent, no database is touched. The replay stops where the history ends:
    what the code does after that is not judged. If the run is over, the code must end in the same way.
    """
    clock = VirtualClock(to_datetime(history.exported_ms))
    runtime = Runtime("sqlite://:memory:", workflows=[type(workflow)(workflow.definition)], clock=clock)
    async with runtime:
        live = runtime._live  # pyright: ignore[reportPrivateUsage] - the test kit needs the internals
        assert live is not None
        app = replace(live.app, registry=_OpenRegistry(live.app.registry), adopt=_adopt_nothing)
        execution = _ReplayExecution(app, _claimed(history), workflow.definition, _of_engine(history))
        outcome = await execution.carry_out()
    return _judge(history, execution, outcome)


class _ReplayExecution(Execution):
    """A pass that goes as far as its history and no further."""

    is_replay_check = True

    __slots__ = ("active", "called", "staying")

    def __init__(
        self, app: App, claimed: Claimed, definition: WorkflowDefinition, history: engine.RunRecords | None
    ) -> None:
        super().__init__(app, claimed, definition, history, _stay_in_memory)
        self.called: set[str] = set()
        self.staying = 0
        """Calls that have reached the end of the history."""
        self.active = time.monotonic()
        """When the code last made a durable call."""

    async def carry_out(self) -> Outcome | None:
        """One pass; None when it reached the end of the history and would go on from there."""
        if self.is_async:
            task = asyncio.get_running_loop().create_task(carry_out(self), context=self.app.context.copy())
        else:
            task = asyncio.ensure_future(self._in_thread())
        began = self.active = time.monotonic()
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=QUIET / 5)
                now = time.monotonic()
                if (self.staying or self.is_idle) and now - self.active > QUIET:
                    return None
                if now - began > PATIENCE:
                    if self.waits:  # the body is to cancel again what it cancelled before
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
        """Unwind what waits for more than the history has."""
        if task.done():
            return
        for wait in list(self.waits.values()):
            wait.abort(Unloaded())
        if self.is_async:
            task.cancel()
        await asyncio.wait({task}, timeout=1.0)

    def recorded(self, position: str, name: str) -> engine.Recorded | None:
        self.called.add(position)
        self.active = time.monotonic()
        return super().recorded(position, name)

    async def write(self, function: Any, row: Any, size: int = 0, then: Callable[[Any], None] | None = None) -> Any:
        await self.stay()

    async def stay(self) -> NoReturn:
        """Stop code that has passed its history: a coroutine waits for ever, a thread (one branch) unwinds."""
        self.staying += 1
        if self.is_async:
            await asyncio.get_running_loop().create_future()
        raise Unloaded


class _OpenRegistry(Registry):
    """A registry with a definition for every name: children are not executed here, so their code is not needed."""

    def __init__(self, registered: Registry) -> None:
        super().__init__()
        self._registered = registered

    def get(self, name: str) -> WorkflowDefinition | None:
        return self._registered.get(name) or WorkflowDefinition(fn=None, name=name, fqn=name)

    def meant(self, definition: WorkflowDefinition, *, by_body: bool = False) -> WorkflowDefinition | None:
        return self._registered.meant(definition, by_body=by_body) or definition


def _adopt_nothing(claimed: Claimed, definition: WorkflowDefinition) -> Execution:
    raise AssertionError(f"A replay was about to start {claimed.name!r}")


def _stay_in_memory(execution: Execution, by_itself: bool) -> None:
    """Park nothing: the replay ends when it is quiet."""


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


def _of_engine(history: History) -> engine.RunRecords:
    records = engine.RunRecords()
    for step in history.steps:
        records.add(
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
        records.waits[wait.position] = engine.Waiting(
            wait.kind, wait.subject, wait.since_ms, wait.deadline_ms, wait.due_ms
        )
    for failure in history.failures:
        records.failures.setdefault(failure.position, []).append(
            engine.Failure(failure.number, json.dumps(failure.error))
        )
    return records


def _text(history: History, position: str, value: Any) -> str:
    text = json.dumps(value)
    return loose(text) if position in history.loose else text


def _judge(history: History, execution: _ReplayExecution, outcome: Outcome | None) -> ReplayReport:
    # Recorded calls that the code does not make.
    missing = [step for step in history.steps if step.position not in execution.called and step.kind in _CALLS]
    first = min(missing, key=lambda step: order(step.position), default=None)
    mismatch = execution.mismatch
    if mismatch is not None and mismatch.position is None and first is not None:  # it rejects its arguments
        return ReplayReport(False, first.position, first.name, None)
    if mismatch is not None:
        return ReplayReport(False, mismatch.position, mismatch.recorded, mismatch.requested)
    if execution.staying or not isinstance(outcome, Completed | Failed):
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


_CALLS = (Kind.STEP, Kind.WAIT, Kind.CHILD, Kind.UNCHECKED, Kind.BROKEN_OFF)
"""The kinds of recorded calls. Marks and notes are not calls: code may drop them."""
_ENDS = (WorkflowStatus.SUCCESS, WorkflowStatus.ERROR)
