"""Pages of rows that are read together with their keys."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TypeVar

from turbine.model.pages import LIMIT_MAX, after_key, check_limit, cut_page
from turbine.model.workflows import Page

__all__ = ["LIMIT_MAX", "after_key", "check_limit", "page_of"]

T = TypeVar("T")


def page_of(rows: Sequence[tuple[int | str, T]], limit: int) -> Page[T]:
    """Cuts a page out of `limit + 1` records with their keys."""
    return cut_page(rows, limit, itemgetter(0), itemgetter(1))
