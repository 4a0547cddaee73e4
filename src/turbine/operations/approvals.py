"""Approvals: lists of them, decisions of people, and links for a decision without an account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from turbine.clock import to_datetime
from turbine.codec import json_value, payload_type
from turbine.codec.schemas import complaints
from turbine.engine.app import App
from turbine.errors import NotFound, ValidationFailed
from turbine.ids import check_id, check_text
from turbine.model.accounts import Actor, Role
from turbine.model.approvals import ApprovalLink, ApprovalRecord
from turbine.model.pages import after_key, check_limit, cut_page
from turbine.model.workflows import Page, RunChange, WorkflowStatus
from turbine.operations.accounts import hash_secret, new_secret
from turbine.operations.audit_entries import audit_line, audit_of
from turbine.operations.resources import Resource
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import approval_links, approvals, run_details, run_records
from turbine.tables.approval_links import ApprovalLinkRow as StoredLink
from turbine.tables.approvals import ApprovalDecision
from turbine.tables.audit import AuditLine

LINK_MAX = timedelta(days=31)


class Approvals(Resource):
    """Lists and decides the approvals for which runs wait: `rt.approvals`."""

    async def list(
        self,
        workflow_id: str | None = None,
        open: bool | None = True,
        *,
        assignee: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ApprovalRecord]:
        """Returns one page of approvals, newest first: open ones, with `open=False` closed ones, with None all.

        With `assignee`, an e-mail address, only those that are assigned to that person or to no one; with an empty
        text only those that are assigned to no one. Raises ValueError for a wrong limit or cursor.
        """
        app = self._app()
        rows = await app.store.read(
            _rows,
            workflow_id=None if workflow_id is None else check_id(workflow_id),
            is_open=open,
            after=after_key(cursor),
            limit=check_limit(limit) + 1,
            open=app.payloads.open,
            assignee=None if assignee is None else check_text(assignee, "assignee").strip().lower(),
        )
        return cut_page(rows, limit, lambda row: row[0], lambda row: row[1])

    async def get(self, id: str) -> ApprovalRecord:
        """Returns one approval. Raises NotFound."""
        app = self._app()
        record = await app.store.read(_record, approval_id=check_id(id), open=app.payloads.open)
        if record is None:
            raise NotFound(kind="approval", id=id)
        return record

    async def decide(
        self,
        workflow_id: str,
        approved: bool = True,
        comment: str = "",
        *,
        by: str | None = None,
        data: Any = None,
        approval_id: str | None = None,
        only_as: str | None = None,
    ) -> ApprovalRecord:
        """Decides an approval; see `Runtime.approve`.

        With `only_as`, an e-mail address or an empty text for none, an approval that is assigned to others is refused
        with NotAllowed, as the HTTP API does for approvers. Otherwise anyone may decide it.
        """
        options = {"by": by, "data": data, "approval_id": approval_id, "only_as": only_as}
        decided, _ = await _decide(self._app(), self._actor, workflow_id, approved, comment, **options)
        return await self.get(decided)

    async def link(self, id: str, *, lasts: timedelta = timedelta(hours=24), by: str | None = None) -> ApprovalLink:
        """Makes a link with which a person without an account decides this approval, once.

        It is valid until it is used, for `lasts` (at most 31 days), and while its maker is operator or admin. Raises
        NotFound, Conflict for a closed approval, ValueError.
        """
        if not timedelta(0) < lasts <= LINK_MAX:
            raise ValueError(f"A link lasts up to {LINK_MAX.days} days, not {lasts}")
        app = self._app()
        secret, now_ms = new_secret(), app.clock.now_ms()
        expires_ms = now_ms + round(lasts.total_seconds() * 1000)
        workflow_id = None if self._actor is None else (await self.get(id)).workflow_id
        await app.store.write_audited(
            self._audit("approval.link", id, workflow_id=workflow_id, hours=lasts / timedelta(hours=1)),
            approval_links.add,
            token_hash=hash_secret(secret),
            approval_id=check_id(id),
            made_by="" if by is None else check_text(by, "name of the person"),
            now_ms=now_ms,
            expires_ms=expires_ms,
        )
        return ApprovalLink(id, to_datetime(expires_ms), secret)

    async def of_link(self, token: str) -> tuple[ApprovalRecord, datetime]:
        """Returns the approval of a link, and when the link expires. Raises NotFound for an invalid link."""
        app = self._app()
        link = await app.store.read(approval_links.find, token_hash=hash_secret(token), now_ms=app.clock.now_ms())
        if link is None:
            raise approval_links.link_not_found()
        return await self.get(link.approval_id), to_datetime(link.expires_ms)

    async def decide_by_link(
        self, token: str, approved: bool, comment: str = "", *, data: Any = None
    ) -> ApprovalRecord:
        """Decides the approval of a link, which uses the link up. Raises NotFound, Conflict, ValidationFailed."""
        app = self._app()
        decision, check = prepare(app, approved, comment, None, data)

        def line(link: StoredLink, workflow_id: str) -> AuditLine:
            actor = Actor(f"link made by {link.made_by}", Role.OPERATOR)
            detail = {"approved": approved, "link": True}
            return audit_line(app, actor, "approval.decide", link.approval_id, workflow_id=workflow_id, **detail)

        link = await app.store.write(
            approval_links.decide, token_hash=hash_secret(token), decision=decision, check=check, line_of=line
        )
        assert isinstance(link, StoredLink)  # a refusal was raised
        return await self.get(link.approval_id)


async def approve_run(
    app: App, actor: Actor | None, workflow_id: str, approved: bool, comment: str = "", **options: Any
) -> RunChange:
    """Decides an approval of a run, with the options of `Approvals.decide`."""
    _, status = await _decide(app, actor, workflow_id, approved, comment, **options)
    return RunChange(workflow_id, True, status)


async def _decide(
    app: App,
    actor: Actor | None,
    workflow_id: str,
    approved: bool,
    comment: str,
    *,
    by: str | None = None,
    data: Any = None,
    approval_id: str | None = None,
    only_as: str | None = None,
) -> tuple[str, WorkflowStatus]:
    decision, check = prepare(app, approved, comment, by, data)
    target = approval_id or workflow_id
    return await app.store.write(
        _write_decision,
        audit=audit_of(app, actor, "approval.decide", target, workflow_id=workflow_id, approved=approved),
        workflow_id=check_id(workflow_id),
        approval_id=None if approval_id is None else check_id(approval_id),
        decision=decision,
        check=check,
        only_as=only_as,
    )


def _write_decision(tx: Tx, *, audit: Audit | None, workflow_id: str, **arguments: Any) -> Any:
    decided = approvals.decide(tx, workflow_id=workflow_id, **arguments)
    if isinstance(decided, Exception):
        return decided
    if audit is not None:
        audit(tx)
    facts = run_records.facts(tx, workflow_id=workflow_id)
    assert facts is not None  # its approval was decided in this transaction
    return decided, WorkflowStatus(facts.status)


def prepare(
    app: App, approved: bool, comment: str, by: str | None, data: Any
) -> tuple[ApprovalDecision, Callable[[dict[str, Any] | None], Exception | None]]:
    """Returns a decision as it is stored, and a check of its data against the form of the approval.

    Raises TypeError and ValueError for a comment or name that no database takes, SerializationError for the data.
    """
    if not isinstance(approved, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"approved must be True or False, not {approved!r}")
    text = None if data is None else payload_type(Any).encode(data, "the filled-in form")
    decision = ApprovalDecision(
        approved,
        check_text(comment, "comment"),
        None if by is None else check_text(by, "name of the person"),
        None if text is None else app.payloads.seal(text, "the filled-in form"),
        app.clock.now_ms(),
    )

    def check(form: dict[str, Any] | None) -> Exception | None:
        # A rejection needs no data.
        if form is None or (data is None and not approved):
            return None
        errors = complaints(form, json_value(text))
        return ValidationFailed(what="The filled-in form", errors=errors) if errors else None

    return decision, check


def _rows(tx: Tx, **arguments: Any) -> list[tuple[int, ApprovalRecord]]:
    rows = approvals.listing(tx, **arguments)
    records = _with_summaries(tx, [record for _, record in rows])
    return [(key, record) for (key, _), record in zip(rows, records, strict=True)]


def _record(tx: Tx, *, approval_id: str, open: Callable[[str], str]) -> ApprovalRecord | None:
    record = approvals.get(tx, approval_id=approval_id, open=open)
    return None if record is None else _with_summaries(tx, [record])[0]


def _with_summaries(tx: Tx, records: Sequence[ApprovalRecord]) -> list[ApprovalRecord]:
    summaries = run_details.summaries(tx, ids=sorted({record.workflow_id for record in records}))
    return [replace(record, summary=summaries.get(record.workflow_id)) for record in records]
