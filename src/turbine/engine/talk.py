"""Sleeping, messages and published values: the words of a body that wait for, or tell, somebody else."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from turbine.codec import Misfit, PayloadType, decode_error, encode_error, payload_type, settle_error
from turbine.engine.calls import replayed
from turbine.engine.execution import Execution
from turbine.errors import RecvTimeout, TurbineError, ValueTimeout, WorkflowNotFound
from turbine.model.history import Recorded
from turbine.model.positions import READING
from turbine.model.steps import Kind
from turbine.model.words import GET_VALUE, PATCHED, RECV, SEND, SET_VALUE, SLEEP, SLEEP_UNTIL
from turbine.registry import UNSET
from turbine.tables import messages, steps, waits
from turbine.tables.messages import NewMessage, Receive
from turbine.tables.ownership import Answer
from turbine.tables.steps import Outcome
from turbine.tables.waits import NewWait

UNTYPED: PayloadType[Any] = payload_type(Any)


class Operation:
    """One durable call that is not a step: its position, its record, its clock."""

    __slots__ = ("deadline_ms", "execution", "function_id", "name", "position", "record", "since_ms")

    def __init__(self, execution: Execution, position: str, name: str) -> None:
        execution.check()
        self.execution = execution
        self.position = position
        self.name = name
        self.record: Recorded | None = execution.recorded(position, name)
        self.function_id = -1
        self.since_ms = 0
        self.deadline_ms: int | None = None

    @property
    def is_done(self) -> bool:
        return self.record is not None and self.record.ended_ms is not None

    def begin(self, seconds: float | None) -> None:
        """Take up the call where an earlier life left it: its start, and what remains of its time."""
        execution = self.execution
        execution.is_replaying = False
        if self.record is None:
            self.function_id = execution.next_function_id()
            self.since_ms = execution.app.clock.now_ms()
        else:
            self.function_id = self.record.function_id
            self.since_ms = self.record.started_ms
        waiting = execution.history.waits.get(self.position)
        if waiting is not None:
            self.deadline_ms = waiting.deadline_ms
        elif seconds is not None:
            self.deadline_ms = self.since_ms + round(seconds * 1000)

    def outcome(self, output: str | None, error: str | None = None, kind: Kind = Kind.WAIT) -> Outcome:
        execution = self.execution
        return Outcome(
            execution.run,
            execution.fence,
            self.position,
            self.function_id,
            self.name,
            kind,
            output,
            error,
            None,
            1,
            self.since_ms,
            execution.app.clock.now_ms(),
        )

    def wait(self, kind: str, subject: str) -> NewWait:
        execution = self.execution
        return NewWait(
            execution.run,
            execution.fence,
            self.position,
            self.function_id,
            self.name,
            Kind.WAIT,
            None,
            kind,
            subject,
            self.since_ms,
            self.deadline_ms,
        )

    @property
    def is_late(self) -> bool:
        return self.deadline_ms is not None and self.execution.app.clock.now_ms() >= self.deadline_ms

    async def settle(self, output: str | None, error: Exception | None = None) -> None:
        text = None if error is None else encode_error(error)
        answer = await self.execution.write(steps.settle, self.outcome(output, text), len(output or ""))
        if answer is not Answer.DONE:
            raise self.execution.refuse(answer)

    async def take(self, kind: PayloadType[Any], stored: str, what: str) -> tuple[str, Any]:
        """What to record of a payload that others have written, and its value as the body gets it.

        One that is of another type is recorded as an error, and raised.
        """
        try:
            return kind.take(self.execution.app.payloads.open(stored), what)
        except Exception as error:  # noqa: BLE001 - validators of the user's own may raise anything
            _, raised = settle_error(error)
        await self.settle(None, raised)
        raise self.fail(raised)

    @property
    def reading(self) -> Recorded | None:
        """The note of how what is recorded here was read, if there was something to note."""
        return self.execution.history.recorded.get(READING + self.position)

    async def note_reading(self, output: str | None, error: str | None) -> None:
        """Note, beside the record, that its reader passed over fields of it, or could not read it."""
        outcome = self.outcome(output, error, Kind.NOTE)._replace(position=READING + self.position, function_id=-1)
        answer = await self.execution.write(steps.record, outcome)
        if answer is not Answer.DONE:
            raise self.execution.refuse(answer)

    def fail(self, error: Exception) -> Exception:
        self.execution.failures.append((error, self.position))
        return error


async def sleep(execution: Execution, position: str, *, seconds: float = 0.0, until_ms: int | None = None) -> None:
    """Wait for a time that is written before the waiting begins; after a restart only the rest is waited."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    call = Operation(execution, position, SLEEP if until_ms is None else SLEEP_UNTIL)
    if call.is_done:
        return
    execution.busy += 1
    wait = execution.open_wait(position, is_timer=True)
    try:
        call.begin(seconds)
        if until_ms is not None and position not in execution.history.waits:
            call.deadline_ms = until_ms
        if position not in execution.history.waits:
            answer = await execution.write(waits.begin, call.wait("sleep", ""))
            if answer is not Answer.DONE:
                raise execution.refuse(answer)
        while not call.is_late and not wait.is_expedited:
            await execution.pause(wait, call.deadline_ms)
        await call.settle(None)
    finally:
        execution.close_wait(wait)
        execution.leave()


async def send(execution: Execution, position: str, destination: str, message: Any, topic: str) -> None:
    """Put a message into a run's mailbox, once for this position, whatever dies in between."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    call = Operation(execution, position, SEND)
    if call.is_done:
        assert call.record is not None
        replayed(execution, call.record, UNTYPED)
        return
    body = execution.app.payloads.seal(UNTYPED.encode(message, "the message"), "the message")
    execution.busy += 1
    try:
        call.begin(None)
        step = call.outcome(None, kind=Kind.STEP)
        row = NewMessage(destination, topic, body, step.ended_ms or 0, step)
        try:
            answer = await execution.write(messages.send, row, len(body))
        except WorkflowNotFound as error:
            await call.settle(None, error)
            raise call.fail(error) from None
        if answer is not Answer.DONE:
            raise execution.refuse(answer)
    finally:
        execution.leave()


async def recv(
    execution: Execution, position: str, topic: str, kind: PayloadType[Any], timeout: float | None, default: Any
) -> Any:
    """The oldest unread message of a topic; taking it and recording it are one transaction."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    call = Operation(execution, position, RECV)
    if call.is_done:
        assert call.record is not None
        if call.record.error is not None and default is not UNSET:
            return default
        if call.record.output is not None:
            return await _read_again(call, call.record.output, topic, kind)
        return replayed(execution, call.record, kind)
    execution.busy += 1
    wait = execution.open_wait(position)
    try:
        call.begin(timeout)
        row = call.wait("message", topic)
        while True:
            execution.check()
            is_late = call.is_late
            now_ms = execution.app.clock.now_ms()
            taking = _take(call, Receive(row, topic, now_ms, is_late), kind)
            answer = await (taking if kind.takes_anything else execution.unbroken(taking))
            if isinstance(answer, _Message):
                return answer.value()
            if answer is Answer.DONE:
                error = RecvTimeout(
                    f"No message on topic {topic!r} came in time", workflow_id=execution.id, step_name=RECV
                )
                await call.settle(None, error)
                if default is not UNSET:
                    return default
                raise call.fail(error)
            if answer is not Answer.WAIT:
                raise execution.refuse(answer)
            await execution.pause(wait, call.deadline_ms)
    finally:
        execution.close_wait(wait)
        execution.leave()


class _Message(NamedTuple):
    """A message as its receiver reads it."""

    read: Any
    error: Exception | None

    def value(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.read


async def _take(call: Operation, row: Receive, kind: PayloadType[Any]) -> _Message | Answer:
    """Take a message that is there, and note how it is read."""
    answer: str | Answer = await call.execution.write(messages.receive, row)
    return await _read(call, answer, row.topic, kind) if isinstance(answer, str) else answer


async def _read(call: Operation, stored: str, topic: str, kind: PayloadType[Any]) -> _Message:
    """Read a message that has come now.

    It was recorded as it was sent, when it was taken. If it is of another type, or has more than the type reads, that
    is noted before the body has it: else a replay would take it for a type that has changed since.
    """
    text = call.execution.app.payloads.open(stored)
    try:
        value = kind.decode(text, f"the message on topic {topic!r}")
    except Exception as error:  # noqa: BLE001 - validators of the user's own may raise anything
        failure, raised = settle_error(error)
        await call.note_reading(None, failure)
        return _Message(None, raised)
    if passed_over := kind.dropped(text, value):
        await call.note_reading(json.dumps(passed_over), None)
    return _Message(value, None)


async def _read_again(call: Operation, stored: str, topic: str, kind: PayloadType[Any]) -> Any:
    """The value of a message that an earlier life has taken, as that life had it. If it does not fit, the pass ends."""
    execution, note = call.execution, call.reading
    what = f"the message on topic {topic!r} that was received at position {call.position}"
    passed_over: list[str] = [] if note is None or note.output is None else json.loads(note.output)
    try:
        return kind.recall(execution.app.payloads.open(stored), what, passed_over)
    except Misfit as misfit:
        if note is not None and note.error is not None:  # it did not fit then either, and the body knows
            raise decode_error(note.error) from None
        if not misfit.lost or note is not None or execution.history.goes_beyond(call.position):
            raise execution.misfit(call.position, RECV, what, misfit) from misfit
    except Exception as error:  # the user's own codec of payloads
        raise execution.misfit(call.position, RECV, what, error) from error
    # The process was killed after it took the message, and before it could note how it reads it.
    return (await _read(call, stored, topic, kind)).value()


async def set_value(execution: Execution, position: str, key: str, value: Any) -> None:
    """Publish a value of this run under a key, for anybody to read."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    call = Operation(execution, position, SET_VALUE)
    if call.is_done:
        return
    what = f"the value of {key!r}"
    text = execution.app.payloads.seal(UNTYPED.encode(value, what), what)
    execution.busy += 1
    try:
        call.begin(None)
        step = call.outcome(None, kind=Kind.STEP)
        answer = await execution.write(messages.set_value, (step, key, text), len(text))
        if answer is not Answer.DONE:
            raise execution.refuse(answer)
    finally:
        execution.leave()


async def get_value(
    execution: Execution,
    position: str,
    workflow_id: str,
    key: str,
    kind: PayloadType[Any],
    timeout: float | None,
    default: Any,
) -> Any:
    """The published value of another run (or this one); recorded, so that every replay sees the same."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    call = Operation(execution, position, GET_VALUE)
    if call.is_done:
        assert call.record is not None
        if call.record.error is not None and default is not UNSET and "ValueTimeout" in call.record.error[:200]:
            return default
        return replayed(execution, call.record, kind)
    execution.busy += 1
    wait = execution.open_wait(position)
    try:
        call.begin(timeout)
        row = call.wait("value", "")
        while True:
            execution.check()
            is_late = call.is_late
            answer = await execution.write(waits.await_value, (row, workflow_id, key))
            if isinstance(answer, str):
                what = f"the value {key!r} of run {workflow_id}"
                text, value = await call.take(kind, answer, what)
                await call.settle(execution.app.payloads.seal(text, what))
                return value
            if answer is None:
                error: TurbineError = WorkflowNotFound(workflow_id)
                await call.settle(None, error)
                raise call.fail(error)
            if answer is not Answer.WAIT:
                raise execution.refuse(answer)
            if is_late:
                error = ValueTimeout(f"Run {workflow_id} did not set {key!r} in time", workflow_id=workflow_id)
                await call.settle(None, error)
                if default is not UNSET:
                    return default
                raise call.fail(error)
            await execution.pause(wait, call.deadline_ms)
    finally:
        execution.close_wait(wait)
        execution.leave()


async def patched(execution: Execution, position: str, is_new: bool) -> bool:
    """Whether this run takes the new branch of a code change: recorded the first time it is asked."""
    if execution.signal is not None:
        await execution.raise_if_stopping()
    if position in execution.history.recorded:
        return True
    if not is_new:
        return False
    execution.busy += 1
    try:
        call = Operation(execution, position, PATCHED)
        call.begin(None)
        answer = await execution.write(steps.record, call.outcome("true", kind=Kind.MARK))
        if answer is not Answer.DONE:
            raise execution.refuse(answer)
        assert call.record is None
        execution.history.add(
            Recorded(position, call.function_id, call.name, Kind.MARK, "true", None, None, call.since_ms, call.since_ms)
        )
        return True
    finally:
        execution.leave()


def require_json(value: Any, what: str) -> str:
    """The JSON of a value that must not be None (keys of the store). Raises SerializationError, ValueError for None."""
    if value is None:
        raise ValueError(f"{what} must not be None; delete the key instead")
    return UNTYPED.encode(value, what)
