"""The table of the original's symbols, and what the tests that use its rows have in common.

A row of `ROWS` is a tuple of symbols that have one answer here; `@uses(…)` says which row a test uses.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel

import turbine
from turbine import ProductRecord

ROWS: tuple[tuple[str, ...], ...] = (
    ("ErrApprovalTimeout", "ErrShuttingDown"),
    ("AppFrom(ctx)",),
    ("Do",),
    ("DoAsync", "AsyncResult{Result, Err}"),
    ("GetValue", "SetValue", "SetValueInput"),
    ("KVGet", "Runtime.KVSet", "Runtime.KVDelete"),
    ("LoggerFrom",),
    ("NewApp",),
    ("NewRuntime", "NewStandalone"),
    ("Setup", "SetupStandalone"),
    ("Pause",),
    ("Recv",),
    ("Send", "SendInput", "Runtime.SendToWorkflow"),
    ("Register", "WorkflowRegistrationOption"),
    ("ResendProduct",),
    ("SendNotification", "Runtime.SendNotification"),
    ("SendProduct",),
    ("SetAppStatus", "Context.SetAppStatus"),
    ("WaitForApproval", "ApprovalOption", "WithApprovalTimeout"),
    ("ApprovalResult{Approved, Comment}",),
    ("App", "RequestEvent", "ServeEvent"),
    ("Config",),
    ("Context{App, Logger, WorkflowID}",),
    ("Runtime.NewContext",),
    ("Error{Message, Code, WorkflowID, StepName, QueueName, DeduplicationID, MaxRetries}",),
    ("ErrorCode",),
    ("Handle{GetResult, GetStatus, GetWorkflowID}",),
    ("GetResultOption", "WithHandlePollingInterval"),
    ("ProductRecord{ID, FileName, Size, Metadata}",),
    ("ProductSender", "Runtime.SetProductSender"),
    ("WorkflowSender", "NewWorkflowSender", ".Send"),
    ("QueueOption", "Runtime.Queue"),
    (
        "WithGlobalConcurrency",
        "WithWorkerConcurrency",
        "WithMaxTasksPerIteration",
        "WithPartitionQueue",
        "WithPriorityEnabled",
        "WithRateLimiter",
    ),
    ("RateLimiter{Limit, Period}",),
    ("WorkflowQueue",),
    ("RegisteredWorkflow{Name, FQN, Triggerable, CronSchedule, InputSchema, Tags}",),
    ("Runtime.App", "GetApplicationID", "GetApplicationVersion", "GetExecutorID", "IsDraining", "IsLaunched"),
    ("Runtime.Cancel", "Resume", "GarbageCollect", "IsTriggerable", "Launch", "Shutdown"),
    ("Runtime.List", "Listen", "Queues", "RegisteredWorkflows", "Steps"),
    ("Runtime.TestAlertChannel", "TriggerByFQN"),
    ("Schedule{WorkflowFQN, Type, Input, Enabled, CronExpression, Jitter, ScheduledAt, Created, Updated}",),
    ("Status",),
    ("StatusType",),
    ("Step", "StepFunc", "StepOption"),
    ("StepInfo{WorkflowID, FunctionID, FunctionName, Output, Error, StartedAt, EndedAt}",),
    (
        "WithStepName",
        "WithStepMaxRetries",
        "WithBaseInterval",
        "WithBackoffFactor",
        "WithMaxInterval",
        "WithoutCheckpoint",
    ),
    ("WithNextStepID",),
    ("Workflow", "WorkflowFunc"),
    (
        "WithName",
        "WithMaxRetries",
        "WithSchedule",
        "WithDashboardTrigger",
        "WithInputSchema",
        "WithTags",
        "WithSummaryFunc",
    ),
    (
        "WorkflowOption",
        "WithID",
        "WithQueue",
        "WithApplicationVersion",
        "WithDeduplicationID",
        "WithPriority",
        "WithQueuePartitionKey",
        "WithTimeout",
        "WithDeadline",
    ),
    ("Run", "Retrieve"),
)


Test = TypeVar("Test", bound=Callable[..., Any])


def uses(*symbols: str) -> Callable[[Test], Test]:
    """Say which row of the table a test uses; a row that is not there is refused."""
    if symbols not in ROWS:
        raise ValueError(f"there is no row {symbols}")
    return lambda test: test


class Order(BaseModel):
    id: str
    customer: str = "Ada"


def facts(record: Any, fields: str) -> tuple[Any, ...]:
    """What a record says in these fields."""
    return tuple(getattr(record, field) for field in fields.split())


@turbine.workflow
async def greet(name: str) -> str:
    return f"hello {name}"


@turbine.workflow
async def wait_for_go() -> str:
    return await turbine.recv("go", type=str)


@turbine.step
async def double(number: int) -> int:
    return 2 * number


@turbine.workflow
async def does() -> list[int]:
    fetch = turbine.step(lambda number: number + 1, name="fetch")
    return [
        await double(1),
        await turbine.do(double, 2),
        await turbine.do(fetch, 5),
        await turbine.do([1, 2, 3, 4].__len__),
    ]


def fail(text: str) -> None:
    raise LookupError(text)


@turbine.step
async def says() -> None:
    turbine.logger().info("from the step")


@turbine.workflow
async def says_twice() -> None:
    turbine.logger().warning("from the body")
    await says()


class Refuses:
    """A sender that is in trouble until it is mended."""

    def __init__(self) -> None:
        self.mended = False
        self.got: list[tuple[str, bytes]] = []

    async def send(self, product: ProductRecord, data: BinaryIO) -> None:
        if not self.mended:
            raise OSError("no room")
        self.got.append((product.file_name, data.read()))


@turbine.step
async def write(file_name: str, text: str) -> ProductRecord:
    return await turbine.send_product(file_name, io.BytesIO(text.encode()), {"lines": 1})


@turbine.workflow
async def reports(text: str = "all is well") -> ProductRecord:
    return await write("report.txt", text)


SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


@turbine.workflow(
    name="nightly report", triggerable=True, schedule="0 3 * * *", input_schema=SCHEMA, tags=["night", "report"]
)
async def nightly(at: datetime) -> str:
    return at.isoformat()
