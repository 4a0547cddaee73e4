"""Failures: runs that failed in the same way, and what people decided about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from turbine.clock import to_ms
from turbine.errors import NotFound
from turbine.ids import check_name, check_text
from turbine.model.failures import FailureGroup, FailureState
from turbine.model.pages import check_limit, cut_page, invalid_cursor
from turbine.model.workflows import Page
from turbine.operations.resources import Resource
from turbine.store import Tx
from turbine.store.store import Audit
from turbine.tables import failures

_MAX_MS = 10**14
_VERBS = {FailureState.OPEN: "reopen", FailureState.RESOLVED: "resolve", FailureState.IGNORED: "ignore"}


class Failures(Resource):
    """Lists and marks groups of runs that failed in the same way: `rt.failures`."""

    async def list(
        self,
        *,
        state: str | None = FailureState.OPEN,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[FailureGroup]:
        """Returns one page of groups last seen in a span of time, the latest first; with `state=None` of any state.

        Open groups whose runs were all resumed are left out. Raises ValueError for a wrong limit, state or cursor.
        """
        rows = await self._app().store.read(
            failures.groups,
            since_ms=0 if after is None else to_ms(after, "after"),
            until_ms=_MAX_MS if before is None else to_ms(before, "before"),
            state=None if state is None else FailureState(state),
            after=None if cursor is None else _parse_cursor(cursor),
            limit=check_limit(limit) + 1,
        )
        return cut_page(rows, limit, lambda group: f"{to_ms(group.last_at)} {group.fingerprint}")

    async def get(self, fingerprint: str) -> FailureGroup:
        """Returns one group. Raises NotFound."""
        group = await self._app().store.read(failures.group, fingerprint=check_name(fingerprint, "fingerprint"))
        if group is None:
            raise NotFound(kind="failure", id=fingerprint)
        return group

    async def mark(self, fingerprint: str, state: str, *, by: str | None = None) -> FailureGroup:
        """Resolves, ignores or reopens a group. A resolved one opens when it is seen again; an ignored one does not.

        Raises NotFound, ValueError for an unknown state.
        """
        app = self._app()
        new_state = FailureState(state)
        return await app.store.write(
            _mark,
            audit=self._audit(f"error.{_VERBS[new_state]}", fingerprint),
            fingerprint=check_name(fingerprint, "fingerprint"),
            state=new_state,
            actor=None if by is None else check_text(by, "name of the person"),
            now_ms=app.clock.now_ms(),
        )


def _mark(tx: Tx, *, audit: Audit | None, fingerprint: str, **arguments: Any) -> Any:
    changed = failures.set_state(tx, fingerprint=fingerprint, **arguments)
    if isinstance(changed, NotFound):
        return changed
    if changed and audit is not None:
        audit(tx)
    return failures.group(tx, fingerprint=fingerprint)


def _parse_cursor(cursor: str) -> tuple[int, str]:
    last, _, fingerprint = cursor.partition(" ")
    if not last.isascii() or not last.isdecimal() or len(last) > 15:
        raise invalid_cursor(cursor)
    return int(last), check_name(fingerprint, "cursor")
