"""What may be asked of any paged list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from turbine.model.workflows import Page

T = TypeVar("T")
LIMIT_MAX = 10_000


def check_limit(limit: int) -> int:
    """The limit itself; ValueError for one that can never be right."""
    if isinstance(limit, bool) or not 1 <= limit <= LIMIT_MAX:
        raise ValueError(f"limit must be between 1 and {LIMIT_MAX}, not {limit!r}; follow next_cursor for more")
    return limit


def after_key(cursor: str | None) -> int | None:
    """The integer key that a cursor stands for; ValueError for a text that no page has given out."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
        raise ValueError(f"{cursor!r} is no cursor; pass the next_cursor of the page before")
    return int(cursor)


def page_of(rows: Sequence[tuple[int | str, T]], limit: int) -> Page[T]:
    """The page of rows that were read with their keys, one row more than the limit."""
    cursor = str(rows[limit - 1][0]) if len(rows) > limit else None
    return Page([record for _, record in rows[:limit]], cursor)
