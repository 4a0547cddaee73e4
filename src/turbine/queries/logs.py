"""Log records of runs."""

from __future__ import annotations

import logging
from datetime import datetime

from turbine.clock import to_ms
from turbine.ids import check_id, check_name
from turbine.model.logs import LogQuery, LogRecord
from turbine.model.pages import after_key, check_limit, cut_page
from turbine.model.workflows import Page
from turbine.operations.resources import Resource
from turbine.tables import logs


class Logs(Resource):
    """Lists what bodies and steps logged in the last 5 days: `rt.logs`."""

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
        """Returns one page of records, newest first; all given filters must match.

        `step` is a position, `level` the lowest one shown (`"WARNING"` or a number), `search` a part of the message or
        of the logger's name. Records that this process logged before the call are included. Raises ValueError for a
        wrong limit, level or cursor.
        """
        query = LogQuery(step=step, level=level, search=search, after=after, before=before)
        items: list[LogRecord] = []
        while True:
            page = await self.look(query, workflow_id, limit=limit - len(items), cursor=cursor, ascending=ascending)
            items += page.items
            cursor = page.next_cursor
            if cursor is None or len(items) == limit:
                return Page(items, cursor)

    async def look(
        self,
        query: LogQuery,
        workflow_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
        ascending: bool = False,
    ) -> Page[LogRecord]:
        """Like `list`, but quick: a page may be short, or empty, although there are more."""
        app = self._app()
        step, search = query.step, query.search
        after, before = query.after, query.before
        stored_filter = logs.LogFilter(
            workflow_id=None if workflow_id is None else check_id(workflow_id),
            position=None if step is None else check_name(step, "step"),
            level=None if query.level is None else _level_number(query.level),
            search=check_name(search, "search text") if search else None,
            after_ms=None if after is None else to_ms(after, "after"),
            before_ms=None if before is None else to_ms(before, "before"),
        )
        check_limit(limit)
        key = after_key(cursor)
        await app.log_sink.flush()
        rows = await app.store.read(logs.page, filter=stored_filter, limit=limit + 1, after=key, ascending=ascending)
        page = cut_page(rows.records, limit, lambda row: row[0], lambda row: row[1])
        if page.next_cursor is None and rows.resume_after is not None:
            return Page(page.items, str(rows.resume_after))
        return page


def _level_number(level: str | int) -> int:
    numbers = logging.getLevelNamesMapping()
    number = numbers.get(level.upper()) if isinstance(level, str) else level
    if number is None or isinstance(number, bool) or not 0 <= number < 2**31:
        raise ValueError(f"{level!r} is not a log level; use one of {', '.join(numbers)}, or a number")
    return number
