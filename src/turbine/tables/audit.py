"""The audit log: a line for each change that users and programs make, written in the transaction of the change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.model.audit import AuditRecord
from turbine.store import Statement, Statements, Tx

SQL = Statements(Path(__file__))

SKEW_MS = 10 * 60 * 1000
_NEVER = 2**62


class AuditLine(NamedTuple):
    """A row of the audit log; `detail` is JSON."""

    at_ms: int
    actor: str
    role: str
    action: str
    target: str
    workflow_id: str | None
    detail: str | None


class AuditFilter(NamedTuple):
    """Conditions on audit lines; all that are given must hold."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    workflow_id: str | None = None
    after_ms: int | None = None
    before_ms: int | None = None


def add(tx: Tx, *, line: AuditLine) -> None:
    """Write a line."""
    tx.run(SQL.add, **line._asdict())


def page(tx: Tx, *, filter: AuditFilter, limit: int, after: int | None) -> list[AuditRecord]:
    """The lines that match a filter, newest first, starting after a key."""
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    for column in ("actor", "action", "target", "workflow_id"):
        value = getattr(filter, column)
        if value is not None:
            clauses.append(f"{column} = :{column}")
            parameters[column] = value
    # Keys are assigned in the order of time, so times bound the keys, give or take the skew of clocks and commits.
    if filter.after_ms is not None:
        clauses += ["at_ms >= :after_ms", "audit >= :first"]
        row = tx.row(SQL.first_since, at=filter.after_ms - SKEW_MS)
        parameters |= {"after_ms": filter.after_ms, "first": _NEVER if row is None else row[0]}
    if filter.before_ms is not None:
        clauses += ["at_ms <= :before_ms", "audit <= :last"]
        row = tx.row(SQL.last_until, at=filter.before_ms + SKEW_MS)
        parameters |= {"before_ms": filter.before_ms, "last": 0 if row is None else row[0]}
    if after is not None:
        clauses.append("audit < :after")
        parameters["after"] = after
    where = " and ".join(clauses) or "true"
    text = (
        "select audit, at_ms, actor, role, action, target, workflow_id, detail"  # noqa: S608 - values are parameters
        f" from pt_audit where {where} order by audit desc limit :limit"
    )
    return [
        AuditRecord(
            id=str(key),
            at=to_datetime(at),
            actor=actor,
            role=role,
            action=action,
            target=target,
            workflow_id=workflow_id,
            detail=None if detail is None else json.loads(detail),
        )
        for key, at, actor, role, action, target, workflow_id, detail in tx.rows(
            Statement.of(text), limit=limit, **parameters
        )
    ]
