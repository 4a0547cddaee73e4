"""Kinds of failures: which there are, and what people think of them."""

from __future__ import annotations

from datetime import datetime

from turbine.clock import to_ms
from turbine.errors import NotFound
from turbine.ids import check_name, check_text
from turbine.model.failures import FailureGroup, FailureState
from turbine.model.workflows import Page
from turbine.operations.pages import check_limit
from turbine.operations.resources import Resource
from turbine.tables import failures

_EVER_MS = 10**14


class Failures(Resource):
    """Runs that failed in the same way, together: `rt.failures`."""

    async def list(
        self,
        *,
        state: str | None = FailureState.OPEN,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[FailureGroup]:
        """One page of the kinds that were seen in a span of time, the last seen first; with `state=None` of any state.

        Open ones of which every run was taken up again are left out. Raises ValueError for a limit, state or cursor
        that can never be right.
        """
        check_limit(limit)
        found = await self._app().store.read(
            failures.groups,
            since_ms=0 if after is None else to_ms(after, "after"),
            until_ms=_EVER_MS if before is None else to_ms(before, "before"),
            state=None if state is None else FailureState(state),
            after=None if cursor is None else _place(cursor),
            limit=limit + 1,
        )
        items = found[:limit]
        more = f"{to_ms(items[-1].last_at)} {items[-1].fingerprint}" if len(found) > limit else None
        return Page(items, more)

    async def get(self, fingerprint: str) -> FailureGroup:
        """One kind. Raises NotFound."""
        found = await self._app().store.read(failures.group, fingerprint=check_name(fingerprint, "fingerprint"))
        if found is None:
            raise NotFound(kind="failure", id=fingerprint)
        return found

    async def mark(self, fingerprint: str, state: str, *, by: str | None = None) -> FailureGroup:
        """Resolve, ignore or reopen a kind. A resolved one is open again when it is seen again; an ignored one is not.

        Raises NotFound, ValueError for a state that there is not.
        """
        app = self._app()
        await app.store.write(
            failures.set_state,
            fingerprint=check_name(fingerprint, "fingerprint"),
            state=FailureState(state),
            actor=None if by is None else check_text(by, "name of the person"),
            now_ms=app.clock.now_ms(),
        )
        return await self.get(fingerprint)


def _place(cursor: str) -> tuple[int, str]:
    last, _, fingerprint = cursor.partition(" ")
    if not last.isascii() or not last.isdecimal() or len(last) > 15:
        raise ValueError(f"{cursor[:80]!r} is no cursor of this list")
    return int(last), check_name(fingerprint, "cursor")
