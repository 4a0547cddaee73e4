"""Pages of lists: limits, cursors, and the one place where a page is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from turbine.model.workflows import Page

LIMIT_MAX = 10_000

Row = TypeVar("Row")
T = TypeVar("T")


def check_limit(limit: int) -> int:
    """Returns the limit. Raises ValueError for one that can never be right."""
    if isinstance(limit, bool) or not 1 <= limit <= LIMIT_MAX:
        raise ValueError(f"limit must be between 1 and {LIMIT_MAX}, not {limit!r}; follow next_cursor for more")
    return limit


def after_key(cursor: str | None) -> int | None:
    """Returns the integer key behind a cursor. Raises ValueError for a text that is not a cursor."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
        raise invalid_cursor(cursor)
    return int(cursor)


def invalid_cursor(cursor: str) -> ValueError:
    """Builds the error for a text that is not a cursor of the list."""
    return ValueError(f"{cursor[:80]!r} is not a cursor; pass the next_cursor of the previous page")


def cut_page(
    rows: Sequence[Row], limit: int, cursor_of: Callable[[Row], object], record_of: Callable[[Row], T] | None = None
) -> Page[T]:
    """Cuts a page out of `limit + 1` rows: the extra row only says that there is a next page."""
    records: list[Any] = list(rows[:limit]) if record_of is None else [record_of(row) for row in rows[:limit]]
    return Page(records, str(cursor_of(rows[limit - 1])) if len(rows) > limit else None)


def page_of(rows: Sequence[tuple[int | str, T]], limit: int) -> Page[T]:
    """Cuts a page out of `limit + 1` records with their keys."""
    return cut_page(rows, limit, itemgetter(0), itemgetter(1))
