"""Turbine: durable workflows inside your own Python process.

If the process dies at any line, every run continues from its last recorded step, here or on another machine, and the
outcome of a step is never recorded twice. Blocking code imports the same names from `turbine.sync`.
"""

from typing import TYPE_CHECKING, Any

from turbine.api import (
    Context,
    StepTask,
    check_cancelled,
    current,
    do,
    do_async,
    gather,
    get_value,
    kv,
    logger,
    now,
    patched,
    pause,
    random,
    recv,
    remote,
    run,
    send,
    send_notification,
    send_product,
    set_app_status,
    set_value,
    sleep,
    sleep_until,
    step,
    uuid4,
    wait_for_approval,
    workflow,
)
from turbine.config import Config
from turbine.delivery.products import ProductSender, WorkflowSender
from turbine.engine.handles import Handle
from turbine.errors import (
    AlreadyLaunched,
    ApprovalTimeout,
    AwaitedCancelled,
    Cancelled,
    Conflict,
    DeadLettered,
    Deduplicated,
    DeliveryFailed,
    ErrorCode,
    ForkedProcess,
    MaxStepRetriesExceeded,
    NonDeterministicWorkflow,
    NotFound,
    NotInStep,
    NotInWorkflow,
    NotRegistered,
    NotTriggerable,
    QueueNotFound,
    RecvTimeout,
    RegistrationConflict,
    ResultTimeout,
    SerializationError,
    ShuttingDown,
    StepFailed,
    StoreInvalid,
    StoreTooNew,
    StoreUnavailable,
    TurbineError,
    TurbineWarning,
    ValidationFailed,
    ValueTimeout,
    WorkflowConflict,
    WorkflowFailed,
    WorkflowNotFound,
    WorkflowTimeout,
)
from turbine.model.accounts import AccountRecord, Role, SessionRecord, TokenRecord
from turbine.model.alert_channels import AlertChannelRecord, QuietHours
from turbine.model.approvals import ApprovalLink, ApprovalRecord, ApprovalResult, ApprovalStatus
from turbine.model.audit import AuditRecord
from turbine.model.deliveries import DeliveryAttempt, DeliveryKind, DeliveryRecord, DeliveryStatus
from turbine.model.failures import FailureGroup, FailureState
from turbine.model.kv import KVChange, KVRecord
from turbine.model.logs import LogRecord, LogSource
from turbine.model.products import ProductRecord, ProductStatus
from turbine.model.queues import Queue, RateLimit
from turbine.model.retention import RetentionRule
from turbine.model.schedules import Backfill, CatchUp, Overlap, Schedule, ScheduleRecord, ScheduleType
from turbine.model.steps import StepAttempt, StepInfo
from turbine.model.webhooks import WebhookRecord
from turbine.model.workflows import CodeLine, Event, Explanation, Page, RegisteredWorkflow, Status, WorkflowStatus
from turbine.operations.kv import MISSING
from turbine.registry import Step, Workflow
from turbine.runtime import Runtime

if TYPE_CHECKING:
    from turbine.http.asgi import new_app, setup

__all__ = [
    "MISSING",
    "AccountRecord",
    "AlertChannelRecord",
    "AlreadyLaunched",
    "ApprovalLink",
    "ApprovalRecord",
    "ApprovalResult",
    "ApprovalStatus",
    "ApprovalTimeout",
    "AuditRecord",
    "AwaitedCancelled",
    "Backfill",
    "Cancelled",
    "CatchUp",
    "CodeLine",
    "Config",
    "Conflict",
    "Context",
    "DeadLettered",
    "Deduplicated",
    "DeliveryAttempt",
    "DeliveryFailed",
    "DeliveryKind",
    "DeliveryRecord",
    "DeliveryStatus",
    "ErrorCode",
    "Event",
    "Explanation",
    "FailureGroup",
    "FailureState",
    "ForkedProcess",
    "Handle",
    "KVChange",
    "KVRecord",
    "LogRecord",
    "LogSource",
    "MaxStepRetriesExceeded",
    "NonDeterministicWorkflow",
    "NotFound",
    "NotInStep",
    "NotInWorkflow",
    "NotRegistered",
    "NotTriggerable",
    "Overlap",
    "Page",
    "ProductRecord",
    "ProductSender",
    "ProductStatus",
    "Queue",
    "QueueNotFound",
    "QuietHours",
    "RateLimit",
    "RecvTimeout",
    "RegisteredWorkflow",
    "RegistrationConflict",
    "ResultTimeout",
    "RetentionRule",
    "Role",
    "Runtime",
    "Schedule",
    "ScheduleRecord",
    "ScheduleType",
    "SerializationError",
    "SessionRecord",
    "ShuttingDown",
    "Status",
    "Step",
    "StepAttempt",
    "StepFailed",
    "StepInfo",
    "StepTask",
    "StoreInvalid",
    "StoreTooNew",
    "StoreUnavailable",
    "TokenRecord",
    "TurbineError",
    "TurbineWarning",
    "ValidationFailed",
    "ValueTimeout",
    "WebhookRecord",
    "Workflow",
    "WorkflowConflict",
    "WorkflowFailed",
    "WorkflowNotFound",
    "WorkflowSender",
    "WorkflowStatus",
    "WorkflowTimeout",
    "check_cancelled",
    "current",
    "do",
    "do_async",
    "gather",
    "get_value",
    "kv",
    "logger",
    "new_app",
    "now",
    "patched",
    "pause",
    "random",
    "recv",
    "remote",
    "run",
    "send",
    "send_notification",
    "send_product",
    "set_app_status",
    "set_value",
    "setup",
    "sleep",
    "sleep_until",
    "step",
    "uuid4",
    "wait_for_approval",
    "workflow",
]


def __getattr__(name: str) -> Any:
    # The HTTP modules are loaded when they are first used, because most processes do not serve HTTP.
    if name in ("setup", "new_app"):
        from turbine.http import asgi

        return getattr(asgi, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
