"""Clauses for statements that are assembled from a filter. Values are always parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def in_list(expression: str, name: str, values: Sequence[Any], parameters: dict[str, Any]) -> str:
    """The clause that an expression is one of several values, which become parameters with this name."""
    parameters |= {f"{name}{index}": str(value) for index, value in enumerate(values)}
    return f"{expression} in ({', '.join(f':{name}{index}' for index in range(len(values)))})" if values else "false"


def within(text: str) -> str:
    """The pattern of `like … escape '!'` that finds a text anywhere."""
    return f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
