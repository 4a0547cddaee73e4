"""Looking into the logs of runs."""

from __future__ import annotations

import logging
from datetime import datetime

from turbine.clock import to_ms
from turbine.ids import check_id, check_name
from turbine.model.logs import LogRecord
from turbine.model.workflows import Page
from turbine.operations.pages import after_key, check_limit
from turbine.operations.resources import Resource
from turbine.tables import logs
from turbine.tables.logs import LogFilter


class Logs(Resource):
    """What bodies and steps have logged in the last 5 days: `rt.logs`."""

    async def list(
        self,
        *,
        workflow_id: str | None = None,
        step: str | None = None,
        level: str | int | None = None,
        search: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
        ascending: bool = False,
    ) -> Page[LogRecord]:
        """One page of records, newest first; what is given must hold.

        `step` is a position, `level` the lowest one shown (`"WARNING"` or a number), `search` a part of the message or
        of the logger's name. What this process has logged before the call is found. Raises ValueError for a limit,
        level or cursor that can never be right.
        """
        items: list[LogRecord] = []
        while True:
            found = await self.look(
                workflow_id=workflow_id,
                step=step,
                level=level,
                search=search,
                after=after,
                before=before,
                limit=limit - len(items),
                cursor=cursor,
                ascending=ascending,
            )
            items += found.items
            cursor = found.next_cursor
            if cursor is None or len(items) == limit:
                return Page(items, cursor)

    async def look(
        self,
        *,
        workflow_id: str | None = None,
        step: str | None = None,
        level: str | int | None = None,
        search: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
        ascending: bool = False,
    ) -> Page[LogRecord]:
        """Like `list`, but quick: a page may be short, or empty, though there are more."""
        app = self._app()
        wanted = LogFilter(
            workflow_id=None if workflow_id is None else check_id(workflow_id),
            position=None if step is None else check_name(step, "step"),
            level=None if level is None else _number(level),
            search=check_name(search, "search text") if search else None,
            after_ms=None if after is None else to_ms(after, "after"),
            before_ms=None if before is None else to_ms(before, "before"),
        )
        check_limit(limit)
        key = after_key(cursor)
        await app.log_sink.flush()
        found = await app.store.read(logs.page, filter=wanted, limit=limit + 1, after=key, ascending=ascending)
        items = [record for _, record in found.records[:limit]]
        if len(found.records) > limit:
            return Page(items, str(found.records[limit - 1][0]))
        return Page(items, None if found.resume_after is None else str(found.resume_after))


def _number(level: str | int) -> int:
    known = logging.getLevelNamesMapping()
    number = known.get(level.upper()) if isinstance(level, str) else level
    if number is None or isinstance(number, bool) or not 0 <= number < 2**31:
        raise ValueError(f"{level!r} is no level of a log; use one of {', '.join(known)}, or a number")
    return number
