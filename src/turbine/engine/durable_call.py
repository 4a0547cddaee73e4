"""Durable calls: the one protocol by which a call of a body is replayed, or attempted and settled at its position."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Self

from turbine.codec import Misfit, PayloadType, decode_error, encode_error, payload_type, recall_error, settle_error
from turbine.engine.execution import Execution
from turbine.engine.waits import OpenWait
from turbine.model.history import Recorded, Waiting
from turbine.model.positions import READING
from turbine.model.steps import Kind
from turbine.registry import StepDefinition, WorkflowDefinition
from turbine.tables import steps
from turbine.tables.ownership import Answer
from turbine.tables.steps import Outcome
from turbine.tables.waits import NewWait

UNTYPED: PayloadType[Any] = payload_type(Any)


class Reading(NamedTuple):
    """A payload written by others, as its reader takes it: a value, or the error that reading it raised."""

    value: Any
    error: Exception | None


class DurableCall:
    """One call of a body at its position.

    `at` refuses it while the run is stopping. When `is_recorded`, `replayed` gives the recorded outcome. Otherwise the
    call is attempted inside `with call:`, which counts it as busy, and ends with `settle` or with a write of its own.
    """

    __slots__ = ("deadline_ms", "execution", "function_id", "name", "open_wait", "position", "record", "started_ms")

    kind = Kind.WAIT
    number = 1
    """Of the attempt; only steps are tried again."""
    follows: int | None = None

    def __init__(self, execution: Execution, position: str, name: str) -> None:
        self.execution = execution
        self.position = position
        self.name = name
        self.record = execution.recorded(position, name)
        self.function_id = -1
        self.started_ms = 0
        self.deadline_ms: int | None = None
        self.open_wait: OpenWait | None = None

    @classmethod
    async def at(cls, execution: Execution, position: str, name: str) -> Self:
        """The call at this position. Raises what ends the pass while the run is stopping."""
        if execution.signal is not None:
            await execution.raise_if_stopping()
        return cls(execution, position, name)

    # Replay

    @property
    def is_recorded(self) -> bool:
        return self.record is not None and self.record.ended_ms is not None

    def replayed(self, typed: StepDefinition | WorkflowDefinition | PayloadType[Any] = UNTYPED) -> Any:
        """The recorded value, or the recorded error raised. The pass ends when today's code does not take it."""
        assert self.record is not None
        return replay_record(self.execution, self.record, typed)

    # Attempt

    def __enter__(self) -> Self:
        self.execution.busy += 1
        return self

    def __exit__(self, *_: object) -> None:
        if self.open_wait is not None:
            self.execution.close_wait(self.open_wait)
        self.execution.leave()

    def begin(self) -> None:
        """Take the call up where an earlier pass left it, if one did."""
        if self.function_id >= 0:
            return
        execution = self.execution
        execution.is_replaying = False
        if self.record is None:
            self.function_id = execution.next_function_id()
            self.started_ms = execution.app.clock.now_ms()
        else:
            self.function_id = self.record.function_id
            self.started_ms = self.record.started_ms

    def listen(self, seconds: float | None, *, is_timer: bool = False) -> None:
        """Begin, and listen for wakes of this position; the time that is left counts on from an earlier pass."""
        self.open_wait = self.execution.open_wait(self.position, is_timer=is_timer)
        self.begin()
        waiting = self.waiting
        if waiting is not None:
            self.deadline_ms = waiting.deadline_ms
        elif seconds is not None:
            self.deadline_ms = self.started_ms + round(seconds * 1000)

    @property
    def waiting(self) -> Waiting | None:
        """The row of the wait at this position that an earlier pass has written."""
        return self.execution.history.waits.get(self.position)

    @property
    def is_late(self) -> bool:
        return self.deadline_ms is not None and self.execution.app.clock.now_ms() >= self.deadline_ms

    async def wait_for(self, look: Callable[[], Awaitable[Any]]) -> Any:
        """The answer of `look`, which is repeated at each wake until it is not `Answer.WAIT`."""
        execution = self.execution
        assert self.open_wait is not None
        while True:
            execution.check()
            answer = execution.accept(await look())
            if answer is not Answer.WAIT:
                return answer
            await execution.pause(self.open_wait, self.deadline_ms)

    async def take(self, function: Any, row_of: Callable[[], Any], kind: PayloadType[Any], what: str) -> Any:
        """NewWait until `function`, which looks and records in one transaction, gives a payload written by others.

        Returns its `Reading`, or what else the function has answered.
        """
        execution = self.execution

        async def look() -> Any:
            answer = await execution.write(function, row_of())
            if not isinstance(answer, str):
                return answer
            return await self.read(kind, execution.app.payloads.open(answer), what)

        if kind.takes_anything:
            return await self.wait_for(look)
        return await self.wait_for(lambda: execution.unbroken(look()))

    # Settle

    async def write(self, function: Any, row: Any, size: int = 0) -> Any:
        """The answer of a write. Raises what ends the pass when it was refused."""
        return self.execution.accept(await self.execution.write(function, row, size))

    async def settle(self, output: str | None, error: str | None = None) -> None:
        """Record the outcome, and remove the wait."""
        await self.write(steps.settle, self.outcome(output, error), len(output or ""))

    async def fail(self, error: Exception) -> Exception:
        """Record an error as the outcome; returns it, to be raised."""
        await self.settle(None, encode_error(error))
        return self.failed(error)

    def failed(self, error: Exception) -> Exception:
        """Note an error that is recorded here as one that the body gets; returns it, to be raised."""
        self.execution.failures.append((error, self.position))
        return error

    def outcome(
        self,
        output: str | None,
        error: str | None = None,
        *,
        kind: Kind | None = None,
        child: str | None = None,
        is_done: bool = True,
    ) -> Outcome:
        execution = self.execution
        return Outcome(
            run=execution.run,
            fence=execution.fence,
            position=self.position,
            function_id=self.function_id,
            name=self.name,
            kind=self.kind if kind is None else kind,
            output=output,
            error=error,
            child=child,
            attempts=self.number,
            started_ms=self.started_ms,
            ended_ms=execution.app.clock.now_ms() if is_done else None,
            follows=self.follows,
        )

    def wait_row(self, kind: str, subject: str, *, child: str | None = None) -> NewWait:
        execution = self.execution
        return NewWait(
            run=execution.run,
            fence=execution.fence,
            position=self.position,
            function_id=self.function_id,
            name=self.name,
            step_kind=self.kind,
            child=child,
            kind=kind,
            subject=subject,
            since_ms=self.started_ms,
            deadline_ms=self.deadline_ms,
        )

    # Payloads written by others

    async def read(self, kind: PayloadType[Any], text: str, what: str, *, must_fit: bool = False) -> Reading:
        """Read the opened text of a payload that was just recorded as others have written it.

        If it is of another type, or has more than the type reads, that is noted before the body gets it; otherwise a
        replay would take it for a type that has changed since. With `must_fit` the pass ends for another type.
        """
        try:
            value = kind.decode(text, what)
        except Exception as error:
            if must_fit:
                raise self.execution.misfit(self.position, self.name, what, error) from error
            failure, raised = settle_error(error)
            await self._note_reading(None, failure)
            return Reading(None, raised)
        if dropped := kind.dropped(text, value):
            await self._note_reading(json.dumps(dropped), None)
        return Reading(value, None)

    async def read_again(self, kind: PayloadType[Any], text: str, what: str) -> Reading:
        """Read a payload again as an earlier pass has read it. The pass ends when it does not fit any more."""
        execution = self.execution
        note = execution.history.recorded.get(READING + self.position)
        dropped: list[str] = [] if note is None or note.output is None else json.loads(note.output)
        try:
            return Reading(kind.recall(text, what, dropped), None)
        except Misfit as misfit:
            if note is not None and note.error is not None:  # it did not fit then either, and the body knows
                return Reading(None, decode_error(note.error))
            if not misfit.lost or note is not None or execution.history.goes_beyond(self.position):
                raise execution.misfit(self.position, self.name, what, misfit) from misfit
        # The process was killed after it recorded the payload, and before it could note how it reads it.
        return await self.read(kind, text, what)

    def open(self, stored: str, what: str) -> str:
        """The text of a recorded payload. The pass ends when the user's codec cannot read it."""
        try:
            return self.execution.app.payloads.open(stored)
        except Exception as error:
            raise self.execution.misfit(self.position, self.name, what, error) from error

    def value_of(self, reading: Reading) -> Any:
        if reading.error is not None:
            raise self.failed(reading.error)
        return reading.value

    async def _note_reading(self, output: str | None, error: str | None) -> None:
        outcome = self.outcome(output, error, kind=Kind.NOTE)._replace(position=READING + self.position, function_id=-1)
        await self.write(steps.record, outcome)


def replay_record(
    execution: Execution, record: Recorded, typed: StepDefinition | WorkflowDefinition | PayloadType[Any]
) -> Any:
    """The recorded value, or the recorded error raised. The pass ends when today's code does not take it."""
    what = f"what is recorded of {record.name!r} at position {record.position}"
    if record.error is not None:
        try:
            error = recall_error(record.error, what)
        except Misfit as misfit:
            raise execution.misfit(record.position, record.name, what, misfit) from misfit
        execution.failures.append((error, record.position))
        raise error
    if record.output is None:
        return None
    kind = execution.type_of(record.position, record.name, typed)
    return execution.recall(record.position, record.name, kind, record.output, what)
