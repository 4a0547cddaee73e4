"""Audit entries: how a change and its audit entry get into one transaction."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from turbine.engine.app import App
from turbine.model.accounts import Actor
from turbine.registry import UNSET
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.store.tx import take_locks
from turbine.tables import audit
from turbine.tables.audit import AuditLine

DETAIL_MAX = 4096
"""Characters of the detail of an entry; payloads are not audited."""


def audit_of(
    app: App, actor: Actor | None, action: str, target: str, *, workflow_id: str | None = None, **detail: Any
) -> Audit | None:
    """Returns a function that writes the audit entry of a change, None for a change by the process itself.

    Pass it to `Store.write_audited`. `action` is an object and a verb, such as `workflow.cancel`. Details that are
    None are left out.
    """
    if actor is None:
        return None
    return partial(audit.add, line=audit_line(app, actor, action, target, workflow_id=workflow_id, **detail))


def audit_line(
    app: App, actor: Actor, action: str, target: str, *, workflow_id: str | None = None, **detail: Any
) -> AuditLine:
    """Builds the audit entry of a change."""
    noted = {name: value for name, value in detail.items() if value is not None}
    text = json.dumps(noted, default=str) if noted else None
    if text is not None and len(text) > DETAIL_MAX:
        text = json.dumps({"cut": text[: DETAIL_MAX // 2]})
    return AuditLine(app.clock.now_ms(), actor.name, actor.role, action, target, workflow_id, text)


def submit_audited(
    app: App, write_audit: Audit | None, function: Callable[..., Any], row: Any, size: int = 0
) -> asyncio.Future[Any]:
    """Submits one row to a bulk function, as `Store.submit` does, with the audit entry in the same transaction.

    There is no entry if the row is refused, or joins a run that exists.
    """
    if write_audit is None:
        return app.store.submit(function, row, size)
    return app.store.submit(_write_row, {"function": function, "row": row, "write_audit": write_audit}, size)


def _write_row(tx: Tx, *, function: Callable[..., Any], row: Any, write_audit: Audit) -> Any:
    take_locks(tx, [(function, row)])
    (answer,) = function(tx, [row])
    if not isinstance(answer, Exception) and getattr(answer, "is_new", True):
        write_audit(tx)
    return answer


def given(**fields: Any) -> dict[str, Any]:
    """Returns the fields of an update that are set; the others stay as they are."""
    return {name: value for name, value in fields.items() if value is not UNSET}


async def audit_act(app: App, actor: Actor | None, action: str, target: str, **detail: Any) -> None:
    """Writes the audit entry of an act that is not one write, before it begins."""
    audit = audit_of(app, actor, action, target, **detail)
    if audit is not None:
        await app.store.write(audit)
