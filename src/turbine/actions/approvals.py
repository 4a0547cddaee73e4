"""Approvals: who may look at gates, and how a person's decision reaches its run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from turbine.actions.accounts import hash_secret, new_secret
from turbine.actions.audit import line_of
from turbine.actions.nouns import Noun
from turbine.actions.pages import after_key, check_limit
from turbine.clock import to_datetime
from turbine.codec import payload_type, plain
from turbine.codec.schemas import complaints
from turbine.engine.port import Port
from turbine.errors import NotFound, ValidationFailed
from turbine.ids import check_id, check_text
from turbine.model.accounts import Caller, Role
from turbine.model.approvals import ApprovalLink, ApprovalRecord
from turbine.model.workflows import Page
from turbine.tables import approvals, links
from turbine.tables.approvals import Decision
from turbine.tables.audit import Line
from turbine.tables.links import Link

LINK_MAX = timedelta(days=31)


class Approvals(Noun):
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
        port = self._port()
        found = await port.store.read(
            approvals.listing,
            workflow_id=None if workflow_id is None else check_id(workflow_id),
            is_open=open,
            after=after_key(cursor),
            limit=check_limit(limit) + 1,
            open=port.payloads.open,
            assignee=None if assignee is None else check_text(assignee, "assignee").strip().lower(),
        )
        items = [record for _, record in found[:limit]]
        return Page(items, str(found[limit - 1][0]) if len(found) > limit else None)

    async def get(self, id: str) -> ApprovalRecord:
        """One gate. Raises NotFound."""
        port = self._port()
        found = await port.store.read(approvals.get, approval_id=check_id(id), open=port.payloads.open)
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
        port = self._port()
        decision, check = prepare(port, approved, comment, by, data)
        decided = await port.store.write(
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
        port = self._port()
        secret, now_ms = new_secret(), port.clock.now_ms()
        expires_ms = now_ms + round(lasts.total_seconds() * 1000)
        await port.store.write(
            links.add,
            token_hash=hash_secret(secret),
            approval_id=check_id(id),
            made_by="" if by is None else check_text(by, "name of the person"),
            now_ms=now_ms,
            expires_ms=expires_ms,
        )
        return ApprovalLink(id, to_datetime(expires_ms), secret)

    async def of_link(self, token: str) -> tuple[ApprovalRecord, datetime]:
        """The gate of a link, and until when it counts. Raises NotFound for a link that counts no more."""
        port = self._port()
        found = await port.store.read(links.find, token_hash=hash_secret(token), now_ms=port.clock.now_ms())
        if found is None:
            raise links.gone()
        return await self.get(found.approval_id), to_datetime(found.expires_ms)

    async def decide_by_link(
        self, token: str, approved: bool, comment: str = "", *, data: Any = None
    ) -> ApprovalRecord:
        """Decide the gate of a link; the link is used up by it. Raises NotFound, Conflict, ValidationFailed."""
        port = self._port()
        decision, check = prepare(port, approved, comment, None, data)

        def line(link: Link, workflow_id: str) -> Line:
            caller = Caller(f"link made by {link.made_by}", Role.OPERATOR)
            return line_of(
                port.clock.now_ms(),
                caller,
                "approval.decide",
                link.approval_id,
                workflow_id=workflow_id,
                detail={"approved": approved, "link": True},
            )

        used = await port.store.write(
            links.decide, token_hash=hash_secret(token), decision=decision, check=check, line_of=line
        )
        assert isinstance(used, Link)  # what it refuses with was raised
        return await self.get(used.approval_id)


def prepare(
    port: Port, approved: bool, comment: str, by: str | None, data: Any
) -> tuple[Decision, Callable[[dict[str, Any] | None], Exception | None]]:
    """A decision as it is stored, and what judges it against the form of its gate.

    Raises TypeError and ValueError for a comment or name that no database takes, SerializationError for the data.
    """
    if not isinstance(approved, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"approved must be True or False, not {approved!r}")
    text = None if data is None else payload_type(Any).encode(data, "the filled-in form")
    decision = Decision(
        approved,
        check_text(comment, "comment"),
        None if by is None else check_text(by, "name of the person"),
        None if text is None else port.payloads.seal(text, "the filled-in form"),
        port.clock.now_ms(),
    )

    def check(form: dict[str, Any] | None) -> Exception | None:
        # Who says no need not fill in the form.
        if form is None or (data is None and not approved):
            return None
        errors = complaints(form, plain(text))
        return ValidationFailed(what="The filled-in form", errors=errors) if errors else None

    return decision, check
