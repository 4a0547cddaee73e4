"""Audit entries: who changed what."""

from __future__ import annotations

from datetime import datetime

from turbine.clock import to_ms
from turbine.ids import check_name
from turbine.model.audit import AuditRecord
from turbine.model.pages import after_key, check_limit, cut_page
from turbine.model.workflows import Page
from turbine.operations.resources import Resource
from turbine.tables import audit


class Audit(Resource):
    """Lists the audit log: `rt.audit`."""

    async def list(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        workflow_id: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[AuditRecord]:
        """Returns one page of changes, newest first. Raises ValueError for a wrong limit or cursor."""
        audit_filter = audit.AuditFilter(
            actor=None if actor is None else check_name(actor, "actor"),
            action=None if action is None else check_name(action, "action"),
            target=None if target is None else check_name(target, "target"),
            workflow_id=None if workflow_id is None else check_name(workflow_id, "workflow id"),
            after_ms=None if after is None else to_ms(after, "after"),
            before_ms=None if before is None else to_ms(before, "before"),
        )
        rows = await self._app().store.read(
            audit.page, filter=audit_filter, limit=check_limit(limit) + 1, after=after_key(cursor)
        )
        return cut_page(rows, limit, lambda record: record.id)
