"""The errors of Turbine: one class for each case that a caller would handle differently.

Facts are attributes. The text says what happened, to what, and what to do now. Every class can be copied, pickled and
recorded: `type(*args)` with the same attributes gives the same error again. This module imports nothing of Turbine.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, ClassVar


class ErrorCode(IntEnum):
    """Stable numbers for programs that cannot compare classes; those below 20 are shared with the Go library."""

    CONFLICTING_ID = 1
    NOT_FOUND = 3
    CONFLICT = 4
    CANCELLED = 5
    AWAITED_CANCELLED = 7
    REGISTRATION_CONFLICT = 8
    DEAD_LETTER = 12
    MAX_RETRIES = 13
    DEDUPLICATED = 14
    INTERNAL = 20
    NOT_REGISTERED = 21
    NOT_TRIGGERABLE = 22
    NOT_IN_STEP = 23
    NOT_IN_WORKFLOW = 24
    SHUTTING_DOWN = 25
    SERIALIZATION = 26
    STEP_FAILED = 27
    WORKFLOW_FAILED = 28
    WORKFLOW_TIMEOUT = 29
    APPROVAL_TIMEOUT = 30
    RECV_TIMEOUT = 31
    VALUE_TIMEOUT = 32
    RESULT_TIMEOUT = 33
    NON_DETERMINISTIC = 34
    VALIDATION = 35
    ALREADY_LAUNCHED = 36
    DELIVERY_FAILED = 37
    STORE_UNAVAILABLE = 38
    STORE_TOO_NEW = 39
    STORE_INVALID = 40
    NOT_SIGNED_IN = 41
    NOT_ALLOWED = 42
    TOO_MANY_ATTEMPTS = 43
    BAD_REQUEST = 44
    TOO_LARGE = 45
    FORKED_PROCESS = 46


class TurbineError(Exception):
    """An operation that Turbine refused or could not finish; `str(error)` says why and what to do.

    Facts that do not apply are None. Without a `message` the text is made from the facts.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    template: ClassVar[str] = "Turbine could not finish this operation."
    """The text without a `message`; `{0}` is the error."""

    # The defaults are on the class, so that only facts that apply are recorded, pickled and shown.
    workflow_id: str | None = None
    step_name: str | None = None
    queue_name: str | None = None
    deduplication_id: str | None = None
    max_retries: int | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        workflow_id: str | None = None,
        step_name: str | None = None,
        queue_name: str | None = None,
        deduplication_id: str | None = None,
        max_retries: int | None = None,
    ) -> None:
        self._set(
            workflow_id=workflow_id,
            step_name=step_name,
            queue_name=queue_name,
            deduplication_id=deduplication_id,
            max_retries=max_retries,
        )
        super().__init__(self._text() if message is None else message)

    def _set(self, **facts: Any) -> None:
        self.__dict__.update({name: fact for name, fact in facts.items() if fact is not None})

    def _text(self) -> str:
        return self.template.format(self)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NotFound(TurbineError):
    """No record of this kind has this id."""

    code = ErrorCode.NOT_FOUND
    template = "There is no {0.kind} {0.id!r}. Check the id; the record may have been deleted."
    kind: str = "record"
    id: str = ""

    def __init__(self, message: str | None = None, *, kind: str = "", id: str = "", **facts: Any) -> None:
        self._set(kind=kind or None, id=id or None)
        super().__init__(message, **facts)


class WorkflowNotFound(NotFound):
    """No run in this database has this workflow id; it may have been deleted."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(kind="workflow", id=workflow_id, workflow_id=workflow_id)
        self.args = (workflow_id,)

    def __str__(self) -> str:
        return (
            f"There is no workflow {self.workflow_id!r} in this database. Check the id and the database URL. "
            "If the run has finished, garbage collection may have deleted it."
        )


class QueueNotFound(NotFound):
    """No queue has this name."""

    def __init__(self, queue_name: str) -> None:
        super().__init__(kind="queue", id=queue_name, queue_name=queue_name)
        self.args = (queue_name,)

    def __str__(self) -> str:
        return f"There is no queue {self.queue_name!r}. Declare it before launch: rt.queue({self.queue_name!r})."


class NotRegistered(TurbineError):
    """The code of this workflow is not registered with the runtime."""

    code = ErrorCode.NOT_REGISTERED
    template = "This workflow is not registered. Pass it to Runtime(workflows=[...]) before launch."


class NotTriggerable(TurbineError):
    """The workflow is registered, but may not be started from outside."""

    code = ErrorCode.NOT_TRIGGERABLE
    template = "This workflow cannot be triggered. Declare it with @turbine.workflow(triggerable=True)."


class NotInStep(TurbineError):
    """The function works only inside a step."""

    code = ErrorCode.NOT_IN_STEP
    template = "This works only inside a step. Move the call into a function decorated with @turbine.step."


class NotInWorkflow(TurbineError):
    """The function works only in the body of a workflow."""

    code = ErrorCode.NOT_IN_WORKFLOW
    template = "This works only in the body of a running workflow. Start one with rt.run(...)."


class WorkflowConflict(TurbineError):
    """The workflow id belongs to a run of another workflow or queue."""

    code = ErrorCode.CONFLICTING_ID
    template = "The id {0.workflow_id!r} belongs to a run of another workflow or queue. Use another id."


class RegistrationConflict(TurbineError):
    """Two things were registered under one name."""

    code = ErrorCode.REGISTRATION_CONFLICT
    template = "This name is registered already. Give one of the two another name."


class Conflict(TurbineError):
    """The record is no longer in the state that the request needs."""

    code = ErrorCode.CONFLICT
    template = "The record has changed in the meantime. Load it again, then repeat the change if it still applies."


class Deduplicated(TurbineError):
    """Another unfinished run holds the deduplication id; `.workflow_id` is that run."""

    code = ErrorCode.DEDUPLICATED

    def _text(self) -> str:
        where = f" in queue {self.queue_name!r}" if self.queue_name else ""
        return (
            f"The deduplication id {self.deduplication_id!r}{where} is held by the unfinished run "
            f"{self.workflow_id!r}. Wait for that run, or cancel it."
        )


class _OfRuntime(TurbineError):
    """An error of the runtime itself, which is no failure of the run that meets it."""

    __slots__ = ("origin",)
    origin: object
    """The store of the runtime that raised it; None if other code did. Never recorded, pickled or copied."""

    def __init__(self, message: str | None = None, *, origin: object = None, **facts: Any) -> None:
        self.origin = origin
        super().__init__(message, **facts)


class ShuttingDown(_OfRuntime):
    """The runtime takes no new work because it is shutting down."""

    code = ErrorCode.SHUTTING_DOWN
    template = (
        "This runtime is shutting down and accepts no new work. Use another process, or try again after a restart."
    )


class ForkedProcess(TurbineError):
    """The runtime was launched before this process was forked, so its threads are only in the parent.

    `rt.launch()` launches it in this process, with its own connections, threads and executor id.
    """

    code = ErrorCode.FORKED_PROCESS
    template = (
        "This process was forked after the runtime was launched, so the runtime's threads and connections are in the "
        "parent process. Call rt.launch() in this process first (in gunicorn's post_fork, in Celery's "
        "worker_process_init, at the start of a multiprocessing target), or use the runtime in the parent only."
    )


class AlreadyLaunched(TurbineError):
    """The call is possible only before launch."""

    code = ErrorCode.ALREADY_LAUNCHED
    template = "The runtime is launched already. Register workflows and queues before launch()."


class SerializationError(TurbineError):
    """A value cannot be stored as JSON and read back as the same value."""

    code = ErrorCode.SERIALIZATION
    template = "A value cannot be stored as JSON. Convert it to plain data, or to a type that pydantic can serialise."


class StepFailed(TurbineError):
    """A step failed with an error that cannot be rebuilt from its record; `type_name` and `message` describe it.

    It is raised in the first execution as well as in a replay, so that `except` takes the same branch. In the first
    execution `__cause__` is the original error.
    """

    code = ErrorCode.STEP_FAILED

    def __init__(self, type_name: str, message: str = "", **facts: Any) -> None:
        self.type_name = type_name
        self.message = message
        super().__init__(**facts)
        self.args = (type_name, message)

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


class MaxStepRetriesExceeded(TurbineError):
    """A step failed at every attempt; `causes` are the errors of all attempts, and the last one is `__cause__`."""

    code = ErrorCode.MAX_RETRIES
    causes: tuple[Exception, ...] = ()

    def __init__(
        self,
        message: str | None = None,
        *,
        step_name: str | None = None,
        max_retries: int | None = None,
        causes: Sequence[Exception] = (),
        workflow_id: str | None = None,
    ) -> None:
        self.causes = tuple(causes)
        super().__init__(message, step_name=step_name, max_retries=max_retries, workflow_id=workflow_id)
        if self.causes:
            self.__cause__ = self.causes[-1]

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        super().__setstate__(state)
        if self.causes:
            self.__cause__ = self.causes[-1]

    def _text(self) -> str:
        # The text of the cause is cut: it may be of any length, and is in `causes` in full.
        last = f" The last error was {type(self.causes[-1]).__name__}: {self.causes[-1]!s:.500}." if self.causes else ""
        return (
            f"Step {self.step_name!r} failed {len(self.causes)} times and has no retry left "
            f"(retries={self.max_retries}).{last} Fix the cause, then resume the workflow: only this step runs again."
        )


class WorkflowFailed(TurbineError):
    """The run ended in ERROR; `type_name`, `message` and `traceback` describe the error that its body raised."""

    code = ErrorCode.WORKFLOW_FAILED
    traceback: str | None = None

    def __init__(self, type_name: str, message: str = "", *, traceback: str | None = None, **facts: Any) -> None:
        self.type_name = type_name
        self.message = message
        self._set(traceback=traceback)
        super().__init__(**facts)
        self.args = (type_name, message)

    def __str__(self) -> str:
        error = f"{self.type_name}: {self.message}" if self.message else self.type_name
        workflow = f"Workflow {self.workflow_id!r}" if self.workflow_id else "The workflow"
        return f"{workflow} failed with {error}"


class AwaitedCancelled(TurbineError):
    """The run has no result because it was cancelled; `reason` says why."""

    code = ErrorCode.AWAITED_CANCELLED
    reason: str | None = None

    def __init__(self, message: str | None = None, *, reason: str | None = None, **facts: Any) -> None:
        self._set(reason=reason)
        super().__init__(message, **facts)

    def _text(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"Workflow {self.workflow_id!r} was cancelled{why}. Resume it to continue it."


class DeadLettered(TurbineError):
    """The run was recovered too often and is set aside until it is resumed."""

    code = ErrorCode.DEAD_LETTER
    template = (
        "Workflow {0.workflow_id!r} was recovered too often and is now a dead letter. Its process probably "
        "crashes while it runs: look at the logs, fix the cause, then resume the workflow."
    )


class _OutOfTime(TurbineError, TimeoutError):
    """The base of timeouts."""


class WorkflowTimeout(_OutOfTime):
    """The run reached its timeout or deadline and was cancelled."""

    code = ErrorCode.WORKFLOW_TIMEOUT
    template = "Workflow {0.workflow_id!r} ran out of time and was cancelled. Resume it to continue without a deadline."


class ApprovalTimeout(_OutOfTime):
    """The approval was not decided in time."""

    code = ErrorCode.APPROVAL_TIMEOUT
    template = "The approval was not decided in time."


class RecvTimeout(_OutOfTime):
    """No message arrived in time."""

    code = ErrorCode.RECV_TIMEOUT
    template = "No message arrived in time."


class ValueTimeout(_OutOfTime):
    """The value was not set in time."""

    code = ErrorCode.VALUE_TIMEOUT
    template = "The value was not set in time."


class ResultTimeout(_OutOfTime):
    """The run has not finished within the timeout; it continues."""

    code = ErrorCode.RESULT_TIMEOUT
    template = "Workflow {0.workflow_id!r} has not finished yet and continues to run. Ask for its result again later."


class NonDeterministicWorkflow(TurbineError):
    """The code calls another step than the one recorded at this position; the run is set aside with its records."""

    code = ErrorCode.NON_DETERMINISTIC
    position: str | None = None
    recorded: str | None = None
    asked: str | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        position: str | None = None,
        recorded: str | None = None,
        asked: str | None = None,
        **facts: Any,
    ) -> None:
        self._set(position=position, recorded=recorded, asked=asked)
        super().__init__(message, **facts)

    template = (
        "Workflow {0.workflow_id!r} recorded {0.recorded!r} at position {0.position}, but its code now "
        "calls {0.asked!r} there. Restore the old order, or guard the change with turbine.patched, "
        "then resume the run; or fork it before this position."
    )


class ValidationFailed(TurbineError, ValueError):
    """A value is not valid; `errors` is a list of `{"path": [...], "message": ..., "type": ...}`."""

    code = ErrorCode.VALIDATION

    def __init__(
        self, message: str | None = None, *, errors: Sequence[dict[str, Any]] = (), what: str = "", **facts: Any
    ) -> None:
        self.errors: list[dict[str, Any]] = list(errors)
        super().__init__(self._summary(what or "The value") if message is None else message, **facts)

    def _summary(self, what: str) -> str:
        complaints = [
            f"{'.'.join(str(part) for part in error['path'])}: {error['message']}"
            if error["path"]
            else error["message"]
            for error in self.errors
        ]
        return f"{what} is not valid: {'; '.join(complaints)}" if complaints else f"{what} is not valid."


class DeliveryFailed(TurbineError):
    """The receiver of a delivery accepted none of its attempts."""

    code = ErrorCode.DELIVERY_FAILED
    template = "The receiver accepted none of the attempts. Look at the attempts of the delivery, then send it again."


class StoreUnavailable(_OfRuntime):
    """The database cannot be reached or written now: lost connection, full disk, read-only file."""

    code = ErrorCode.STORE_UNAVAILABLE
    template = "The database is not available. Check that it is running, and that its disk is writable and not full."


class StoreTooNew(TurbineError):
    """The database was migrated by a newer Turbine than this one."""

    code = ErrorCode.STORE_TOO_NEW
    template = "The database was migrated by a newer version of Turbine. Upgrade Turbine here, or use another database."


class StoreInvalid(TurbineError):
    """The URL or path does not name a database that Turbine can use."""

    code = ErrorCode.STORE_INVALID
    template = "This is not a database. Use sqlite:///path/to/file.db or postgresql://user@host/name."


class NotSignedIn(TurbineError):
    """The request needs a signed-in user or an API token, and has neither."""

    code = ErrorCode.NOT_SIGNED_IN
    template = "Sign in first, or send an API token: Authorization: Bearer turbine_..."


class NotAllowed(TurbineError):
    """The role of the user or token does not permit this."""

    code = ErrorCode.NOT_ALLOWED
    template = "Your role does not permit this. Ask an administrator for a role that does."


class TooManyAttempts(TurbineError):
    """There were too many attempts to sign in; `retry_after` is in seconds."""

    code = ErrorCode.TOO_MANY_ATTEMPTS
    retry_after: int = 0

    def __init__(self, message: str | None = None, *, retry_after: int = 0, **facts: Any) -> None:
        self._set(retry_after=retry_after or None)
        super().__init__(message, **facts)

    template = "Too many attempts to sign in. Try again in {0.retry_after} seconds."


class TurbineWarning(UserWarning):
    """Code works but is not durable where it seems to be; the text says how to make it so."""


class Cancelled(BaseException):
    """The run was cancelled; raised in code that runs in a thread.

    It is not an `Exception`, so that `except Exception` does not catch it. Async code gets `asyncio.CancelledError`.
    """

    code: ClassVar[ErrorCode] = ErrorCode.CANCELLED

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"This workflow was cancelled ({self.reason})." if self.reason else "This workflow was cancelled."
