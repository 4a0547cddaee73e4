"""Rules for how long runs are kept after their end, beside the default retention."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from turbine.clock import span_ms
from turbine.ids import check_name
from turbine.model.pages import check_limit, page_of
from turbine.model.retention import RetentionRule, scope_of
from turbine.model.workflows import TERMINAL, Page, WorkflowStatus
from turbine.operations.resources import Resource
from turbine.store import Tx
from turbine.tables import retention

KEPT_MAX = timedelta(days=36_500)


class Retention(Resource):
    """Rules for the runs of a workflow, of a status, or of both: `rt.retention`.

    The most specific rule decides: one for workflow and status, then one for the workflow, then one for the status,
    then the setting `gc_retention`. They hold for all processes on this database, from the next collection on.
    """

    async def set(
        self, keep: timedelta | float | None, *, workflow: str | None = None, status: WorkflowStatus | str | None = None
    ) -> RetentionRule:
        """Keep these runs for this long after their end, forever with None; replaces an earlier rule for them.

        Durable when it returns. Raises ValueError for a negative time or one above a hundred years, for a status that
        is not terminal, and when neither workflow nor status is given: that is the setting `gc_retention`.
        """
        app = self._app()
        key = _key(workflow, status)
        keep_ms = None if keep is None else _kept_ms(keep)
        rule: Any = await app.store.write_audited(
            self._audit("retention.set", scope_of(*key), keep=None if keep_ms is None else keep_ms / 1000),
            _set,
            workflow=key[0],
            status=key[1],
            keep_ms=keep_ms,
            now_ms=app.clock.now_ms(),
        )
        return rule

    async def delete(self, *, workflow: str | None = None, status: WorkflowStatus | str | None = None) -> bool:
        """Delete the rule for exactly these runs; whether there was one. Raises ValueError as `set`."""
        key = _key(workflow, status)
        audit = self._audit("retention.delete", scope_of(*key))
        return await self._app().store.write_audited(audit, retention.delete, workflow=key[0], status=key[1])

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[RetentionRule]:
        """One page of the rules, by workflow and status. Raises ValueError for an invalid limit or cursor."""
        check_limit(limit)
        after = ("", "")
        if cursor is not None:
            workflow, between, status = cursor.rpartition(" ")
            if not between:
                raise ValueError(f"{cursor[:80]!r} is not a cursor of this list")
            after = (_text(workflow), _text(status))
        rules = await self._app().store.read(retention.listing, after=after, limit=limit + 1)
        return page_of([(f"{rule.workflow or ''} {rule.status or ''}", rule) for rule in rules], limit)


def _key(workflow: str | None, status: WorkflowStatus | str | None) -> tuple[str, str]:
    if workflow is None and status is None:
        raise ValueError("a rule names a workflow, a status, or both; for all runs set gc_retention")
    name = "" if workflow is None else check_name(workflow, "workflow name")
    if status is None:
        return name, ""
    end = WorkflowStatus(status)
    if end not in TERMINAL:
        raise ValueError(f"{end} is not a terminal status: such runs are open, and never removed")
    return name, end.value


def _kept_ms(keep: timedelta | float) -> int:
    seconds = keep.total_seconds() if isinstance(keep, timedelta) else keep
    if not math.isfinite(seconds) or seconds < 0 or seconds > KEPT_MAX.total_seconds():
        raise ValueError(f"keep must be a time from 0 to 100 years, or None for forever, not {keep!r}")
    return span_ms(seconds)


def _text(part: str) -> str:
    return check_name(part, "cursor") if part else ""


def _set(tx: Tx, *, workflow: str, status: str, keep_ms: int | None, now_ms: int) -> RetentionRule | Exception | None:
    is_new = retention.get(tx, workflow=workflow, status=status) is None
    if is_new and retention.count(tx) >= retention.RULES_MAX:
        return ValueError(f"there are {retention.RULES_MAX} rules already; delete some first")
    retention.set_(tx, workflow=workflow, status=status, keep_ms=keep_ms, now_ms=now_ms)
    return retention.get(tx, workflow=workflow, status=status)
