"""Links by which somebody without an account decides one gate, once.

Whoever has the link has the right, so its token is stored as a hash only, it ends by itself, and it is worth nothing
any more as soon as who made it is no operator any more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from turbine.errors import Conflict, NotFound
from turbine.store import Statements, Tx
from turbine.tables import approvals, audit
from turbine.tables.approvals import Decision
from turbine.tables.audit import Line

SQL = Statements(Path(__file__))


class Link(NamedTuple):
    """A link that still counts."""

    approval_id: str
    made_by: str
    expires_ms: int


def add(
    tx: Tx, *, token_hash: str, approval_id: str, made_by: str, now_ms: int, expires_ms: int
) -> Conflict | NotFound | None:
    """Make a link. Refuses with NotFound an unknown gate, with Conflict one that is decided."""
    if tx.row(SQL.is_open, approval_id=approval_id) is None:
        if tx.row(SQL.is_there, approval_id=approval_id) is None:
            return NotFound(kind="approval", id=approval_id)
        return Conflict("This approval is decided already; a link could change nothing")
    tx.run(SQL.forget_expired, now=now_ms)
    tx.run(SQL.add, token_hash=token_hash, approval_id=approval_id, made_by=made_by, now=now_ms, expires=expires_ms)
    return None


def find(tx: Tx, *, token_hash: str, now_ms: int) -> Link | None:
    """The link of a token; None for one that is unknown, used, expired, or whose maker is no operator any more."""
    row = tx.row(SQL.unused, token_hash=token_hash, now=now_ms)
    if row is None or not _may_decide(tx, row[1], now_ms):
        return None
    return Link(*row)


def _may_decide(tx: Tx, maker: str, now_ms: int) -> bool:
    kind, _, name = maker.partition(":")
    if kind == "token":
        return tx.row(SQL.token_may, name=name, now=now_ms) is not None
    if "@" in maker and kind != "host":
        return tx.row(SQL.account_may, email=maker) is not None
    return True  # the host's own sign-in, or this machine without any: there is nothing to look up


def decide(
    tx: Tx,
    *,
    token_hash: str,
    decision: Decision,
    check: Callable[[dict[str, Any] | None], Exception | None],
    line_of: Callable[[Link, str], Line],
) -> Link | Exception:
    """Decide the gate of a link, use the link up and write the line of the audit, all or nothing."""
    link = find(tx, token_hash=token_hash, now_ms=decision.now_ms)
    row = None if link is None else tx.row(SQL.workflow_of, approval_id=link.approval_id)
    if link is None or row is None:
        return gone()
    named = decision._replace(by=f"link made by {link.made_by}")
    decided = approvals.decide(tx, workflow_id=row[0], approval_id=link.approval_id, decision=named, check=check)
    if isinstance(decided, Exception):
        return decided
    tx.run(SQL.use, token_hash=token_hash, now=decision.now_ms)
    audit.add(tx, line=line_of(link, row[0]))
    return link


def gone() -> NotFound:
    """What is said of every link that counts no more: why is nobody's business who only has a link."""
    return NotFound("This link was used already, has expired, or was never made; ask for a new one", kind="link")
