"""Approvals: who may look at gates, and how a person's decision reaches its run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from turbine.clock import to_datetime
from turbine.codec import payload_type, plain
from turbine.codec.schemas import complaints
from turbine.engine.app import App
from turbine.errors import NotFound, ValidationFailed
from turbine.ids import check_id, check_text
from turbine.model.accounts import Principal, Role
from turbine.model.approvals import ApprovalLink, ApprovalRecord
from turbine.model.workflows import Page
from turbine.operations.accounts import hash_secret, new_secret
from turbine.operations.audit import line_of
from turbine.operations.pages import after_key, check_limit
from turbine.operations.resources import Resource
from turbine.tables import approval_links, approvals
from turbine.tables.approval_links import ApprovalLinkRow
from turbine.tables.approvals import ApprovalDecision
from turbine.tables.audit import AuditLine

LINK_MAX = timedelta(days=31)


class Approvals(Resource):
    """The gates at which runs wait for a person: `rt.approvals`."""

    async def list(
        self,
        workflow_id: str | None = None,
        open: bool | None = True,
        *,
        assignee: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ApprovalRecord]:
        """One page of gates, newest first: open ones, with `open=False` decided ones, with None all.

        With `assignee`, an e-mail address, only those that are assigned to them or to nobody; an empty text is nobody.
        Raises ValueError for a limit or cursor that can never be right.
        """
        app = self._app()
        found = await app.store.read(
            approvals.listing,
            workflow_id=None if workflow_id is None else check_id(workflow_id),
            is_open=open,
            after=after_key(cursor),
            limit=check_limit(limit) + 1,
            open=app.payloads.open,
            assignee=None if assignee is None else check_text(assignee, "assignee").strip().lower(),
        )
        items = [record for _, record in found[:limit]]
        return Page(items, str(found[limit - 1][0]) if len(found) > limit else None)

    async def get(self, id: str) -> ApprovalRecord:
        """One gate. Raises NotFound."""
        app = self._app()
        found = await app.store.read(approvals.get, approval_id=check_id(id), open=app.payloads.open)
        if found is None:
            raise NotFound(kind="approval", id=id)
        return found

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
        """Decide a gate; see `Runtime.approve`.

        With `only_as`, an e-mail address or an empty text for none, a gate that is assigned to others is refused with
        NotAllowed: so the HTTP API asks for approvers. Else whom it is assigned to keeps nobody from deciding.
        """
        app = self._app()
        decision, check = prepare(app, approved, comment, by, data)
        decided = await app.store.write(
            approvals.decide,
            workflow_id=check_id(workflow_id),
            approval_id=None if approval_id is None else check_id(approval_id),
            decision=decision,
            check=check,
            only_as=only_as,
        )
        return await self.get(str(decided))

    async def link(self, id: str, *, lasts: timedelta = timedelta(hours=24), by: str | None = None) -> ApprovalLink:
        """Make a link by which somebody without an account decides this gate, once.

        It counts until it is used, for `lasts` (at most 31 days), and while who made it is operator or admin. Raises
        NotFound, Conflict for a gate that is decided, ValueError.
        """
        if not timedelta(0) < lasts <= LINK_MAX:
            raise ValueError(f"A link lasts up to {LINK_MAX.days} days, not {lasts}")
        app = self._app()
        secret, now_ms = new_secret(), app.clock.now_ms()
        expires_ms = now_ms + round(lasts.total_seconds() * 1000)
        await app.store.write(
            approval_links.add,
            token_hash=hash_secret(secret),
            approval_id=check_id(id),
            made_by="" if by is None else check_text(by, "name of the person"),
            now_ms=now_ms,
            expires_ms=expires_ms,
        )
        return ApprovalLink(id, to_datetime(expires_ms), secret)

    async def of_link(self, token: str) -> tuple[ApprovalRecord, datetime]:
        """The gate of a link, and until when it counts. Raises NotFound for a link that counts no more."""
        app = self._app()
        found = await app.store.read(approval_links.find, token_hash=hash_secret(token), now_ms=app.clock.now_ms())
        if found is None:
            raise approval_links.link_not_found()
        return await self.get(found.approval_id), to_datetime(found.expires_ms)

    async def decide_by_link(
        self, token: str, approved: bool, comment: str = "", *, data: Any = None
    ) -> ApprovalRecord:
        """Decide the gate of a link; the link is used up by it. Raises NotFound, Conflict, ValidationFailed."""
        app = self._app()
        decision, check = prepare(app, approved, comment, None, data)

        def line(link: ApprovalLinkRow, workflow_id: str) -> AuditLine:
            principal = Principal(f"link made by {link.made_by}", Role.OPERATOR)
            return line_of(
                app.clock.now_ms(),
                principal,
                "approval.decide",
                link.approval_id,
                workflow_id=workflow_id,
                detail={"approved": approved, "link": True},
            )

        used = await app.store.write(
            approval_links.decide, token_hash=hash_secret(token), decision=decision, check=check, line_of=line
        )
        assert isinstance(used, ApprovalLinkRow)  # what it refuses with was raised
        return await self.get(used.approval_id)


def prepare(
    app: App, approved: bool, comment: str, by: str | None, data: Any
) -> tuple[ApprovalDecision, Callable[[dict[str, Any] | None], Exception | None]]:
    """A decision as it is stored, and what judges it against the form of its gate.

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
        # Who says no need not fill in the form.
        if form is None or (data is None and not approved):
            return None
        errors = complaints(form, plain(text))
        return ValidationFailed(what="The filled-in form", errors=errors) if errors else None

    return decision, check
