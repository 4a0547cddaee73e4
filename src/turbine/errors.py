"""Everything Turbine raises on purpose: one class for each thing a caller would do differently.

Facts are attributes; the text is written for the person on call at night: what happened, to what, what to do now.
Every class can be copied, pickled and recorded: `type(*args)` and then the attributes give the same error again. This
is the lowest floor, so nothing of Turbine may be imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, ClassVar


class ErrorCode(IntEnum):
    """Stable numbers for programs that cannot compare classes; those below 20 are the Go library's own."""

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
    """Something Turbine refused or could not do; `str(error)` is the whole story.

    The facts are None where they mean nothing. Without a `message` the class writes its own from the facts.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    # Defaults live on the class, so that only facts that are known are recorded, pickled and shown.
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
        self._know(
            workflow_id=workflow_id,
            step_name=step_name,
            queue_name=queue_name,
            deduplication_id=deduplication_id,
            max_retries=max_retries,
        )
        super().__init__(self._wording() if message is None else message)

    def _know(self, **facts: Any) -> None:
        self.__dict__.update({name: fact for name, fact in facts.items() if fact is not None})

    def _wording(self) -> str:
        return "Turbine could not do this."

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NotFound(TurbineError):
    """Nothing of this kind has this id."""

    code = ErrorCode.NOT_FOUND
    kind: str = ""
    id: str = ""

    def __init__(self, message: str | None = None, *, kind: str = "", id: str = "", **facts: Any) -> None:
        self._know(kind=kind or None, id=id or None)
        super().__init__(message, **facts)

    def _wording(self) -> str:
        return f"There is no {self.kind or 'record'} {self.id!r}. Check the id; it may have been deleted."


class WorkflowNotFound(NotFound):
    """No run has this workflow id; it never existed here, or it was deleted."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(kind="workflow", id=workflow_id, workflow_id=workflow_id)
        self.args = (workflow_id,)

    def __str__(self) -> str:
        return (
            f"There is no workflow {self.workflow_id!r} in this database. Check the id and the database URL; "
            "garbage collection may have deleted a finished run."
        )


class QueueNotFound(NotFound):
    """No queue has this name."""

    def __init__(self, queue_name: str) -> None:
        super().__init__(kind="queue", id=queue_name, queue_name=queue_name)
        self.args = (queue_name,)

    def __str__(self) -> str:
        return f"There is no queue {self.queue_name!r}. Declare it before launch: rt.queue({self.queue_name!r})."


class NotRegistered(TurbineError):
    """The runtime does not know this workflow's code."""

    code = ErrorCode.NOT_REGISTERED

    def _wording(self) -> str:
        return "This workflow is not registered. Pass it to Runtime(workflows=[...]) before launch."


class NotTriggerable(TurbineError):
    """The workflow is known, but may not be started from outside."""

    code = ErrorCode.NOT_TRIGGERABLE

    def _wording(self) -> str:
        return "This workflow cannot be triggered. Declare it with @turbine.workflow(triggerable=True)."


class NotInStep(TurbineError):
    """The word works only inside a step."""

    code = ErrorCode.NOT_IN_STEP

    def _wording(self) -> str:
        return "This works only inside a step. Move the call into a function decorated with @turbine.step."


class NotInWorkflow(TurbineError):
    """The word works only in a workflow's body."""

    code = ErrorCode.NOT_IN_WORKFLOW

    def _wording(self) -> str:
        return "This works only in the body of a running workflow. Start one with rt.run(...)."


class WorkflowConflict(TurbineError):
    """The workflow id belongs to a run of another workflow or queue."""

    code = ErrorCode.CONFLICTING_ID

    def _wording(self) -> str:
        return f"The workflow id {self.workflow_id!r} is taken by another workflow or queue. Use another id."


class RegistrationConflict(TurbineError):
    """Two things were registered under one name."""

    code = ErrorCode.REGISTRATION_CONFLICT

    def _wording(self) -> str:
        return "This name is registered already. Give one of the two another name=."


class Conflict(TurbineError):
    """The record is no longer in the state that the request needs."""

    code = ErrorCode.CONFLICT

    def _wording(self) -> str:
        return "The record has changed meanwhile. Read it again and decide again."


class Deduplicated(TurbineError):
    """Another unfinished run holds the deduplication id; `.workflow_id` is that run."""

    code = ErrorCode.DEDUPLICATED

    def _wording(self) -> str:
        where = f" in queue {self.queue_name!r}" if self.queue_name else ""
        return (
            f"The deduplication id {self.deduplication_id!r}{where} is held by the unfinished run "
            f"{self.workflow_id!r}. Wait for that run, or cancel it."
        )


class _OfRuntime(TurbineError):
    """Something that a runtime says of itself, and that its own runs are not to be blamed for."""

    __slots__ = ("origin",)
    origin: object
    """The store of the runtime that raised it; None where somebody else did. Never recorded, pickled or copied."""

    def __init__(self, message: str | None = None, *, origin: object = None, **facts: Any) -> None:
        self.origin = origin
        super().__init__(message, **facts)


class ShuttingDown(_OfRuntime):
    """The runtime takes no new work because it is shutting down."""

    code = ErrorCode.SHUTTING_DOWN

    def _wording(self) -> str:
        return "This runtime is shutting down and starts nothing new. Ask another process, or try after its restart."


class ForkedProcess(TurbineError):
    """The process was forked from one in which the runtime was launched, and has none of its threads.

    `rt.launch()` in this process starts a life of its own, with connections, threads and an executor of its own.
    """

    code = ErrorCode.FORKED_PROCESS

    def _wording(self) -> str:
        return (
            "This process was forked after the runtime was launched: the runtime's threads and connections are in the "
            "parent. Call rt.launch() in this process before using it (in gunicorn's post_fork, in Celery's "
            "worker_process_init, at the start of a multiprocessing target), or leave the runtime to the parent."
        )


class AlreadyLaunched(TurbineError):
    """The act belongs before launch."""

    code = ErrorCode.ALREADY_LAUNCHED

    def _wording(self) -> str:
        return "The runtime is launched already. Register workflows and queues before launch()."


class SerializationError(TurbineError):
    """A value has no JSON form that would come back as the same value."""

    code = ErrorCode.SERIALIZATION

    def _wording(self) -> str:
        return "A value cannot be stored as JSON."


class StepFailed(TurbineError):
    """A step failed with an error that cannot be rebuilt from its record; here are its type's name and its text.

    It is raised live as well as on replay, so `except` takes the same branch. Live, `__cause__` is the original.
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
    """A step failed at every attempt; `.causes` has the error of each, the last is also `__cause__`."""

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

    def _wording(self) -> str:
        # Cut, because a text of any length may come from outside and `.causes` has it whole.
        last = f" The last error was {type(self.causes[-1]).__name__}: {self.causes[-1]!s:.500}." if self.causes else ""
        return (
            f"Step {self.step_name!r} failed {len(self.causes)} times and has no retry left "
            f"(retries={self.max_retries}).{last} Mend the cause, then resume the workflow: only this step runs again."
        )


class WorkflowFailed(TurbineError):
    """The run ended in ERROR; type name, text and traceback are those of the error that its body raised."""

    code = ErrorCode.WORKFLOW_FAILED
    traceback: str | None = None

    def __init__(self, type_name: str, message: str = "", *, traceback: str | None = None, **facts: Any) -> None:
        self.type_name = type_name
        self.message = message
        self._know(traceback=traceback)
        super().__init__(**facts)
        self.args = (type_name, message)

    def __str__(self) -> str:
        told = f"{self.type_name}: {self.message}" if self.message else self.type_name
        which = f"Workflow {self.workflow_id!r}" if self.workflow_id else "The workflow"
        return f"{which} failed with {told}"


class AwaitedCancelled(TurbineError):
    """The run whose result was asked for was cancelled; `.reason` says why."""

    code = ErrorCode.AWAITED_CANCELLED
    reason: str | None = None

    def __init__(self, message: str | None = None, *, reason: str | None = None, **facts: Any) -> None:
        self._know(reason=reason)
        super().__init__(message, **facts)

    def _wording(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"Workflow {self.workflow_id!r} was cancelled{why}. Resume it if it should go on."


class DeadLettered(TurbineError):
    """The run was recovered too often and was set aside for a person."""

    code = ErrorCode.DEAD_LETTER

    def _wording(self) -> str:
        return (
            f"Workflow {self.workflow_id!r} was recovered too often and is in the dead letter. Its process probably "
            "dies while running it: look at its logs, mend the cause, then resume it."
        )


class _OutOfTime(TurbineError, TimeoutError):
    """Something did not happen in time."""


class WorkflowTimeout(_OutOfTime):
    """The run reached its timeout or deadline and was cancelled."""

    code = ErrorCode.WORKFLOW_TIMEOUT

    def _wording(self) -> str:
        return (
            f"Workflow {self.workflow_id!r} ran out of time and was cancelled. Resume it to go on without a deadline."
        )


class ApprovalTimeout(_OutOfTime):
    """Nobody decided in time."""

    code = ErrorCode.APPROVAL_TIMEOUT

    def _wording(self) -> str:
        return "Nobody decided about the approval in time."


class RecvTimeout(_OutOfTime):
    """No message came in time."""

    code = ErrorCode.RECV_TIMEOUT

    def _wording(self) -> str:
        return "No message came in time."


class ValueTimeout(_OutOfTime):
    """The value was not set in time."""

    code = ErrorCode.VALUE_TIMEOUT

    def _wording(self) -> str:
        return "The value was not set in time."


class ResultTimeout(_OutOfTime):
    """The run was not finished in time; it goes on."""

    code = ErrorCode.RESULT_TIMEOUT

    def _wording(self) -> str:
        return f"Workflow {self.workflow_id!r} is not finished yet. It goes on; ask for the result again later."


class NonDeterministicWorkflow(TurbineError):
    """Today's code asks for another step than the one recorded at this position; the run is set aside, nothing lost."""

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
        self._know(position=position, recorded=recorded, asked=asked)
        super().__init__(message, **facts)

    def _wording(self) -> str:
        return (
            f"Workflow {self.workflow_id!r} recorded {self.recorded!r} at position {self.position}, but its code now "
            f"asks for {self.asked!r}. Put the old order back (or guard the change with turbine.patched), "
            "then resume the run, or fork it before this position."
        )


class ValidationFailed(TurbineError, ValueError):
    """A value does not fit; `.errors` is a list of `{"path": [...], "message": ..., "type": ...}`."""

    code = ErrorCode.VALIDATION

    def __init__(
        self, message: str | None = None, *, errors: Sequence[dict[str, Any]] = (), what: str = "", **facts: Any
    ) -> None:
        self.errors: list[dict[str, Any]] = list(errors)
        super().__init__(self._told(what or "The value") if message is None else message, **facts)

    def _told(self, what: str) -> str:
        complaints = [
            f"{'.'.join(str(part) for part in error['path'])}: {error['message']}"
            if error["path"]
            else error["message"]
            for error in self.errors
        ]
        return f"{what} is not valid: {'; '.join(complaints)}" if complaints else f"{what} is not valid."


class DeliveryFailed(TurbineError):
    """Something outgoing was not accepted by its receiver, after the last attempt."""

    code = ErrorCode.DELIVERY_FAILED

    def _wording(self) -> str:
        return "The receiver accepted none of the attempts. Look at the delivery's attempts, then send it again."


class StoreUnavailable(_OfRuntime):
    """The database cannot be reached or cannot be written now: connection, full disk, read-only file."""

    code = ErrorCode.STORE_UNAVAILABLE

    def _wording(self) -> str:
        return "The database cannot be used now. Check that it runs, that its disk has room and may be written."


class StoreTooNew(TurbineError):
    """The database was migrated by a newer Turbine than this one."""

    code = ErrorCode.STORE_TOO_NEW

    def _wording(self) -> str:
        return "The database was written by a newer Turbine. Upgrade this program, or use its own database."


class StoreInvalid(TurbineError):
    """The URL or path does not name a database that Turbine can use."""

    code = ErrorCode.STORE_INVALID

    def _wording(self) -> str:
        return "This is no database. Use sqlite:///path/to/file.db or postgresql://user@host/name."


class NotSignedIn(TurbineError):
    """A request that needs a signed-in person or a token came without."""

    code = ErrorCode.NOT_SIGNED_IN

    def _wording(self) -> str:
        return "Sign in first, or send an API token: Authorization: Bearer turbine_..."


class NotAllowed(TurbineError):
    """Whoever asks is known, and may not do this."""

    code = ErrorCode.NOT_ALLOWED

    def _wording(self) -> str:
        return "This is not allowed. Ask an administrator for a role that may do it."


class TooManyAttempts(TurbineError):
    """Somebody tried to sign in too often; `.retry_after` is in seconds."""

    code = ErrorCode.TOO_MANY_ATTEMPTS
    retry_after: int = 0

    def __init__(self, message: str | None = None, *, retry_after: int = 0, **facts: Any) -> None:
        self._know(retry_after=retry_after or None)
        super().__init__(message, **facts)

    def _wording(self) -> str:
        return f"There were too many attempts to sign in. Try again in {self.retry_after} seconds."


class TurbineWarning(UserWarning):
    """Code that works, and is not durable where it looks as if it were; the text names the cure."""


class Cancelled(BaseException):
    """The run was cancelled: raised in code that runs in a thread.

    No `Exception`, so that `except Exception` lets it pass. Code of an event loop sees `asyncio.CancelledError`.
    """

    code: ClassVar[ErrorCode] = ErrorCode.CANCELLED

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"This workflow was cancelled ({self.reason})." if self.reason else "This workflow was cancelled."
