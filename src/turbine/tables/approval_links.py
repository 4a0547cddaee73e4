"""Approval links: each lets a person without an account decide one approval, once.

The token alone gives the right, so only its hash is stored, the link expires, and it stops working as soon as the
person or token that created it may no longer decide approvals.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from turbine.errors import Conflict, NotFound
from turbine.store import Statements, Tx
from turbine.tables import approvals, audit
from turbine.tables.approvals import ApprovalDecision
from turbine.tables.audit import AuditLine

SQL = Statements(Path(__file__))


class ApprovalLinkRow(NamedTuple):
    """A valid link."""

    approval_id: str
    made_by: str
    expires_ms: int


def add(
    tx: Tx, *, token_hash: str, approval_id: str, made_by: str, now_ms: int, expires_ms: int
) -> Conflict | NotFound | None:
    """Create a link. Refuses an unknown approval with NotFound, and a decided one with Conflict."""
    if tx.row(SQL.is_open, approval_id=approval_id) is None:
        if tx.row(SQL.exists, approval_id=approval_id) is None:
            return NotFound(kind="approval", id=approval_id)
        return Conflict("This approval is already decided; a link would change nothing")
    tx.run(SQL.delete_expired, now=now_ms)
    tx.run(SQL.add, token_hash=token_hash, approval_id=approval_id, made_by=made_by, now=now_ms, expires=expires_ms)
    return None


def find(tx: Tx, *, token_hash: str, now_ms: int) -> ApprovalLinkRow | None:
    """The link of a token; None if it is unknown, used, expired, or its creator may no longer decide approvals."""
    row = tx.row(SQL.unused, token_hash=token_hash, now=now_ms)
    if row is None or not _may_decide(tx, row[1], now_ms):
        return None
    return ApprovalLinkRow(*row)


def _may_decide(tx: Tx, creator: str, now_ms: int) -> bool:
    kind, _, name = creator.partition(":")
    if kind == "token":
        return tx.row(SQL.token_may_decide, name=name, now=now_ms) is not None
    if "@" in creator and kind != "host":
        return tx.row(SQL.account_may_decide, email=creator) is not None
    return True  # the host's own sign-in, or this machine without any: there is nothing to look up


def decide(
    tx: Tx,
    *,
    token_hash: str,
    decision: ApprovalDecision,
    check: Callable[[dict[str, Any] | None], Exception | None],
    line_of: Callable[[ApprovalLinkRow, str], AuditLine],
) -> ApprovalLinkRow | Exception:
    """Decide the approval of a link, use the link up and write the audit line, all or nothing."""
    link = find(tx, token_hash=token_hash, now_ms=decision.now_ms)
    row = None if link is None else tx.row(SQL.workflow_of, approval_id=link.approval_id)
    if link is None or row is None:
        return link_not_found()
    by_link = decision._replace(by=f"link made by {link.made_by}")
    answer = approvals.decide(tx, workflow_id=row[0], approval_id=link.approval_id, decision=by_link, check=check)
    if isinstance(answer, Exception):
        return answer
    tx.run(SQL.use, token_hash=token_hash, now=decision.now_ms)
    audit.add(tx, line=line_of(link, row[0]))
    return link


def link_not_found() -> NotFound:
    """The error for every invalid link; it does not reveal why, because the caller has nothing but the link."""
    return NotFound("This link was already used, has expired, or never existed; ask for a new one", kind="link")
