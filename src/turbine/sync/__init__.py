"""The words of Turbine for blocking code: `import turbine.sync as turbine`.

Same names, same arguments; `def` instead of `async def`, values instead of awaitables, `with` instead of `async with`.
`Runtime` brings its own event loop in a thread, so it serves scripts, Flask, Django and worker processes.
"""

from turbine.api import Context, check_cancelled, current, logger, remote, step, workflow
from turbine.config import Config
from turbine.delivery.products import ProductSender, WorkflowSender
from turbine.errors import *  # noqa: F403 - the same errors under the same names
from turbine.errors import Cancelled, ErrorCode
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
from turbine.registry import BlockingStep, BlockingWorkflow, Step, Workflow
from turbine.sync.functions import (
    StepTask,
    do,
    do_async,
    gather,
    get_value,
    kv,
    now,
    patched,
    pause,
    random,
    recv,
    run,
    send,
    send_notification,
    send_product,
    set_app_status,
    set_value,
    sleep,
    sleep_until,
    uuid4,
    wait_for_approval,
)
from turbine.sync.handles import Handle
from turbine.sync.resources import Kv
from turbine.sync.runtime import Runtime

__all__ = [
    "MISSING",
    "AccountRecord",
    "AlertChannelRecord",
    "ApprovalLink",
    "ApprovalRecord",
    "ApprovalResult",
    "ApprovalStatus",
    "AuditRecord",
    "Backfill",
    "BlockingStep",
    "BlockingWorkflow",
    "Cancelled",
    "CatchUp",
    "CodeLine",
    "Config",
    "Context",
    "DeliveryAttempt",
    "DeliveryKind",
    "DeliveryRecord",
    "DeliveryStatus",
    "ErrorCode",
    "Event",
    "Explanation",
    "FailureGroup",
    "FailureState",
    "Handle",
    "KVChange",
    "KVRecord",
    "Kv",
    "LogRecord",
    "LogSource",
    "Overlap",
    "Page",
    "ProductRecord",
    "ProductSender",
    "ProductStatus",
    "Queue",
    "QuietHours",
    "RateLimit",
    "RegisteredWorkflow",
    "RetentionRule",
    "Role",
    "Runtime",
    "Schedule",
    "ScheduleRecord",
    "ScheduleType",
    "SessionRecord",
    "Status",
    "Step",
    "StepAttempt",
    "StepInfo",
    "StepTask",
    "TokenRecord",
    "WebhookRecord",
    "Workflow",
    "WorkflowSender",
    "WorkflowStatus",
    "check_cancelled",
    "current",
    "do",
    "do_async",
    "gather",
    "get_value",
    "kv",
    "logger",
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
    "sleep",
    "sleep_until",
    "step",
    "uuid4",
    "wait_for_approval",
    "workflow",
]
