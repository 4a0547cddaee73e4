"""What hangs on a blocking `Runtime` by noun: `rt.kv`, and its neighbours. Each waits for its asynchronous twin."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, ParamSpec, TypeVar

from turbine.model.alert_channels import AlertChannelRecord, QuietHours
from turbine.model.approvals import ApprovalLink, ApprovalRecord
from turbine.model.deliveries import DeliveryAttempt, DeliveryRecord
from turbine.model.failures import FailureGroup, FailureState
from turbine.model.kv import KVChange, KVRecord
from turbine.model.logs import LogRecord
from turbine.model.products import ProductRecord
from turbine.model.retention import RetentionRule
from turbine.model.schedules import Backfill, Schedule, ScheduleRecord
from turbine.model.webhooks import WebhookRecord
from turbine.model.workflows import Page, WorkflowStatus
from turbine.registry import UNSET, WorkflowBase

if TYPE_CHECKING:
    from turbine.sync.runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Kv:
    """The global key-value store; see `turbine.Runtime.kv`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def get(self, key: str, type: Any = Any, default: Any = None) -> Any:
        """The value of a key, decoded as `type`; `default` when there is none."""
        return self._runtime.wait_for(self._runtime.inner.kv.get(key, type, default))

    def set(self, key: str, value: Any, expect: Any = UNSET, *, by: str | None = None) -> None:
        """Write a key, with `expect` only if the stored value is the expected one. Raises Conflict."""
        self._runtime.wait_for(self._runtime.inner.kv.set(key, value, expect, by=by))

    def delete(self, key: str, *, by: str | None = None) -> None:
        """Remove a key and its schema; fine when there is none."""
        self._runtime.wait_for(self._runtime.inner.kv.delete(key, by=by))

    def history(self, key: str) -> builtins.list[KVChange]:
        """The newest writes of a key, newest first."""
        return self._runtime.wait_for(self._runtime.inner.kv.history(key))

    def list(self, prefix: str = "", *, limit: int = 100, cursor: str | None = None) -> Page[KVRecord]:
        """One page of the keys that begin with exactly this text, in the order of their characters."""
        return self._runtime.wait_for(self._runtime.inner.kv.list(prefix, limit=limit, cursor=cursor))

    def set_schema(self, key: str, schema: Any) -> None:
        """Let a key hold only values that fit a JSON Schema; None lets it hold anything again."""
        self._runtime.wait_for(self._runtime.inner.kv.set_schema(key, schema))


class Failures:
    """Runs that failed in the same way, together; see `turbine.Runtime.failures`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(
        self,
        *,
        state: str | None = FailureState.OPEN,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[FailureGroup]:
        """One page of the kinds that were seen in a span of time, the last seen first."""
        inner = self._runtime.inner.failures
        return self._runtime.wait_for(inner.list(state=state, after=after, before=before, limit=limit, cursor=cursor))

    def get(self, fingerprint: str) -> FailureGroup:
        """One kind. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.failures.get(fingerprint))

    def mark(self, fingerprint: str, state: str, *, by: str | None = None) -> FailureGroup:
        """Resolve, ignore or reopen a kind. Raises NotFound, ValueError."""
        return self._runtime.wait_for(self._runtime.inner.failures.mark(fingerprint, state, by=by))


class Retention:
    """How long runs are kept, by workflow and status; see `turbine.Runtime.retention`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def set(
        self, keep: timedelta | float | None, *, workflow: str | None = None, status: WorkflowStatus | str | None = None
    ) -> RetentionRule:
        """Keep these runs for so long after their end, for ever with None. Raises ValueError."""
        return self._runtime.wait_for(self._runtime.inner.retention.set(keep, workflow=workflow, status=status))

    def delete(self, *, workflow: str | None = None, status: WorkflowStatus | str | None = None) -> bool:
        """Lift the rule for exactly these runs; whether there was one. Raises ValueError."""
        return self._runtime.wait_for(self._runtime.inner.retention.delete(workflow=workflow, status=status))

    def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[RetentionRule]:
        """One page of the rules, by workflow and status."""
        return self._runtime.wait_for(self._runtime.inner.retention.list(limit=limit, cursor=cursor))


class Logs:
    """What bodies and steps have logged; see `turbine.Runtime.logs`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(
        self,
        *,
        workflow_id: str | None = None,
        step: str | None = None,
        level: str | int | None = None,
        search: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
        ascending: bool = False,
    ) -> Page[LogRecord]:
        """One page of records, newest first; what is given must hold."""
        return self._runtime.wait_for(
            self._runtime.inner.logs.list(
                workflow_id=workflow_id,
                step=step,
                level=level,
                search=search,
                after=after,
                before=before,
                limit=limit,
                cursor=cursor,
                ascending=ascending,
            )
        )


class Approvals:
    """The gates at which runs wait for a person; see `turbine.Runtime.approvals`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(
        self,
        workflow_id: str | None = None,
        open: bool | None = True,
        *,
        assignee: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ApprovalRecord]:
        """One page of gates, newest first: open ones, with `open=False` decided ones, with None all.

        With `assignee`, an e-mail address, only those that are assigned to them or to nobody.
        """
        inner = self._runtime.inner.approvals
        return self._runtime.wait_for(inner.list(workflow_id, open, assignee=assignee, limit=limit, cursor=cursor))

    def get(self, id: str) -> ApprovalRecord:
        """One gate. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.approvals.get(id))

    def link(self, id: str, *, lasts: timedelta = timedelta(hours=24), by: str | None = None) -> ApprovalLink:
        """Make a link by which somebody without an account decides this gate, once. Raises NotFound, Conflict."""
        return self._runtime.wait_for(self._runtime.inner.approvals.link(id, lasts=lasts, by=by))


class Products:
    """The files that steps made; see `turbine.Runtime.products`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(
        self,
        workflow_id: str | None = None,
        *,
        status: str | Sequence[str] | None = None,
        search: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ProductRecord]:
        """One page of products, newest first. `search` looks in the file name; all that is given must hold."""
        inner = self._runtime.inner.products
        return self._runtime.wait_for(inner.list(workflow_id, status=status, search=search, limit=limit, cursor=cursor))

    def get(self, id: str) -> ProductRecord:
        """One product. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.products.get(id))

    def open(self, id: str) -> BinaryIO:
        """The bytes of a product: `with rt.products.open(id) as file: file.read()`. Raises NotFound."""
        inner = self._runtime.inner.products
        return inner.open_blocking(self._runtime.wait_for(inner.stored(id)))

    def resend(self, id: str) -> ProductRecord:
        """Send a product once more that has finally failed. Raises NotFound, Conflict."""
        return self._runtime.wait_for(self._runtime.inner.products.resend(id))


class Schedules:
    """When runs start by themselves; see `turbine.Runtime.schedules`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def create(
        self,
        workflow: str | WorkflowBase[..., Any],
        schedule: Schedule | str,
        *,
        input: Any = None,
        name: str | None = None,
        enabled: bool = True,
    ) -> ScheduleRecord:
        """Start a workflow at these times. Raises NotRegistered, NotTriggerable, ValidationFailed, Conflict."""
        inner = self._runtime.inner.schedules
        return self._runtime.wait_for(inner.create(workflow, schedule, input=input, name=name, enabled=enabled))

    def get(self, id: str) -> ScheduleRecord:
        """A schedule as it is now. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.schedules.get(id))

    def list(
        self,
        workflow: str | None = None,
        *,
        type: str | None = None,
        enabled: bool | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ScheduleRecord]:
        """One page of schedules, newest first."""
        inner = self._runtime.inner.schedules
        return self._runtime.wait_for(inner.list(workflow, type=type, enabled=enabled, limit=limit, cursor=cursor))

    def update(self, id: str, **changes: Any) -> ScheduleRecord:
        """Change what is named; the fields are those of `turbine.Runtime.schedules.update`."""
        return self._runtime.wait_for(self._runtime.inner.schedules.update(id, **changes))

    def delete(self, id: str) -> None:
        """Remove a schedule. Raises NotFound, Conflict for one declared in code."""
        self._runtime.wait_for(self._runtime.inner.schedules.delete(id))

    def enable(self, id: str) -> ScheduleRecord:
        """Go on with a schedule from now. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.schedules.enable(id))

    def disable(self, id: str, reason: str | None = None) -> ScheduleRecord:
        """Start no run any more, and say why. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.schedules.disable(id, reason))

    def run_now(self, id: str) -> str:
        """Start the workflow of a schedule at once; the id of the run. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.schedules.run_now(id))

    def backfill(self, id: str, start: datetime, end: datetime, *, dry_run: bool = False) -> Backfill:
        """Start the runs of the ticks of a span of time that have none; see `turbine.Runtime.schedules`."""
        return self._runtime.wait_for(self._runtime.inner.schedules.backfill(id, start, end, dry_run=dry_run))

    def preview(self, schedule: str | Schedule, count: int = 10, after: datetime | None = None) -> Sequence[datetime]:
        """The next ticks of a schedule, by id or as asked for, in UTC. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.schedules.preview(schedule, count, after))


class Webhooks:
    """Signed URLs that hear of runs; see `turbine.Runtime.webhooks`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def create(
        self, *, url: str, events: Sequence[str], secret: str | None = None, enabled: bool = True
    ) -> WebhookRecord:
        """Add a webhook. Raises ValidationFailed."""
        inner = self._runtime.inner.webhooks
        return self._runtime.wait_for(inner.create(url=url, events=events, secret=secret, enabled=enabled))

    def get(self, id: str) -> WebhookRecord:
        """One webhook. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.webhooks.get(id))

    def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[WebhookRecord]:
        """One page of webhooks, newest first."""
        return self._runtime.wait_for(self._runtime.inner.webhooks.list(limit=limit, cursor=cursor))

    def update(self, id: str, **changes: Any) -> WebhookRecord:
        """Change what is named; the fields are those of `create`. Raises NotFound, ValidationFailed."""
        return self._runtime.wait_for(self._runtime.inner.webhooks.update(id, **changes))

    def delete(self, id: str) -> None:
        """Remove a webhook. Raises NotFound."""
        self._runtime.wait_for(self._runtime.inner.webhooks.delete(id))

    def test(self, id: str) -> DeliveryAttempt:
        """Send a signed event `test` once, and say how it was taken. Raises NotFound, DeliveryFailed."""
        return self._runtime.wait_for(self._runtime.inner.webhooks.test(id))


class AlertChannels:
    """Notification URLs for people; see `turbine.Runtime.alert_channels`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def create(
        self,
        *,
        name: str,
        url: str,
        events: Sequence[str] = (),
        enabled: bool = True,
        workflows: Sequence[str] = (),
        quiet: QuietHours | None = None,
    ) -> AlertChannelRecord:
        """Add a channel. Raises ValidationFailed, Conflict."""
        act = self._runtime.inner.alert_channels.create(
            name=name, url=url, events=events, enabled=enabled, workflows=workflows, quiet=quiet
        )
        return self._runtime.wait_for(act)

    def get(self, id: str) -> AlertChannelRecord:
        """One channel, its URL masked. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.alert_channels.get(id))

    def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[AlertChannelRecord]:
        """One page of channels, newest first."""
        return self._runtime.wait_for(self._runtime.inner.alert_channels.list(limit=limit, cursor=cursor))

    def update(self, id: str, **changes: Any) -> AlertChannelRecord:
        """Change what is named; the fields are those of `create`. Raises NotFound, ValidationFailed, Conflict."""
        return self._runtime.wait_for(self._runtime.inner.alert_channels.update(id, **changes))

    def delete(self, id: str) -> None:
        """Remove a channel. Raises NotFound."""
        self._runtime.wait_for(self._runtime.inner.alert_channels.delete(id))

    def test(self, id: str) -> None:
        """Send a test message and wait until the service has taken it. Raises NotFound, DeliveryFailed."""
        self._runtime.wait_for(self._runtime.inner.alert_channels.test(id))


class Deliveries:
    """Everything outgoing, with its attempts; see `turbine.Runtime.deliveries`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(self, **filters: Any) -> Page[DeliveryRecord]:
        """One page of deliveries, newest first; the filters are those of `turbine.Runtime.deliveries.list`."""
        return self._runtime.wait_for(self._runtime.inner.deliveries.list(**filters))

    def get(self, id: str) -> DeliveryRecord:
        """One delivery. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.deliveries.get(id))

    def resend(self, id: str) -> DeliveryRecord:
        """Send something again that was delivered or is dead. Raises NotFound, Conflict."""
        return self._runtime.wait_for(self._runtime.inner.deliveries.resend(id))
