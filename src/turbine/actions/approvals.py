"""Approvals: who may look at gates, and how a person's decision reaches its run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from turbine.actions.pages import after_key, check_limit
from turbine.codec import payload_type, plain
from turbine.codec.schemas import complaints
from turbine.engine.port import Port
from turbine.errors import NotFound, ValidationFailed
from turbine.ids import check_id, check_text
from turbine.model.approvals import ApprovalRecord
from turbine.model.workflows import Page
from turbine.tables import approvals
from turbine.tables.approvals import Decision


class Approvals:
    """The gates at which runs wait for a person: `rt.approvals`."""

    def __init__(self, port: Callable[[], Port]) -> None:
        self._port = port

    async def list(
        self,
        workflow_id: str | None = None,
        open: bool | None = True,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ApprovalRecord]:
        """One page of gates, newest first: open ones, with `open=False` decided ones, with None all.

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
    ) -> ApprovalRecord:
        """Decide a gate; see `Runtime.approve`."""
        port = self._port()
        decision, check = prepare(port, approved, comment, by, data)
        decided = await port.store.write(
            approvals.decide,
            workflow_id=check_id(workflow_id),
            approval_id=None if approval_id is None else check_id(approval_id),
            decision=decision,
            check=check,
        )
        return await self.get(str(decided))


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
